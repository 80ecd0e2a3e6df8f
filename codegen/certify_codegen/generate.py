"""From proved specifications to the files of a package.

Rules this module keeps:

- generating is a function from specifications and the digests of their proofs to texts: the same in, the same out;
- only what is proved is generated, and only what is then shown to be equal to its specification leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import jinja2

from certify_codegen import rules
from certify_codegen.certificate import Certificate, digest, sealed
from certify_codegen.fusion import Layer, Signature, bounds, frame, setting_up
from certify_codegen.machine import machine_text
from certify_codegen.patterns import CONVENTIONS, FAILURES, Convention
from certify_codegen.printer import INDENT, WIDTH, Printer
from certify_codegen.projection import Projection, project
from certify_codegen.reading import UnreadableError
from certify_codegen.validation import Candidate, equalities, require_shortcuts
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, Place, RequestError

_BRACKETS: Final = re.compile(r"( *)([^#\"(]*\()(.*)(\)[^()]*)")
COMMON: Final = "_common.py"
PACKAGE: Final = "__init__.py"
ADAPTERS: Final = ("opentelemetry", "prometheus")
"""What metrics can be given to, by files that are generated only if they are asked for."""


@dataclass(frozen=True, slots=True)
class Proved:
    """A specification and the digest of its proof: of every claim, what was concluded, and by whom."""

    specification: m.Specification
    proof: str


@dataclass(frozen=True, slots=True)
class Options:
    """How to generate.

    Attributes:
        asynchronous: whether coroutine functions are served too.
    """

    asynchronous: bool = True


@dataclass(frozen=True, slots=True)
class Module:
    """A generated module.

    Attributes:
        convention: how its machine is used.
        projection: the machine behind it.
        text: the module, certificate included.
        equality: the digest of what is to be shown of the text.
    """

    convention: Convention
    projection: Projection
    text: str
    equality: str

    @property
    def file(self) -> str:
        """Its file."""
        return f"{self.convention.template}.py"

    @property
    def candidate(self) -> Candidate:
        """What is to be shown equal to the specification."""
        return Candidate(self.file, self.text, self.projection)


def convention_of(specification: m.Specification) -> Convention:
    """How a machine is used from Python.

    Raises:
        RequestError: there is no calling convention for it.
    """
    found = CONVENTIONS.get(specification.name)
    if found is None:
        message = f"there is no calling convention for `{specification.name}`"
        known = f"known are {', '.join(CONVENTIONS)}"
        raise RequestError(Diagnostic(rules.NO_CONVENTION, message, specification.place, fix=known))
    return found


def module(proved: Proved, options: Options) -> Module:
    """The module of one machine.

    Raises:
        RequestError: there is no Python for something in it, or no calling convention.
    """
    specification = proved.specification
    convention = convention_of(specification)
    projection = project(specification, convention.representation)
    body = render(
        f"{convention.template}.py.j2",
        asynchronous=options.asynchronous,
        specification=specification,
        machine=machine_text(projection, convention.base),
        mirrored=[
            line for mirror in convention.representation.mirrors for line in Printer(projection).mirrored(mirror)
        ],
    )
    equality = _equality(Candidate(f"{convention.template}.py", body, projection))
    certificate = Certificate(
        machine=specification.name,
        spec=digest(specification.text),
        templates=templates_digest(),
        generator=generator_digest(),
        proof=proved.proof,
        equality=equality,
        flavour=flavour(options),
    )
    return Module(convention, projection, sealed(certificate, body), equality)


@dataclass(frozen=True, slots=True)
class Fused:
    """A function to fuse.

    Attributes:
        layers: outermost first, in an order that is safe.
        shape: its signature.
        imports: import statements that its annotations need.
    """

    layers: tuple[Layer, ...]
    shape: Signature
    imports: tuple[str, ...] = ()


def require_layers(fused: Fused, machines: Iterable[str]) -> None:
    """That each layer of a function is generated.

    Raises:
        RequestError: some are not among these machines.
    """
    known = set(machines)
    missing = [layer for layer in fused.layers if layer.machine not in known]
    if missing:
        names = ", ".join(f"`{layer.machine}`" for layer in missing)
        message = f"not among those that are generated: {names}"
        fix = f"name as well: {' '.join(layer.template for layer in missing)}"
        raise RequestError(Diagnostic(rules.BAD_FUSION, message, fix=fix))


def fused_file(
    fused: Fused, stack: m.Specification, modules: Iterable[Module], proofs: Mapping[str, str]
) -> tuple[str, str]:
    """The file of a fused function, and its text.

    Args:
        fused: the function.
        stack: the specification of stacks, proved like the others.
        modules: the modules of its layers, at least.
        proofs: by machine, the digest of its proof.

    Raises:
        RequestError: a layer has no module, or the frame does not compile.
    """
    known = {each.convention.machine: each for each in modules}
    require_layers(fused, known)
    names = [layer.name for layer in fused.layers]
    demands = []
    if "retry" in names:
        demands.append("if retry._key_argument is not None:")
        demands.append('    raise ValueError("a fused retry hands on no idempotency key: use the layers one by one")')
    if "timeout" in names:
        demands.append("if timeout._abandon:")
        demands.append('    raise ValueError("a timeout that leaves work running cannot be fused")')
    shape = fused.shape
    protocol = "".join(part.capitalize() for part in shape.name.split("_")) or "Function"
    body = render(
        "_fused.py.j2",
        layers=fused.layers,
        shape=shape,
        prefix="async " if shape.asynchronous else "",
        protocol=protocol,
        imports=[*fused.imports, *sorted(f"from .{layer.template} import {layer.kind}" for layer in fused.layers)],
        bounds=bounds(fused.layers),
        demands=demands,
        prepared=setting_up(fused.layers),
        body=frame(fused.layers, shape),
    )
    file = f"fused_{shape.name}.py"
    try:
        compile(body, file, "exec")
    except SyntaxError as problem:
        message = f"the fused function does not compile: {problem.msg}"
        raise RequestError(Diagnostic(rules.BAD_FUSION, message, Place(file, problem.lineno or 0))) from None
    try:
        require_shortcuts(body, {layer.role: known[layer.machine].projection for layer in fused.layers})
    except UnreadableError as problem:
        raise RequestError(Diagnostic(rules.DIFFERS, str(problem), Place(file, problem.line))) from problem
    machines = [known[layer.machine] for layer in fused.layers]
    certificate = Certificate(
        machine=f"fused of {', '.join(each.convention.machine for each in machines)}",
        spec=digest("".join([stack.text, *(each.projection.specification.text for each in machines)])),
        templates=templates_digest(),
        generator=generator_digest(),
        proof=digest("".join(proofs[name] for name in (stack.name, *(each.convention.machine for each in machines)))),
        equality=digest("".join(each.equality for each in machines)),
        flavour=f"{','.join(names)}: {shape.text}",
    )
    return file, sealed(certificate, body)


def _equality(candidate: Candidate) -> str:
    """The digest of all that is to be shown of a text.

    Raises:
        RequestError: there is something in it that cannot be read again.
    """
    try:
        return digest("".join(each.text for each in equalities(candidate)))
    except UnreadableError as problem:
        message = f"the generated text cannot be read: {problem}"
        raise RequestError(Diagnostic(rules.DIFFERS, message, Place(candidate.file, problem.line))) from problem


def package(modules: Iterable[Module], options: Options, proofs: Mapping[str, str]) -> dict[str, str]:
    """The files of a package, by name: its modules, what they share, and what it exports.

    Args:
        modules: the modules.
        options: how they were generated.
        proofs: by machine, the digest of its proof.
    """
    made = sorted(modules, key=lambda each: each.file)
    together = Certificate(
        machine=f"package of {', '.join(each.convention.machine for each in made)}",
        spec=digest("".join(each.projection.specification.text for each in made)),
        templates=templates_digest(),
        generator=generator_digest(),
        proof=digest("".join(proofs[each.convention.machine] for each in made)),
        equality=digest(""),
        flavour=flavour(options),
    )
    names = sorted([*FAILURES, *(name for each in made for name in each.convention.exports)])
    common = render("_common.py.j2", asynchronous=options.asynchronous)
    shared = Certificate(
        "", digest(""), templates_digest(), generator_digest(), digest(""), digest(""), flavour(options)
    )
    init = render("__init__.py.j2", modules=made, failures=FAILURES, names=names)
    files = {each.file: each.text for each in made}
    return {PACKAGE: sealed(together, init), COMMON: sealed(shared, common), **files}


def adapters(names: Iterable[str]) -> dict[str, str]:
    """The files of the adapters of these names, each beside the package and needing a library of its own.

    Raises:
        RequestError: there is no adapter of some name.
    """
    files: dict[str, str] = {}
    for name in names:
        if name not in ADAPTERS:
            fix = f"known are {', '.join(ADAPTERS)}"
            raise RequestError(Diagnostic(rules.NO_ADAPTER, f"there is no adapter `{name}`", fix=fix))
        nothing = digest("")
        made = Certificate("", nothing, templates_digest(), generator_digest(), nothing, nothing, f"adapter {name}")
        files[f"{name}_adapter.py"] = sealed(made, render(f"{name}_adapter.py.j2"))
    return files


def flavour(options: Options) -> str:
    """In a word, whom the code serves."""
    return "sync+async" if options.asynchronous else "sync"


# --- templates -------------------------------------------------------------------------------------------------------


def render(template: str, **values: Any) -> str:
    """A template with its values, laid out as the formatter would."""
    text = _environment().get_template(template).render(header="", **values).lstrip("\n")
    return tidied(text)


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("certify_codegen")
    return jinja2.Environment(  # noqa: S701  # this makes Python, not HTML
        loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=False
    )


def tidied(text: str) -> str:
    """Text with imports from one module joined and in order, and with the blank lines that Python's style asks for."""
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n{4,}", "\n\n\n", text)
    lines = [part for line in text.splitlines() for part in _folded(line)]
    imports = [i for i, line in enumerate(lines) if line.startswith("from collections.abc import ")]
    if len(imports) > 1:
        names = sorted({name for i in imports for name in lines[i].partition(" import ")[2].split(", ")})
        lines[imports[0]] = f"from collections.abc import {', '.join(names)}"
        for i in reversed(imports[1:]):
            del lines[i]
    return "\n".join(lines).rstrip("\n") + "\n"


def _folded(line: str) -> list[str]:
    """A line that is too long, with what stands in its outermost brackets on a line of its own."""
    found = _BRACKETS.fullmatch(line)
    if len(line) <= WIDTH or found is None:
        return [line]
    terms = _terms(line)
    if len(terms) > 2:
        return _summed(terms)
    indent, head, inside, tail = found.groups()
    return [f"{indent}{head}", f"{indent}{INDENT}{inside}", f"{indent}{tail}"]


def _summed(terms: Sequence[str]) -> list[str]:
    """An assignment of a sum that is too long for its line."""
    target, _, first = terms[0].partition(" = ")
    before = target[: len(target) - len(target.lstrip())]
    whole = f"{before}{INDENT}{' '.join([first, *terms[1:]])}"
    inside = [whole] if len(whole) <= WIDTH else [f"{before}{INDENT}{term}" for term in (first, *terms[1:])]
    return [f"{target} = (", *inside, f"{before})"]


def _terms(line: str) -> list[str]:
    """An assignment of a sum, split before each sign that is in no bracket; as it is if it is none."""
    if " = " not in line:
        return [line]
    depth, starts = 0, [0]
    for at, letter in enumerate(line):
        depth += (letter in "([") - (letter in ")]")
        if depth == 0 and line[at : at + 3] in {" + ", " - "}:
            starts.append(at + 1)
        elif depth == 0 and line.startswith((" if ", " or ", " and ", " <= ", " < "), at):
            return [line]
    return [line[a:b].rstrip() for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]


def _files(folder: str, ending: str) -> list[tuple[str, str]]:
    root = resources.files("certify_codegen")
    found = root.joinpath(folder).iterdir() if folder else root.iterdir()
    return sorted((f.name, f.read_text(encoding="utf-8")) for f in found if f.name.endswith(ending))


@cache
def templates_digest() -> str:
    """The digest of all templates."""
    return digest("".join(f"{name}\n{text}\n" for name, text in _files("templates", ".j2")))


@cache
def generator_digest() -> str:
    """The digest of the generator's own source."""
    return digest("".join(f"{name}\n{text}\n" for name, text in _files("", ".py")))
