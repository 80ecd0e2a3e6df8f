"""Reads what came out of the sandbox: raw accounts in, records out. Nothing here touches the world.

What a sandbox sends is data of unknown honesty: it is read field by field, and what does not fit is a
`LaboratoryError`.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from certify.laboratory.kernel import Watch
from certify.laboratory.record import (
    Crashed,
    Event,
    EventKind,
    Exceeded,
    Exchange,
    Outcome,
    Plan,
    Raised,
    Returned,
    RunRecord,
    Step,
    Unencodable,
    Usage,
    World,
)
from certify.subject import Signature, Subject
from certify_spec.diagnostics import Diagnostic, Place, RequestError, Rule

NODE001 = Rule(
    "NODE001",
    "The node's entry point cannot be used.",
    "Name an importable module and a function with annotated parameters and result.",
)
NODE002 = Rule("NODE002", "Importing the node raised.", "Make the node's module importable by itself.")
NODE003 = Rule(
    "NODE003", "Importing the node did not come to an end.", "Import must only define; move the work into the function."
)

_FAILED_START: Final = 70
_FRAME: Final = re.compile(r'^  File "/node/([^"]+)", line (\d+) in ', re.MULTILINE)


class LaboratoryError(Exception):
    """The laboratory itself failed: its answer is neither yes nor no. Trying again may help."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The raw account of one delivery: from the supervisor, from the kernel, and of the closed world."""

    finished: Mapping[str, Any]
    watch: Watch | None
    closed: Mapping[str, Any]

    def records(self, kind: str) -> Iterator[Mapping[str, Any]]:
        """The tape's records of one kind."""
        return (record for record in self.finished["records"] if record.get("t") == kind)

    def first(self, *kinds: str) -> Mapping[str, Any] | None:
        """The first record of one of these kinds."""
        return next((record for record in self.finished["records"] if record.get("t") in kinds), None)


def _place(raw: Any) -> Place | None:
    return Place(str(raw[0]), int(raw[1])) if raw else None


def signature(reply: Reply, subject: Subject) -> tuple[Signature, tuple[str, ...]]:
    """The entry point's signature, and the modules to import beforehand.

    Raises:
        RequestError: importing raised, or there is no usable entry point.
    """
    described = reply.first("described")
    entry = subject.manifest.node.entry
    if described is None:
        _demand_started(reply)
        raise RequestError(_import_failure(reply, subject, entry))
    raw = described["signature"]
    modules = imported(reply, subject)
    found = Signature(
        input_schema=raw["input_schema"],
        output_schema=raw["output_schema"],
        parameters=tuple(raw["parameters"]),
        context=raw["context"],
        is_async=bool(raw["is_async"]),
        modules=modules,
        file=str(raw["file"]),
        line=int(raw["line"]),
    )
    return found, modules


def imported(reply: Reply, subject: Subject) -> tuple[str, ...]:
    """The modules that the delivery and the simulators of its world imported, but for the node's own."""
    own = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in subject.files
        if path.endswith(".py")
    }
    simulators = (record for record in reply.closed["account"] if record.get("t") == "modules")
    return tuple(
        str(name)
        for record in (*reply.records("modules"), *simulators)
        for name in record["names"]
        if name not in own and not str(name).startswith(("certify.laboratory", "__"))
    )


def texts(reply: Reply) -> tuple[str, ...]:
    """Texts that the node had compiled while it was imported, each once."""
    return tuple(dict.fromkeys(str(text) for record in reply.records("texts") for text in record["texts"]))


def _import_failure(reply: Reply, subject: Subject, entry: str) -> Diagnostic:
    no_entry, raised = reply.first("no-entry"), reply.first("raised")
    manifest = Place(subject.manifest_file, 1)
    if no_entry is not None:
        place = _place(no_entry["where"]) if no_entry["where"] and no_entry["where"][0] else manifest
        return Diagnostic(NODE001, no_entry["reason"], place, fix="correct `entry` or the function")
    if raised is not None:
        place = _place(raised["frames"][-1]) if raised["frames"] else manifest
        module = entry.partition(":")[0]
        return Diagnostic(
            NODE002,
            f"importing `{module}` raised {raised['type']}: {raised['message']}",
            place,
            because="the laboratory imports the node by itself, with the packages of its own environment",
            fix="install what is missing into certify's environment, or correct the import",
        )
    outcome = _outcome(reply)
    match outcome:
        case Exceeded(limit):
            return Diagnostic(
                NODE003, f"importing `{entry}` passed its {limit} limit", manifest, fix="do no work at import"
            )
        case Crashed(_planned, number, status):
            how = f"signal {number}" if number else f"exit status {status}"
            return Diagnostic(
                NODE002, f"importing `{entry}` ended the process with {how}", manifest, because=_said(reply)
            )
        case _:
            return Diagnostic(NODE002, f"importing `{entry}` gave no answer", manifest, because=_said(reply))


def _said(reply: Reply) -> str:
    return _printable(bytes(reply.finished["output"]).decode(errors="replace")).strip()[-400:]


def _printable(text: str) -> str:
    """The text without what a terminal would obey: escapes and other control characters are spelled out."""
    return "".join(
        sign if sign in "\n\t" or sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def _demand_started(reply: Reply) -> None:
    """Tell the laboratory's own failure in the sandbox apart from the node's.

    Raises:
        LaboratoryError: the process reported that it could not begin the delivery.
    """
    own = [str(r["what"]) for r in reply.records("trouble") if str(r["what"]).startswith("laboratory:")]
    if own and reply.finished["status"] == _FAILED_START:
        raise LaboratoryError(f"the delivery did not start: {own[0]}")


def record(plan: Plan, replies: list[Reply], subject: Subject) -> RunRecord:
    """The record of a run.

    Raises:
        LaboratoryError: the laboratory's own code failed inside the sandbox, or its account does not fit.
        RequestError: the node could not be imported.
    """
    events: list[Event] = []
    for position, reply in enumerate(replies):
        _demand_started(reply)
        if reply.first("no-entry") is not None:
            raise RequestError(_import_failure(reply, subject, subject.manifest.node.entry))
        events += [_event(raw, position) for raw in reply.records("event")]
        if reply.watch is not None:
            events += reply.watch.events
    closed = replies[0].closed
    trouble = [str(r["what"]) for r in closed["account"] if r.get("t") == "trouble"]
    return RunRecord(
        plan=plan,
        outcomes=tuple(_outcome(reply) for reply in replies),
        events=tuple(events),
        exchanges=tuple(_exchange(raw) for raw in closed["account"] if raw.get("t") == "exchange"),
        world=_world(closed["world"]),
        effectful_calls=tuple(reply.watch.counted if reply.watch else 0 for reply in replies),
        usage=tuple(_usage(reply) for reply in replies),
        steps=tuple(tuple(_step(raw) for raw in reply.records("step")) for reply in replies),
        stderr="\n".join(filter(None, (_said(reply) for reply in replies))),
        modules=tuple(
            sorted({str(name) for reply in replies for r in reply.records("modules") for name in r["names"]})
        ),
        incomplete=_incomplete(replies, closed, trouble),
    )


def _incomplete(replies: list[Reply], closed: Mapping[str, Any], trouble: list[str]) -> str:
    lost = sum(int(reply.finished["lost"]) for reply in replies) + int(closed["lost"])
    parts = [f"{lost} records did not fit"] if lost else []
    parts += trouble
    parts += [str(r["what"]) for reply in replies for r in reply.records("trouble")]
    parts += ["the kernel's account is missing" for reply in replies if reply.watch is None and reply.first("returned")]
    return "; ".join(parts)


def _outcome(reply: Reply) -> Outcome:
    answer = reply.first("returned", "raised", "unencodable", "exceeded")
    finished = reply.finished
    if reply.watch is not None and reply.watch.crashed:
        return Crashed(planned=True, signal=signal.SIGKILL)
    if finished["exceeded"]:
        return Exceeded("wall")
    if finished["signal"] == signal.SIGXCPU:
        return Exceeded("cpu")
    if answer is None or finished["signal"] or (finished["status"] and answer["t"] != "returned"):
        return Crashed(planned=False, signal=int(finished["signal"]), status=int(finished["status"]))
    match answer["t"]:
        case "returned":
            return Returned(bytes(answer["output"]), bytes(answer["json"]))
        case "raised":
            return Raised(
                type=str(answer["type"]),
                message=_printable(str(answer["message"])),
                bases=tuple(map(str, answer["bases"])),
                frames=tuple(Place(str(f[0]), int(f[1]), int(f[2])) for f in answer["frames"]),
                rejected=bool(answer["rejected"]),
            )
        case "unencodable":
            return Unencodable(_printable(str(answer["reason"])))
        case _:
            return Exceeded("memory")


def _event(raw: Mapping[str, Any], delivery: int) -> Event:
    return Event(
        kind=EventKind(raw["kind"]),
        target=str(raw["target"]),
        delivery=delivery,
        detail=dict(raw["detail"]),
        place=_place(raw["place"]),
        via=str(raw["via"]),
        importing=bool(raw["importing"]),
    )


def _exchange(raw: Mapping[str, Any]) -> Exchange:
    return Exchange(
        resource=str(raw["resource"]),
        delivery=int(raw["delivery"]),
        method=str(raw["method"]),
        path=str(raw["path"]),
        headers=tuple((str(n), str(v)) for n, v in raw["headers"]),
        body=bytes(raw["body"]),
        status=int(raw["status"]),
        answer=bytes(raw["answer"]),
        acted=bool(raw["acted"]),
        fault=str(raw["fault"]),
        at=float(raw["at"]),
    )


def _world(raw: Mapping[str, Any]) -> World:
    return World(
        files=dict(raw["files"]),
        databases={path: {t: tuple(rows) for t, rows in tables.items()} for path, tables in raw["databases"].items()},
        texts=dict(raw["texts"]),
    )


def _usage(reply: Reply) -> Usage:
    used, finished = reply.first("used"), reply.finished
    if used is not None and not finished["exceeded"]:
        return Usage(float(used["wall"]), float(used["cpu"]), int(used["memory"]), _last_line(reply))
    return Usage(float(finished["wall"]), float(finished["cpu"]), int(finished["memory"]), _last_line(reply))


def _last_line(reply: Reply) -> Place | None:
    """The node's line at which the process was when it was ended: from the interpreter's last words."""
    left = reply.first("leaving", "exceeded")
    if left is not None:
        return _place(left["place"])
    words = bytes(reply.finished["trace"]).decode(errors="replace")
    main = words[max(0, words.rfind("(most recent call first)")) :]  # the thread that was hit comes last
    for text in (main, words):
        found = _FRAME.search(text)
        if found is not None:
            return Place(found[1], int(found[2]))
    return None


def _step(raw: Mapping[str, Any]) -> Step:
    return Step(
        Place(str(raw["file"]), int(raw["line"])), str(raw["function"]), dict(raw["values"]), int(raw["thread"])
    )
