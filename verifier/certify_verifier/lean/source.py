"""Lean source files, checked: parsed, elaborated over the built-in prelude, judged by the kernel.

Rules this module keeps:

- a file is accepted only when every command in it was understood and every declaration accepted;
- the prelude is checked like any file; its declarations are not part of the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from certify_spec.diagnostics import Diagnostic, Place, RequestError
from certify_verifier.lean import axioms, quotient, rules
from certify_verifier.lean.environment import QuotPart
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.command_parser import Parser, parse
from certify_verifier.lean.front.commands import Runner
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.names import Name
from certify_verifier.lean.report import Accepted, Declined, LeanReport, Rejected, overall
from certify_verifier.lean.session import DEFAULT_STEPS, Session, run_deep

MAX_SOURCE: Final = 4 * 1024 * 1024
"""The greatest source file read, in bytes."""


def check_source(
    path: Path | str, *, allowed: frozenset[Name] = axioms.STANDARD, steps: int = DEFAULT_STEPS, name: str = ""
) -> LeanReport:
    """Check a Lean source file that imports nothing.

    Args:
        path: the file.
        allowed: axioms that theorems may rest on.
        steps: steps that one declaration may take before it is left undecided.
        name: how messages name the file; the path when empty.

    Raises:
        RequestError: the file cannot be read.
    """
    shown = name or str(path)
    return check_text(read_source(Path(path), shown), shown, allowed=allowed, steps=steps)


def read_source(path: Path, shown: str) -> str:
    """The text of a source file.

    Raises:
        RequestError: it cannot be read, is too large or no UTF-8.
    """
    try:
        data = path.read_bytes()
        if len(data) > MAX_SOURCE:
            raise RequestError(
                Diagnostic(
                    rules.SOURCE_UNREADABLE, f"the file has {len(data)} bytes, {MAX_SOURCE} are read", Place(shown)
                )
            )
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        message = f"cannot read `{shown}`: {reason}"
        raise RequestError(
            Diagnostic(rules.SOURCE_UNREADABLE, message, Place(shown), fix=rules.SOURCE_UNREADABLE.advice)
        ) from error


def check_text(
    text: str, name: str, *, allowed: frozenset[Name] = axioms.STANDARD, steps: int = DEFAULT_STEPS
) -> LeanReport:
    """Check Lean source text; `name` is how messages name it. Otherwise as `check_source`."""
    for imported, spot in imports_of(text):
        message = f"{name}:{spot.line}:{spot.column}: `import {imported}` is read in a package only"
        return LeanReport(name, (), Declined(message))
    return check_texts([(name, text)], allowed=allowed, steps=steps)[0]


def check_texts(
    sources: Sequence[tuple[str, str]], *, allowed: frozenset[Name] = axioms.STANDARD, steps: int = DEFAULT_STEPS
) -> list[LeanReport]:
    """Check several source texts in the order given, each seeing what the ones before it declare.

    Args:
        sources: name and text of each; `import` commands at the start of a text are left to the caller.
        allowed: axioms that theorems may rest on.
        steps: steps that one declaration may take before it is left undecided.
    """
    before = prelude()
    return run_deep(lambda: _check(before.continued(allowed=allowed, steps=steps), sources))


@cache
def prelude() -> Session:
    """The prelude, checked once in a process.

    Raises:
        RuntimeError: the prelude is not accepted.
    """

    def load() -> Session:
        session = Session("prelude.lean")
        _load_prelude(session)
        return session

    return run_deep(load, keep=True)


def _check(session: Session, sources: Sequence[tuple[str, str]]) -> list[LeanReport]:
    return [check_in(session, name, text) for name, text in sources]


def imports_of(text: str) -> Iterator[tuple[Name, Spot]]:
    """The imports that a text starts with, each with its place; a text that is no Lean is left to its check."""
    try:
        parser = Parser(text, header=True)
        while parser.sees("import"):
            command = parser.command()
            if isinstance(command, s.Scoping):
                yield from ((imported, command.spot) for imported in command.names)
    except (Wrong, Unsupported):
        return


def check_in(session: Session, name: str, text: str) -> LeanReport:
    """Check source text over what a session knows; call inside `run_deep`. Imports are left to the caller."""
    session.entries.clear()
    session.file = name
    steps, comparisons = session.steps, session.comparisons
    runner = Runner(session, name)
    try:
        commands = parse(text)
    except Wrong as wrong:
        place = runner.place(wrong.spot)
        reason = Diagnostic(wrong.rule, wrong.message, place, because=wrong.because, fix=wrong.rule.advice)
        return LeanReport(name, (), Rejected(reason))
    except Unsupported as unsupported:
        spot = unsupported.spot
        message = f"{name}:{spot.line}:{spot.column}: {unsupported.what} is not supported by this checker"
        return LeanReport(name, (), Declined(message))
    except RecursionError:
        return LeanReport(name, (), Declined(f"{name}: the source is nested deeper than this checker follows"))
    runner.run(_after_imports(commands))
    entries = tuple(session.entries)
    verdict = overall((*(entry.verdict for entry in entries), *runner.verdicts))
    return LeanReport(name, entries, verdict, session.steps - steps, session.comparisons - comparisons)


def _after_imports(commands: Sequence[s.Command]) -> list[s.Command]:
    rest = list(commands)
    while rest and isinstance(rest[0], s.Scoping) and rest[0].word == "import":
        rest.pop(0)
    return rest


def _load_prelude(session: Session) -> None:
    """Check the prelude; a failure is a defect of this package.

    Raises:
        RuntimeError: the prelude is not accepted.
    """
    text = files("certify_verifier.lean").joinpath("prelude.lean").read_text(encoding="utf-8")
    logic, rest = text.split("-- equality --\n")
    data, axioms_ = rest.split("-- quotient --\n")
    _run_prelude(session, logic)
    assert session.check(quotient.equality(), Place("prelude.lean")).verdict == Accepted(), "equality is our own"
    _run_prelude(session, data)
    for part in QuotPart:
        entry = session.check(quotient.constant(part), Place("prelude.lean"))
        assert entry.verdict == Accepted(), "the quotient is the kernel's own"
    _run_prelude(session, axioms_)


def _run_prelude(session: Session, text: str) -> None:
    runner = Runner(session, "prelude.lean")
    runner.run(parse(text))
    bad = [*(e.verdict for e in session.entries), *runner.verdicts]
    for verdict in bad:
        if verdict != Accepted():
            raise RuntimeError(f"the prelude is not accepted: {verdict}")
