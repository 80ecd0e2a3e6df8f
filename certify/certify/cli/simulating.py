"""Behind `simulate`: one run of the reference interpreter, at random or by a script, in bounded time."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from certify.cli.output import Output
from certify.cli.status import Status
from certify.cli.verifying import find
from certify.specs import rules, script, tables
from certify.specs.explain import counted
from certify.specs.story import tell
from certify_spec import model as m
from certify_spec import rules as spec_rules
from certify_spec.diagnostics import Diagnostic, Place, RequestError
from certify_spec.evaluate import Evaluator, TooManyValuesError, World
from certify_spec.interpreter import Event, Simulation, first_world, simulate
from certify_spec.loader import Loader

MOST_EVENTS = 100_000
"""Arguments of one action that a step may have to try."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        specification: the file.
        steps: at most so many steps.
        seed: decides every choice.
        script: a file with the steps to take, instead of choices.
        instance: the finite instance to run in; the first that the file declares by default.
        limit: seconds that the run may take.
        as_json: whether one JSON document is wanted.
    """

    specification: Path
    steps: int = 20
    seed: int = 0
    script: Path | None = None
    instance: str | None = None
    limit: float = 60.0
    as_json: bool = False


def run(options: Options) -> Status:
    """Run, and show the run.

    Raises:
        RequestError: the specification, the script or the instance is wrong, or the run takes too long.
    """
    [file] = find([options.specification]) if not options.specification.is_dir() else _one(options.specification)
    output = Output(as_json=options.as_json)
    specification = Loader().load(file)
    if not specification.is_machine:
        message = f"`{specification.name}` is a theory"
        raise RequestError(Diagnostic(rules.NO_RUNS, message, specification.place, fix=rules.NO_RUNS.advice))
    with _within(options.limit, specification):
        world = first_world(specification, options.instance)
        events = None
        if options.script is None:
            _require_few(specification, world)
        else:
            events = _scripted(options.script, specification, world)
        found = simulate(specification, world, options.steps, options.seed, events)
    _show(output, specification, found, events)
    return Status.REFUSED if found.broken else Status.HELD


def _one(folder: Path) -> list[Path]:
    advice = "name one file of it"
    raise RequestError(Diagnostic(rules.NOT_A_SPECIFICATION, "this is a folder", Place(str(folder)), fix=advice))


def _scripted(file: Path, specification: m.Specification, world: World) -> tuple[Event, ...]:
    try:
        content = file.read_text(encoding="utf-8")
    except OSError as problem:
        because = problem.strerror or str(problem)
        raise RequestError(Diagnostic(rules.MISSING, "cannot be read", Place(str(file)), because=because)) from None
    except UnicodeDecodeError:
        raise RequestError(Diagnostic(rules.BAD_SCRIPT, "the script is not UTF-8 text", Place(str(file)))) from None
    return script.read(content, str(file), specification, world)


def _require_few(specification: m.Specification, world: World) -> None:
    """That the arguments of every action can be tried."""
    evaluator = Evaluator(specification, world)
    wrong = []
    for action in specification.actions.values():
        try:
            sizes = [sum(1 for _ in evaluator.values_of(kind)) for _, kind in action.parameters]
        except TooManyValuesError:
            sizes = [MOST_EVENTS + 1]
        if math.prod(sizes) > MOST_EVENTS:
            message = f"`{action.name}` has too many arguments to try in this instance"
            fix = "make its sorts and ranges smaller"
            wrong.append(Diagnostic(spec_rules.TOO_MANY, message, action.place, fix=fix))
    if wrong:
        raise RequestError(*wrong)


@contextmanager
def _within(seconds: float, specification: m.Specification) -> Iterator[None]:
    """End what takes longer. Signals reach the main thread only; elsewhere nothing is bounded by this."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def too_long(_number: int, _frame: FrameType | None) -> None:
        message = f"the run of `{specification.name}` took more than {seconds:g} s"
        raise RequestError(Diagnostic(rules.TOO_LONG, message, specification.place, fix=rules.TOO_LONG.advice))

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _show(output: Output, specification: m.Specification, found: Simulation, events: Sequence[Event] | None) -> None:
    story = tell(found.trace, specification)
    for line in tables.story_lines(story):
        output.say(line)
    taken = len(found.trace.steps)
    ended = f"{counted(taken, 'step')}"
    if found.stuck:
        ended += "; nothing can happen any more"
    elif events is not None and taken < len(events):
        ended += f"; the {counted(len(events) - taken, 'step')} after that were not taken"
    output.say(ended, "dim")
    for name in found.broken:
        output.say(f"broken: {name}", "bold red")
    output.data(
        {
            "trace": found.trace.to_data(),
            "story": story.to_data(),
            "broken": list(found.broken),
            "stuck": found.stuck,
        }
    )
