"""Behind `verify`: find specifications, have them decided, show what was found, and write what was asked for."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from certify.cli.output import Output
from certify.cli.status import Status
from certify.folders import cache_folder
from certify.specs import json_view, pytest_file, rules, smt, tables
from certify.specs.engine import Ledger, Pool, Verified, examine
from certify.specs.explain import Standing, counted
from certify.specs.kept import Results, refined
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, Place, RequestError, Severity
from certify_spec.loader import Loader
from certify_verifier.redundancy import redundant_guards
from certify_verifier.verify import Settings

FORMATS = ("table", "md", "sarif", "junit")
SOLVERS = ("z3", "cvc5", "both")
_STYLES = {Standing.HELD: "green", Standing.BROKEN: "bold red", Standing.OPEN: "magenta"}
_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        paths: files and folders.
        as_json: whether one JSON document is wanted on standard output.
        form: one of `FORMATS`.
        solver: one of `SOLVERS`.
        jobs: worker processes; as many as there are processors by default.
        limit: seconds of effort for each question to a solver; `PATIENCE` times as many by the clock end it.
        budget: seconds for all questions of one machine.
        keeps: whether answers are kept between runs.
        every: whether the table has a row for everything, and guards that change nothing are noted.
        smt: the folder for SMT-LIB texts.
        as_test: the file for tests.
        html: the file for the page.
    """

    paths: tuple[Path, ...]
    as_json: bool = False
    form: str = "table"
    solver: str = "z3"
    jobs: int | None = None
    limit: float = 10.0
    budget: float = 600.0
    keeps: bool = True
    every: bool = False
    smt: Path | None = None
    as_test: Path | None = None
    html: Path | None = None


def run(options: Options) -> Status:
    """Verify once.

    Raises:
        RequestError: the request or a specification is wrong: everything that is, at once; nothing was written.
    """
    _require_sense(options, watching=False)
    output = Output(as_json=options.as_json or options.form != "table")
    subjects = _load(options, output)
    with _Bench(options, output) as bench:
        machines, written = bench.verify(subjects)
    status = _status(machines)
    if options.as_json:
        Output(as_json=True).data(json_view.document(machines, int(status), written))
    elif options.form != "table":
        sys.stdout.write(_rendered(options.form, machines))
    return status


def watch(options: Options) -> Status:
    """Verify, and again whenever a specification changes, until interrupted; gives the last status.

    Raises:
        RequestError: the request is wrong. A wrong specification is shown, and waited for.
    """
    _require_sense(options, watching=True)
    output = Output()
    status = Status.WRONG_REQUEST
    with _Bench(options, output) as bench:
        try:
            while True:
                seen = _stamps(options.paths, bench.abstract)
                status = _round(options, output, bench)
                output.say("waiting for changes; Ctrl-C ends", "dim")
                while _stamps(options.paths, bench.abstract) == seen:
                    _pause()
        except KeyboardInterrupt:
            bench.stop()
            output.say("stopped")
    return status


def _round(options: Options, output: Output, bench: _Bench) -> Status:
    try:
        machines, _ = bench.verify(_load(options, output))
    except RequestError as error:
        output.diagnostics(error.diagnostics)
        return Status.WRONG_REQUEST
    return _status(machines)


def _pause() -> None:
    time.sleep(_PAUSE_SECONDS)


def _stamps(paths: Sequence[Path], more: Sequence[Path]) -> Mapping[Path, tuple[int, int]]:
    """What tells that a file has changed, for every specification there is."""
    try:
        files = [*find(paths), *more]
    except RequestError:
        files = [*paths, *more]
    found: dict[Path, tuple[int, int]] = {}
    for file in files:
        try:
            told = file.stat()
        except OSError:
            continue
        found[file] = (told.st_mtime_ns, told.st_size)
    return found


# --- the request -----------------------------------------------------------------------------------------------------


def find(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The specifications at some paths: files as they are named, and those of folders in a stable order.

    Raises:
        RequestError: with each path at which there is none.
    """
    found: dict[Path, Path] = {}
    wrong: list[Diagnostic] = []
    for path in paths:
        try:
            for file in _at(path):
                found.setdefault(file.resolve(), file)
        except RequestError as error:
            wrong += error.diagnostics
    if wrong:
        raise RequestError(*wrong)
    return tuple(found.values())


def _at(path: Path) -> Iterator[Path]:
    at = Place(str(path))
    if path.is_dir():
        files = sorted(f for f in path.rglob("*.ct") if not _is_hidden(f.relative_to(path)) and f.is_file())
        if not files:
            raise RequestError(
                Diagnostic(rules.EMPTY_FOLDER, "no `.ct` file is here", at, fix=rules.EMPTY_FOLDER.advice)
            )
        yield from files
    elif not os.path.lexists(path):
        raise RequestError(Diagnostic(rules.MISSING, "there is nothing here", at, fix=rules.MISSING.advice))
    elif path.suffix != ".ct" or not path.is_file():
        advice = rules.NOT_A_SPECIFICATION.advice
        raise RequestError(Diagnostic(rules.NOT_A_SPECIFICATION, "this is no `.ct` file", at, fix=advice))
    else:
        yield path


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@dataclass(frozen=True, slots=True)
class _Subject:
    """A file with what it says: its specification, or what is known of it since an earlier run.

    Attributes:
        file: the file.
        meant: the one or the other.
        is_clean: whether there was nothing to warn of.
    """

    file: Path
    meant: m.Specification | Verified
    is_clean: bool = True


def _load(options: Options, output: Output) -> tuple[_Subject, ...]:
    loader = Loader()
    results = (
        Results(cache_folder(), _settings(options))
        if options.keeps and options.smt is None and not options.every
        else None
    )
    subjects: list[_Subject] = []
    told: dict[Diagnostic, None] = {}
    for file in find(options.paths):
        known = results.find(file, loader.shown(file.resolve())) if results else None
        if known is not None:
            subjects.append(_Subject(file, known))
            continue
        specification, diagnostics = loader.examine(file)
        told |= dict.fromkeys(diagnostics)
        if specification is not None:
            subjects.append(_Subject(file, specification, not diagnostics))
    if any(diagnostic.severity is Severity.ERROR for diagnostic in told):
        raise RequestError(*told)
    output.diagnostics(told)
    return tuple(subjects)


def _settings(options: Options) -> Settings:
    limit = max(1, int(options.limit * 1000))
    return Settings(solver=options.solver, quick=min(1_000, limit), slow=limit)


def _require_sense(options: Options, *, watching: bool) -> None:
    wrong = [
        Diagnostic(rule, message, fix=fix or rule.advice)
        for wrong, rule, message, fix in (
            (options.form not in FORMATS, rules.CONTRADICTORY, f"no form is called {options.form!r}", _one_of(FORMATS)),
            (options.solver not in SOLVERS, rules.CONTRADICTORY, f"no solver is {options.solver!r}", _one_of(SOLVERS)),
            (
                options.as_json and options.form != "table",
                rules.CONTRADICTORY,
                "--json and --format are two forms of one output",
                "",
            ),
            (
                watching and (options.as_json or options.form != "table"),
                rules.CONTRADICTORY,
                "--watch never ends, and --json and --format give one document",
                "",
            ),
            (
                options.solver != "z3" and importlib.util.find_spec("cvc5") is None,
                rules.NO_SOLVER,
                "cvc5 is not installed",
                "",
            ),
        )
        if wrong
    ]
    wrong += [*_unusable(options)]
    if wrong:
        raise RequestError(*wrong)


def _one_of(names: Sequence[str]) -> str:
    return f"use one of {', '.join(names)}"


def _unusable(options: Options) -> Iterator[Diagnostic]:
    """What is wrong with the places to write to, before anything is verified."""
    for target in (options.as_test, options.html):
        if target is not None and (target.is_dir() or target.suffix == ".ct"):
            yield Diagnostic(
                rules.NOT_OURS, "this is a folder or a specification", Place(str(target)), fix="name a file"
            )
    tests = options.as_test
    if tests is not None and tests.is_file() and not _is_ours(tests):
        because = f"a file written by --as-test begins with `{pytest_file.MARK}`"
        yield Diagnostic(
            rules.NOT_OURS, "the file is not overwritten", Place(str(tests)), because=because, fix=rules.NOT_OURS.advice
        )
    if options.smt is not None and options.smt.exists() and not options.smt.is_dir():
        yield Diagnostic(rules.NOT_OURS, "this is no folder", Place(str(options.smt)), fix="name a folder")


def _is_ours(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(pytest_file.MARK)) == pytest_file.MARK.encode()


# --- verifying -------------------------------------------------------------------------------------------------------


class _Bench:
    """Workers and kept answers, for one or several rounds of verification."""

    def __init__(self, options: Options, output: Output) -> None:
        self._options, self._output = options, output
        self._pool = Pool(options.jobs or os.cpu_count() or 1, budget=options.budget)
        self.abstract: tuple[Path, ...] = ()

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.__exit__(kind, error, trace)

    def stop(self) -> None:
        """Let running questions end now."""
        self._pool.stop()

    def verify(self, subjects: Sequence[_Subject]) -> tuple[tuple[Verified, ...], tuple[str, ...]]:
        """Decide and show each specification, and write what was asked for; gives what was written too."""
        options, output = self._options, self._output
        headed = [s.meant.specification if isinstance(s.meant, Verified) else s.meant for s in subjects]
        self.abstract = tuple(path for each in headed for path in refined(each))
        ledger = Ledger(cache_folder() if options.keeps else None)
        machines: list[Verified] = []
        for number, subject in enumerate(subjects, 1):
            if isinstance(subject.meant, Verified):
                machines.append(subject.meant)
            else:
                title = f"{subject.meant.name} ({number} of {len(subjects)})"
                machines.append(self._decide(subject, subject.meant, title, ledger))
            show(output, machines[-1], every=options.every)
            if options.every and isinstance(subject.meant, m.Specification):
                output.diagnostics(self._redundant(subject.meant, machines[-1], ledger))
        if ledger.trouble is not None:
            output.diagnostics([_uncached(ledger.trouble)])
        return tuple(machines), tuple(_write(options, machines, output))

    def _redundant(self, specification: m.Specification, verified: Verified, ledger: Ledger) -> Iterator[Diagnostic]:
        """A note for each part of a guard that changes nothing; none unless the invariants are proved."""
        if verified.trouble or any(each.standing is not Standing.HELD for each in verified.explained):
            return
        for guard in redundant_guards(specification, self._pool, ledger):
            message = f"`{guard.text}` in the guard of `{guard.action}` changes nothing"
            because = "the invariants and the rest of the guard imply it"
            fix = rules.REDUNDANT.advice
            yield Diagnostic(rules.REDUNDANT, message, guard.place, because=because, fix=fix, severity=Severity.NOTE)

    def _decide(self, subject: _Subject, specification: m.Specification, title: str, ledger: Ledger) -> Verified:
        settings = _settings(self._options)
        with Live(self._output.people, title) as live:
            verified = examine(specification, self._pool, settings, ledger, live)
        if self._options.keeps and subject.is_clean and ledger.trouble is None:
            try:
                Results(cache_folder(), settings).keep(subject.file, verified, refined(specification))
            except OSError as problem:
                ledger.trouble = problem
        return verified


def _uncached(problem: OSError) -> Diagnostic:
    return Diagnostic(
        rules.CACHE_UNUSABLE,
        "answers were not kept: the next run asks again",
        because=f"{problem.filename or cache_folder()}: {problem.strerror or problem}",
        fix=rules.CACHE_UNUSABLE.advice,
        severity=Severity.WARNING,
    )


class Live:
    """A bar on a terminal while a machine is decided; nothing in a pipe."""

    def __init__(self, console: Console, title: str) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24))
        self._live = Progress(
            *columns,
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._live.add_task(title, total=None)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def advanced(self, done: int, total: int) -> None:
        """Move the bar."""
        self._live.update(self._task, completed=done, total=total)


def _status(machines: Sequence[Verified]) -> Status:
    """The worst counts: broken before open before held."""
    standings = {explained.standing for machine in machines for explained in machine.explained}
    if Standing.BROKEN in standings:
        return Status.REFUSED
    if Standing.OPEN in standings or any(machine.trouble for machine in machines):
        return Status.UNDECIDED
    return Status.HELD


# --- showing and writing ---------------------------------------------------------------------------------------------


def show(output: Output, machine: Verified, *, every: bool = False) -> None:
    """A machine's table, and each counterexample, for people."""
    worst = _STYLES[_worst(machine)]
    output.say(tables.headline(machine), worst)
    output.say(f"  {machine.file}", "dim")
    known = tables.rows(machine, every=every)
    lines = tables.aligned(tables.COLUMNS, [tuple((cell,) for cell in row.cells) for row in known])
    for line, style in zip(lines, ["bold", *(_STYLES[row.explained.standing] for row in known)], strict=True):
        output.say(f"  {line}", "" if style == "green" else style)
    for line in (tables.sanity_line(machine) if not every else "", tables.agreement_line(machine)):
        if line:
            output.say(f"  {line}", "dim")
    for line in tables.lemma_lines(machine):
        output.say(f"  {line}", "dim")
    output.say("")
    if machine.trouble is not None:
        output.diagnostics([machine.trouble])
    for explained in machine.explained:
        if explained.diagnostic is None:
            continue
        output.diagnostics([explained.diagnostic])
        if explained.story is not None:
            output.say("")
            for line in tables.story_lines(explained.story, law=explained.finding.kind == "law"):
                output.say(f"    {line}", "bold red" if line.startswith("broken: ") else "")
        output.say("")


def _worst(machine: Verified) -> Standing:
    standings = {explained.standing for explained in machine.explained}
    if Standing.BROKEN in standings:
        return Standing.BROKEN
    return Standing.OPEN if Standing.OPEN in standings or machine.trouble else Standing.HELD


def _rendered(form: str, machines: Sequence[Verified]) -> str:
    match form:
        case "md":
            from certify.specs import markdown

            return markdown.render(machines)
        case "sarif":
            from certify.specs import sarif

            return sarif.render(machines)
        case _:
            from certify.specs import junit

            return junit.render(machines)


def _write(options: Options, machines: Sequence[Verified], output: Output) -> Iterator[str]:
    if options.smt is not None:
        texts = smt.files(machines)
        for name, text in texts.items():
            write_whole(options.smt / name, text)
        output.say(f"{counted(len(texts) - 1, 'obligation')}: {options.smt}")
        yield str(options.smt)
    if options.html is not None:
        from certify.specs import html

        write_whole(options.html, html.render(machines))
        output.say(f"page: {options.html}")
        yield str(options.html)
    if options.as_test is not None:
        refuted = pytest_file.refuted(machines)
        if refuted:
            write_whole(options.as_test, pytest_file.render(machines, options.as_test))
            output.say(f"{counted(len(refuted), 'counterexample')} as tests: pytest {options.as_test}")
            yield str(options.as_test)
        else:
            output.say("nothing is refuted: no test was written")


def write_whole(path: Path, text: str) -> None:
    """Write a file as a whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
