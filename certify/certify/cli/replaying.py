"""Behind `replay`: the same fixture in two surroundings, or a stored run given again."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from certify.checks.determinism import BASE, changes, same
from certify.checks.divergence import divergence
from certify.cli.output import Output
from certify.cli.status import Status
from certify.laboratory import archive
from certify.laboratory.laboratory import Laboratory
from certify.laboratory.record import Delivery, Environment, Observe, Outcome, Plan, Returned
from certify.subject import read_subject
from certify_spec.diagnostics import Diagnostic, RequestError, Rule

CLI008 = Rule("CLI008", "A factor or its value cannot be used.", "Write FACTOR=VALUE with one of the listed factors.")


def compare(manifest: Path, fixture: str | None, settings: list[str], *, as_json: bool) -> int:
    """Run a fixture in the pinned surroundings and in changed ones; without changes, twice in the pinned ones.

    Raises:
        RequestError: the manifest, the fixture's name or a setting is wrong.
    """
    folder = read_subject(manifest)
    name = fixture or next(iter(folder.inputs))
    if name not in folder.inputs:
        raise RequestError(
            Diagnostic(CLI008, f"no fixture is called {name}", because=f"there are {', '.join(folder.inputs)}")
        )
    environment = changed(settings)
    delivery = (Delivery(folder.inputs[name]),)
    with Laboratory(folder.subject, rehearsal=folder.rehearsal) as laboratory:
        first, second = laboratory.run_all(
            [Plan(delivery, BASE, observe=Observe.LINES), Plan(delivery, environment, observe=Observe.LINES)]
        )
    equal = same(first, second, folder.subject.manifest.node.tolerance)
    parted = None if equal else divergence(first, second)
    output = Output(as_json=as_json)
    output.table(
        ("surroundings", "answer"),
        [("pinned", _shown(first.outcomes[0])), (_named(environment), _shown(second.outcomes[0]))],
        title=f"{folder.subject.name}, fixture {name}",
    )
    if parted is not None:
        output.say(f"they part at {parted.place}: {parted.describe()}", "bold red")
    output.say("equal" if equal else "the answers differ", "green" if equal else "bold red")
    output.data(
        {
            "fixture": name,
            "changed": {key: archive.plain(value) for key, value in changes(environment).items()},
            "equal": equal,
            "answers": [_shown(first.outcomes[0]), _shown(second.outcomes[0])],
            "parted": archive.plain(parted) if parted else None,
        }
    )
    return Status.HELD if equal else Status.REFUSED


def again(manifest: Path, record: Path, *, as_json: bool) -> int:
    """Run a stored run's plan again; what can be observed must be equal, byte for byte.

    Raises:
        RequestError: the manifest is wrong, or the file holds no run.
    """
    folder = read_subject(manifest)
    data = record.read_bytes()
    try:
        plan = archive.plan_of(data)
        expected = archive.observable_of(data)
    except ValueError as error:
        raise RequestError(Diagnostic(CLI008, f"{record} holds no run", because=str(error))) from None
    with Laboratory(folder.subject, rehearsal=folder.rehearsal) as laboratory:
        found = archive.observable_bytes(laboratory.run(plan))
    equal = found == expected
    output = Output(as_json=as_json)
    output.say(
        "the run was given again, byte for byte"
        if equal
        else "the run was not given again: something observable differs",
        "green" if equal else "bold red",
    )
    output.data({"equal": equal})
    return Status.HELD if equal else Status.REFUSED


def changed(settings: list[str]) -> Environment:
    """The pinned surroundings with some factors changed.

    Raises:
        RequestError: a factor or a value cannot be used; all of them are named.
    """
    environment, problems = BASE, []
    kinds = {field.name: type(getattr(BASE, field.name)) for field in fields(Environment)}
    for setting in settings:
        name, _, text = setting.partition("=")
        try:
            if name.startswith("env."):
                environment = replace(environment, env=(*environment.env, (name.removeprefix("env."), text)))
            else:
                environment = replace(environment, **{name: _value(kinds[name], text)})
        except (KeyError, ValueError):
            among = ", ".join([*(kind for kind in kinds if kind != "env"), "env.NAME"])
            problems.append(
                Diagnostic(CLI008, f"{setting!r} cannot be set", because=f"factors are {among}", fix=CLI008.advice)
            )
    if problems:
        raise RequestError(*problems)
    return environment


def _value(kind: type, text: str) -> Any:
    if kind is bool:
        return {"true": True, "false": False}[text.lower()]
    if kind is tuple:
        raise ValueError(text)
    return kind(text)


def _named(environment: Environment) -> str:
    named = ", ".join(f"{key} {value}" for key, value in changes(environment).items())
    return named or "pinned, once more"


def _shown(outcome: Outcome) -> str:
    if isinstance(outcome, Returned):
        return outcome.json.decode(errors="replace")
    return repr(outcome)
