"""Generated code in a node: that each pattern it names stands in a file that this release would generate again.

Rules this module keeps:

- a certificate is a claim: it counts only if the same text is generated again, from the shipped specification;
- the specification is proved again, with kept answers where there are any; what is not proved leaves the check unknown;
- the host never imports the node: what parameters it uses is read from its text.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from certify import codec
from certify.checks.workbench import Workbench
from certify.folders import cache_folder
from certify.manifest.files import Refused, read_inside
from certify.manifest.model import Pattern
from certify.specs.engine import Ledger, Pool, examine
from certify.specs.proof import proof_digest
from certify_codegen import certificate, generate
from certify_codegen.certificate import Sealed
from certify_codegen.patterns import CONVENTIONS
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, Place, Rule
from certify_spec.loader import Loader, shipped
from certify_verifier.verify import Settings

PAT001: Final = Rule(
    "PAT001",
    "No file of the node was generated from a pattern that it names.",
    "Generate it with `certify generate` and use it, or take the pattern out of the manifest.",
)
PAT002: Final = Rule(
    "PAT002",
    "A generated file was edited.",
    "Undo the edit: `certify generate --check` says in which file, and `certify generate` makes it again.",
)
PAT003: Final = Rule(
    "PAT003",
    "A generated file is not the one that this release generates from its specification.",
    "Generate it again with this release.",
)
PAT004: Final = Rule(
    "PAT004",
    "A pattern is used with other parameters than the manifest says.",
    "Make the two agree: give the parameter as a keyword with a constant, and name the same value in the manifest.",
)

MAX_SOURCE: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Generated:
    """What became of the patterns of a node.

    Attributes:
        findings: what refuses the node.
        undecided: why some pattern was not decided, empty when each was.
        measured: by pattern, the file, and the digests of its specification and of its proof.
    """

    findings: tuple[Diagnostic, ...]
    undecided: str
    measured: dict[str, Any]


def generated(bench: Workbench) -> Generated:
    """Whether each pattern that the manifest names stands in a generated file of the node."""
    texts = dict(_texts(bench))
    findings: list[Diagnostic] = []
    undecided, measured = "", {}
    for pattern in bench.subject.manifest.pattern:
        specification = _shipped(pattern.spec)
        found = _file_of(specification, texts)
        if found is None:
            findings.append(_finding(PAT001, f"no file was generated from `{pattern.spec}`", bench))
            continue
        file, sealed = found
        at = Place(file, 1)
        if not sealed.intact:
            findings.append(Diagnostic(PAT002, "the file was edited after it was generated", at, fix=PAT002.advice))
        elif not _is_current(specification, sealed, texts[file]):
            findings.append(
                Diagnostic(PAT003, f"this release generates another `{pattern.spec}`", at, fix=PAT003.advice)
            )
        else:
            proof = _proof(specification)
            if proof is None:
                undecided = undecided or f"`{pattern.spec}` was not proved within the limits"
            elif proof != sealed.certificate.proof:
                because = "the certificate names another proof than the one that is found"
                findings.append(
                    Diagnostic(PAT003, f"`{file}` has another proof", at, because=because, fix=PAT003.advice)
                )
            measured[pattern.spec] = {"file": file, "spec": sealed.certificate.spec, "proof": sealed.certificate.proof}
            findings += _parameters(pattern, specification, file, texts, bench)
    return Generated(tuple(findings), undecided, measured)


def _finding(rule: Rule, message: str, bench: Workbench, because: str = "") -> Diagnostic:
    return Diagnostic(rule, message, Place(bench.subject.manifest_file, 1), because=because, fix=rule.advice)


def _texts(bench: Workbench) -> Iterator[tuple[str, str]]:
    """The node's own Python files, as they were read for the subject."""
    for file, digest in sorted(bench.subject.files.items()):
        if not file.endswith(".py"):
            continue
        try:
            content = read_inside(bench.subject.root, file, MAX_SOURCE)
        except Refused:
            continue
        if codec.address(content) == digest:
            yield file, content.decode("utf-8", errors="replace")


def _shipped(name: str) -> m.Specification:
    return Loader().load(next(path for path in shipped() if path.stem == name and path.parent.name == "patterns"))


def _file_of(specification: m.Specification, texts: Mapping[str, str]) -> tuple[str, Sealed] | None:
    """The node's file that says it was generated from a specification."""
    for file, text in texts.items():
        sealed = certificate.read(text)
        if sealed is not None and sealed.certificate.machine == specification.name:
            return file, sealed
    return None


def _is_current(specification: m.Specification, sealed: Sealed, text: str) -> bool:
    """Whether this release generates the same text, given the proof that the certificate names."""
    if specification.name not in CONVENTIONS:
        return False
    for asynchronous in (True, False):
        options = generate.Options(asynchronous=asynchronous)
        if generate.flavour(options) == sealed.certificate.flavour:
            proved = generate.Proved(specification, sealed.certificate.proof)
            return generate.module(proved, options).text == text
    return False


def _proof(specification: m.Specification) -> str | None:
    """The digest of the specification's proof; None if it is not proved."""
    ledger = Ledger(cache_folder())
    with Pool(os.cpu_count() or 1) as pool:
        return proof_digest(examine(specification, pool, Settings(), ledger))


def _parameters(
    pattern: Pattern, specification: m.Specification, file: str, texts: Mapping[str, str], bench: Workbench
) -> Iterator[Diagnostic]:
    """Parameters of the manifest that no use of the pattern's class has."""
    name = CONVENTIONS[specification.name].exports[0]
    uses = [use for other, text in texts.items() if other != file for use in _uses(name, text)]
    if not pattern.params:
        return
    if not any(all(use.get(key) == value for key, value in pattern.params.items()) for use in uses):
        wanted = ", ".join(f"{key}={value!r}" for key, value in pattern.params.items())
        seen = "; ".join(", ".join(f"{key}={value!r}" for key, value in use.items()) for use in uses)
        because = f"it is used with {seen}" if seen else f"`{name}` is used nowhere"
        yield _finding(PAT004, f"no `{name}` of the node has {wanted}", bench, because)


def _uses(name: str, text: str) -> Iterator[dict[str, object]]:
    """The constant keyword arguments of each call of a class, by its name."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), keywords=keywords) if called == name:
                yield {
                    k.arg: k.value.value for k in keywords if k.arg is not None and isinstance(k.value, ast.Constant)
                }
            case _:
                pass
