"""Behind `mutate`: a machine is broken on purpose, and its properties show which breaks they miss."""

from __future__ import annotations

from pathlib import Path

from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from certify.cli.output import Output
from certify.cli.status import Status
from certify.cli.verifying import find
from certify.specs import rules
from certify_spec.diagnostics import Diagnostic, RequestError
from certify_spec.loader import Loader
from certify_verifier.mutation import Fate, Outcome, mutants, mutate_some
from certify_verifier.solving import Solvers


def run(path: Path, *, jobs: int, as_json: bool) -> int:
    """Break the machine, and say of each mutant what became of it; survivors and undecided ones are shown.

    Raises:
        RequestError: there is no specification there, or it has no actions to break.
    """
    output = Output(as_json=as_json)
    [file] = find([path])[:1]
    specification = Loader().load(file)
    if not specification.is_machine:
        message = f"`{specification.name}` is a theory: it has no actions to break"
        raise RequestError(Diagnostic(rules.NO_RUNS, message, specification.place, fix="name a machine"))
    broken = mutants(specification)
    outcomes: list[Outcome] = []
    columns = (SpinnerColumn(), TextColumn("mutants"), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=output.people, transient=True, disable=not output.people.is_terminal)
    with Solvers(jobs) as solvers, bar:
        task = bar.add_task("mutants", total=len(broken))
        for start in range(0, len(broken), 2 * jobs):
            outcomes += mutate_some(specification, broken[start : start + 2 * jobs], solvers)
            bar.update(task, completed=len(outcomes))
    counts = {fate: sum(outcome.fate is fate for outcome in outcomes) for fate in Fate}
    left = [outcome for outcome in outcomes if outcome.fate in {Fate.SURVIVED, Fate.UNDECIDED}]
    if left:
        rows = [(str(o.mutant.place), o.mutant.action, o.mutant.change, o.fate.value) for o in left]
        output.table(("place", "action", "change", "fate"), rows, title=specification.name)
    counted = ", ".join(f"{count} {fate.value}" for fate, count in counts.items())
    output.say(f"{specification.name}: {len(outcomes)} mutants: {counted}", "bold red" if left else "green")
    output.data(
        {
            "specification": specification.name,
            "counts": {fate.value: count for fate, count in counts.items()},
            "mutants": [outcome.to_data() for outcome in outcomes],
        }
    )
    if counts[Fate.SURVIVED]:
        return Status.REFUSED
    return Status.UNDECIDED if counts[Fate.UNDECIDED] else Status.HELD
