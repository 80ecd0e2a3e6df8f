"""Finds the line of a node that a broken schedule points to.

The schedule is run again and watched line by line. Four questions, by what went wrong:

- a value that should be equal in two deliveries differs: *where does it come from?* (`origin`)
- a delivery died, or was held: *what was it doing, and what had it just done?* (`Interrupted`)
- a redelivery did not repeat an effect that was lost: *where did it go another way?* (`parting`)
- a redelivery repeated an effect that had happened: *which line caused it?* (`request_line`, `writing_line`)

Lines of the node's own files only; what a library does counts for the line that called it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from certify.laboratory.record import Event, EventKind, RunRecord, Step
from certify_spec.diagnostics import Place

_SHORTEST_NEEDLE: Final = 6
_STEERING: Final = frozenset({"begin", "commit", "rollback"})
_CLIENTS: Final = ("http", "aiohttp", "urllib3", "requests")
_RANDOM_MODULES: Final = frozenset({"random", "uuid", "secrets"})


def own_steps(record: RunRecord, delivery: int) -> tuple[Step, ...]:
    """The lines that one delivery ran, those of importing the node left out."""
    if delivery >= len(record.steps):
        return ()
    return tuple(step for step in record.steps[delivery] if step.function != "<module>" and step.place.line)


def own_events(record: RunRecord, delivery: int) -> tuple[Event, ...]:
    """What one delivery did in the node's own lines, importing left out."""
    return tuple(e for e in record.events if e.delivery == delivery and e.place is not None and not e.importing)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Where a delivery was when it was interrupted.

    Attributes:
        doing: the line that was being run.
        done: the line that had been finished before it.
        used: the line of the last use of a capability that reads or writes a store or an upstream.
    """

    doing: Place | None = None
    done: Place | None = None
    used: Place | None = None


def interrupted(crashed: RunRecord, clean: RunRecord, delivery: int, whole: int = 0) -> Interrupted:
    """Where `delivery` of `crashed` was.

    Args:
        crashed: a run in which that delivery was killed at the point in question, watched line by line.
        clean: a run with the same beginning that went on, watched line by line.
        delivery: number of the delivery in `crashed`.
        whole: number of the delivery in `clean` that did the same and went on.
    """
    before, through = own_steps(crashed, delivery), own_steps(clean, whole)
    doing = through[len(before)].place if len(before) < len(through) else None
    used = [event.place for event in own_events(crashed, delivery) if _uses_store(event)]
    return Interrupted(doing, before[-1].place if before else None, used[-1] if used else None)


_STORES: Final = frozenset({"db", "kv", "blob", "dedupe", "http"})


def _uses_store(event: Event) -> bool:
    """Whether the node used a store or an upstream through its context, beyond beginning and ending a transaction."""
    kind = event.target.split(".")[0]
    return event.via == "context" and kind in _STORES and event.detail.get("operation") not in _STEERING


def parting(first: Iterable[Step], second: Iterable[Step]) -> Place | None:
    """The last line that two deliveries have in common before they go different ways; None when they never do."""
    one, other = [step.place for step in first], [step.place for step in second]
    for position, (here, there) in enumerate(zip(one, other, strict=False)):
        if here != there:
            return one[position - 1] if position else here
    if len(one) != len(other) and one and other:
        return one[min(len(one), len(other)) - 1]
    return None


def origin(record: RunRecord, needles: Iterable[str], deliveries: Iterable[int]) -> Place | None:
    """The line where a value first appears: in what a capability answered, or in a local variable."""
    wanted = [text for needle in needles if len(text := _bare(needle)) >= _SHORTEST_NEEDLE]
    for delivery in deliveries:
        for needle in wanted:
            place = _answered(record, needle, delivery) or _assigned(record, needle, delivery)
            if place is not None:
                return place
    return None


def _bare(cell: str) -> str:
    """The text in a cell's representation."""
    return cell[1:-1] if cell[:1] in {"'", '"'} and cell[-1:] == cell[:1] else cell


def _answered(record: RunRecord, needle: str, delivery: int) -> Place | None:
    for event in own_events(record, delivery):
        drawn = event.via == "context" and event.target in {"random", "clock"}
        if drawn and needle in _texts(event.detail.get("result")):
            return event.place
    return None


def _texts(value: object) -> str:
    return f"{value!r} {value.hex()}" if isinstance(value, bytes) else repr(value)


def _assigned(record: RunRecord, needle: str, delivery: int) -> Place | None:
    for step in own_steps(record, delivery):
        if any(needle in text for text in step.values.values()):
            return step.place
    return None


def random_line(record: RunRecord, delivery: int) -> Place | None:
    """The line in which a delivery drew randomness itself: the last one, since the effect comes after it."""
    return _last(record, delivery, lambda e: e.kind is EventKind.RANDOM or e.target == "random")


def reading_line(record: RunRecord, delivery: int) -> Place | None:
    """The line in which a delivery read the clock or drew randomness, by its own hand."""

    def direct(event: Event) -> bool:
        through = event.detail.get("through") or ["context"] if event.via == "context" else event.detail.get("through")
        by_itself = not through or through[0] in {*_RANDOM_MODULES, "context"}
        return by_itself and (event.kind in {EventKind.RANDOM, EventKind.CLOCK} or event.target in {"random", "clock"})

    return _last(record, delivery, direct)


def request_line(record: RunRecord, delivery: int) -> Place | None:
    """The line that sent a delivery's last request that writes."""
    return (
        _last(record, delivery, lambda e: e.target.startswith("http.") and e.detail.get("mode") == "write")
        or _last(record, delivery, lambda e: e.kind in {EventKind.CONNECT, EventKind.RESOLVE})
        or _last(record, delivery, _is_client_at_work)
    )


def _is_client_at_work(event: Event) -> bool:
    """Whether an HTTP library was at it: an asynchronous one connects where no line of the node is on the stack."""
    at_work = {EventKind.CLOCK, EventKind.HOST, EventKind.THREAD, EventKind.RANDOM}
    return event.kind in at_work and any(str(m).startswith(_CLIENTS) for m in event.detail.get("through", ()))


def writing_line(record: RunRecord, delivery: int) -> Place | None:
    """The line of a delivery's last write: through a capability, or to a file."""

    def stores(event: Event) -> bool:
        return _uses_store(event) and event.detail.get("mode") == "write" and not _defines(event)

    return _last(record, delivery, stores)


def _defines(event: Event) -> bool:
    statement = (event.detail.get("arguments") or {}).get("statement", "")
    return isinstance(statement, str) and statement.lstrip().upper().startswith(("CREATE", "SELECT", "PRAGMA"))


def opening_line(record: RunRecord, delivery: int) -> Place | None:
    """The line in which a delivery opened what it wrote to."""
    return _last(record, delivery, lambda e: e.kind in {EventKind.WRITE, EventKind.DATABASE})


def _last(record: RunRecord, delivery: int, wanted: Callable[[Event], bool]) -> Place | None:
    places = [event.place for event in own_events(record, delivery) if wanted(event)]
    return places[-1] if places else None


def shared_derivation(first: RunRecord, second: RunRecord, needle: str, deliveries: tuple[int, int]) -> Place | None:
    """Where a value that should tell two messages apart lost the difference.

    In the function that gave the value: the first line whose results are equal for both messages.
    """
    one, other = own_steps(first, deliveries[0]), own_steps(second, deliveries[1])
    made = next((i for i, step in enumerate(one) if any(needle in text for text in step.values.values())), None)
    if made is None:
        return None
    function = one[made].function
    for here, there in _same_call(one, other, made, function):
        if here.values and here.values == there.values:
            return here.place
    return one[made].place


def _same_call(one: tuple[Step, ...], other: tuple[Step, ...], made: int, function: str) -> Iterator[tuple[Step, Step]]:
    start = made
    while start > 0 and one[start - 1].function == function:
        start -= 1
    for position in range(start, made + 1):
        if position < len(other) and other[position].place == one[position].place:
            yield one[position], other[position]
