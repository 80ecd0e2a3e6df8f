"""Behind `generate`: prove specifications, generate their code, show it equal to them, and write it or compare it.

Rules this module keeps:

- nothing is written unless everything is proved and shown equal; what is written is written as a whole;
- a file that was not generated is never overwritten, and neither is one that was edited.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from certify.cli import verifying
from certify.cli.output import Output
from certify.cli.status import Status
from certify.folders import cache_folder
from certify.specs.engine import Ledger, Pool, Silent, Verified, examine
from certify.specs.explain import Standing, counted
from certify.specs.proof import proof_digest
from certify_codegen import certificate, fusion, generate, rules
from certify_codegen.generate import PACKAGE, Fused, Module, Proved
from certify_codegen.validation import validate
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, Note, Place, RequestError
from certify_spec.loader import Loader, shipped
from certify_verifier.cache import solver_version
from certify_verifier.solving import Answer, Question
from certify_verifier.verify import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        specifications: files, folders, and names of shipped patterns.
        folder: the package's folder.
        check: whether to compare instead of writing.
        asynchronous: whether coroutine functions are served.
        solver, jobs, limit, budget, keeps: as for `verify`.
        adapters: names of adapters to generate beside the package.
        fuse: layers, outermost first, joined by commas; empty to fuse nothing.
        signature: of the fused function.
        imports: import statements for its annotations.
        as_json: whether one JSON document is wanted.
    """

    specifications: tuple[Path, ...]
    folder: Path
    check: bool = False
    asynchronous: bool = True
    solver: str = "z3"
    jobs: int | None = None
    limit: float = 10.0
    budget: float = 600.0
    keeps: bool = True
    adapters: tuple[str, ...] = ()
    fuse: str = ""
    signature: str = ""
    imports: tuple[str, ...] = ()
    as_json: bool = False


def run(options: Options) -> Status:
    """Generate, or check what was generated.

    Raises:
        RequestError: the request or a specification is wrong; nothing was written.
    """
    output = Output(as_json=options.as_json)
    _require_folder(options.folder)
    specifications = _load(options.specifications)
    for specification in specifications:
        generate.convention_of(specification)
    beside = generate.adapters(options.adapters)
    fused = _fused(options)
    stack = _stack() if fused is not None else None
    if fused is not None and stack is not None:
        unsafe = fusion.unsafe(fused.layers, stack)
        if unsafe:
            return _refuse(output, _Refusal(unsafe, Status.REFUSED))
        generate.require_layers(fused, (each.name for each in specifications))
    chosen = generate.Options(asynchronous=options.asynchronous)
    ledger = Ledger(cache_folder() if options.keeps else None)
    with Pool(options.jobs or os.cpu_count() or 1, budget=options.budget) as pool:
        to_prove = specifications if stack is None else (*specifications, stack)
        proofs, refused = _prove(options, output, to_prove, pool, ledger)
        if refused is not None:
            return _refuse(output, refused)
        modules = [generate.module(Proved(s, proofs[s.name]), chosen) for s in specifications]
        refused = _validate(options, output, modules, pool, ledger)
    if refused is not None:
        return _refuse(output, refused)
    files = {**generate.package(modules, chosen, proofs), **beside}
    if fused is not None and stack is not None:
        name, text = generate.fused_file(fused, stack, modules, proofs)
        files[name] = text
    if options.check:
        return _compare(options, output, files)
    return _write(options, output, files, modules)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why nothing is generated."""

    diagnostics: tuple[Diagnostic, ...]
    status: Status


def _refuse(output: Output, refusal: _Refusal) -> Status:
    output.diagnostics(refusal.diagnostics)
    output.data({"status": int(refusal.status), "errors": [each.to_data() for each in refusal.diagnostics]})
    return refusal.status


def _require_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RequestError(
            Diagnostic(rules.NOT_OURS, "this is no folder", Place(str(folder)), fix=rules.NOT_OURS.advice)
        )


def _fused(options: Options) -> Fused | None:
    """What is to be fused, if anything.

    Raises:
        RequestError: the layers, the signature or an import are wrong.
    """
    if not options.fuse:
        if options.signature or options.imports:
            fix = "add `--fuse retry,breaker,bulkhead`, or leave the signature away"
            raise RequestError(Diagnostic(rules.BAD_FUSION, "a signature without layers", fix=fix))
        return None
    layers = fusion.layers([name.strip() for name in options.fuse.split(",")])
    shape = fusion.signature(options.signature or "call(*args: Any, **kwargs: Any) -> Any")
    if shape.asynchronous and not options.asynchronous:
        fix = "leave `--sync-only` away, or fuse a plain function"
        raise RequestError(Diagnostic(rules.BAD_FUSION, "an asynchronous signature with `--sync-only`", fix=fix))
    wrong = [line for line in options.imports if not fusion.is_import(line)]
    if wrong:
        fix = "write it so: `from decimal import Decimal`"
        raise RequestError(Diagnostic(rules.BAD_FUSION, f"`{wrong[0]}` is no import statement", fix=fix))
    return Fused(layers, shape, options.imports)


def _stack() -> m.Specification:
    """The shipped specification of stacks."""
    return Loader().load(next(path for path in shipped() if path.stem == fusion.STACK.lower()))


def _load(named: Sequence[Path]) -> tuple[m.Specification, ...]:
    """The specifications, each machine once.

    Raises:
        RequestError: with everything that is wrong.
    """
    known = {path.stem: path for path in shipped() if path.parent.name == "patterns"}
    paths = [known[path.name] if path.name in known and not path.exists() else path for path in named]
    loader = Loader()
    found: dict[str, m.Specification] = {}
    wrong: list[Diagnostic] = []
    for file in verifying.find(paths):
        specification, diagnostics = loader.examine(file)
        if specification is None:
            wrong += diagnostics
        elif specification.name in found:
            message = f"two machines are called `{specification.name}`"
            notes = (Note("the other one", found[specification.name].place),)
            wrong.append(Diagnostic(rules.NO_CONVENTION, message, specification.place, fix="name one", notes=notes))
        else:
            found[specification.name] = specification
    if wrong:
        raise RequestError(*wrong)
    return tuple(found.values())


# --- proving ---------------------------------------------------------------------------------------------------------


def _prove(
    options: Options, output: Output, specifications: Sequence[m.Specification], pool: Pool, ledger: Ledger
) -> tuple[Mapping[str, str], _Refusal | None]:
    """The digest of each proof; or why there is none."""
    limit = max(1, int(options.limit * 1000))
    settings = Settings(solver=options.solver, quick=min(1_000, limit), slow=limit)
    proofs: dict[str, str] = {}
    wrong: list[Diagnostic] = []
    broken = False
    for number, specification in enumerate(specifications, 1):
        title = f"{specification.name} ({number} of {len(specifications)})"
        with verifying.Live(output.people, title) as live:
            machine = examine(specification, pool, settings, ledger, live)
        digest = proof_digest(machine)
        if digest is not None:
            proofs[specification.name] = digest
            output.say(f"{specification.name}: proved, {counted(len(machine.explained), 'claim')}", "green")
        else:
            broken |= any(each.standing is Standing.BROKEN for each in machine.explained)
            wrong += _unproved(machine)
    if wrong:
        return {}, _Refusal(tuple(wrong), Status.REFUSED if broken else Status.UNDECIDED)
    return proofs, None


def _unproved(machine: Verified) -> Iterator[Diagnostic]:
    if machine.trouble is not None:
        yield machine.trouble
    open_ = [each.diagnostic for each in machine.explained if each.diagnostic is not None]
    yield from open_
    name = machine.specification.name
    message = f"nothing is generated from `{name}`: {counted(len(open_), 'claim')} of it not proved"
    yield Diagnostic(rules.UNPROVED, message, machine.specification.place, fix=f"certify verify {machine.file}")


def _validate(
    options: Options, output: Output, modules: Sequence[Module], pool: Pool, ledger: Ledger
) -> _Refusal | None:
    """Why a module is not shown to do what its specification says; None if all are."""
    solvers = tuple(solver for solver in ("z3", "cvc5") if solver_version(solver))
    if len(solvers) < 2:
        output.say("one solver alone shows the code equal to its specification: cvc5 is not installed", "yellow")
    limit = max(1, int(options.limit * 1000))

    def answer(question: Question) -> Answer:
        found = ledger.find(question) or pool.ask(question)
        ledger.keep(question, found)
        return found

    wrong: list[Diagnostic] = []
    pool.begin(Silent())
    for module in modules:
        found = validate(module.candidate, solvers, lambda questions: pool.map(answer, questions), limit)
        wrong += found.wrong
        agreed = ", ".join(f"{solver} {count}" for solver, count in found.agreed.items())
        total = counted(len(found.equalities), "equality")
        output.say(f"{module.file}: {total} ({agreed})", "bold red" if found.wrong else "green")
    if not wrong:
        return None
    differs = any(each.rule is rules.DIFFERS for each in wrong)
    return _Refusal(tuple(wrong), Status.REFUSED if differs else Status.UNDECIDED)


# --- files -----------------------------------------------------------------------------------------------------------


def _compare(options: Options, output: Output, files: Mapping[str, str]) -> Status:
    """Whether the files are those that would be generated now."""
    wrong = [each for name, text in files.items() for each in _differences(options.folder / name, text)]
    output.diagnostics(wrong)
    status = Status.REFUSED if wrong else Status.HELD
    if not wrong:
        output.say(f"{counted(len(files), 'file')} as generated: {options.folder}", "green")
    data = {"status": int(status), "files": sorted(files), "findings": [each.to_data() for each in wrong]}
    output.data(data)
    return status


def _differences(path: Path, wanted: str) -> Iterator[Diagnostic]:
    at = Place(str(path), 1)
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        yield Diagnostic(rules.MISSING, "the file is not there", Place(str(path)), fix=rules.MISSING.advice)
        return
    found = certificate.read(text)
    if found is None:
        if path.name != PACKAGE:
            yield Diagnostic(rules.MISSING, "the file has no certificate", at, fix=rules.MISSING.advice)
    elif not found.intact:
        yield Diagnostic(rules.EDITED, "the file was edited after it was generated", at, fix=rules.EDITED.advice)
    elif text != wanted:
        now = certificate.read(wanted)
        assert now is not None
        yield Diagnostic(
            rules.STALE,
            "the file is stale",
            at,
            because=certificate.changes(found.certificate, now.certificate) or "what is generated now differs",
            fix=rules.STALE.advice,
        )


def _write(options: Options, output: Output, files: Mapping[str, str], modules: Sequence[Module]) -> Status:
    own = {name: text for name, text in files.items() if not _is_foreign_package(options.folder / name)}
    wrong = [each for name in own for each in _in_the_way(options.folder / name)]
    if any(each.rule is rules.NOT_OURS for each in wrong):
        raise RequestError(*wrong)
    if wrong:
        return _refuse(output, _Refusal(tuple(wrong), Status.REFUSED))
    write_all(options.folder, own)
    rows = [(str(options.folder / each.file), each.convention.machine, each.convention.exports[0]) for each in modules]
    rows += [
        (str(options.folder / name), options.fuse, name[:-3].replace("fused", "fuse"))
        for name in own
        if name.startswith("fused_")
    ]
    output.table(("file", "made of", "gives"), rows)
    if PACKAGE not in own:
        output.say(f"{options.folder / PACKAGE} is yours and stays as it is", "dim")
    output.data({"status": 0, "folder": str(options.folder), "files": sorted(own)})
    return Status.HELD


def _is_foreign_package(path: Path) -> bool:
    """Whether the folder is a package of the user's own."""
    return path.name == PACKAGE and path.is_file() and certificate.read(path.read_text(encoding="utf-8")) is None


def _in_the_way(path: Path) -> Iterator[Diagnostic]:
    if not path.exists():
        return
    found = certificate.read(path.read_bytes().decode("utf-8", errors="replace")) if path.is_file() else None
    at = Place(str(path), 1)
    if found is None:
        yield Diagnostic(rules.NOT_OURS, "the file was not generated", at, fix=rules.NOT_OURS.advice)
    elif not found.intact:
        fix = "undo the edit, or delete the file to have it generated again"
        yield Diagnostic(rules.EDITED, "the file was edited after it was generated", at, fix=fix)


def write_all(folder: Path, files: Mapping[str, str]) -> None:
    """Write several files, all or none as far as that can be told beforehand.

    Raises:
        OSError: they cannot be written; none is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".certify-") as staged:
        for name, text in files.items():
            (Path(staged) / name).write_text(text, encoding="utf-8", newline="\n")
        for name in files:
            (Path(staged) / name).replace(folder / name)
