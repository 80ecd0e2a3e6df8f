"""The tape: what fits is read back, what does not is told of or counted."""

from __future__ import annotations

from certify.laboratory.inside.tape import Tape

CAPACITY = 16_384


def test_records_are_read_back_in_order() -> None:
    """A tape gives what was written to it."""
    tape = Tape(CAPACITY)
    for number in range(3):
        tape.append({"number": number})
    assert ([*tape], tape.lost) == ([{"number": 0}, {"number": 1}, {"number": 2}], 0)
    tape.close()


def test_a_record_without_room_is_counted() -> None:
    """What is missing is known to be missing."""
    tape = Tape(CAPACITY)
    tape.append({"text": "x" * CAPACITY})
    assert ([*tape], tape.lost) == ([], 1)
    tape.close()


def test_there_is_room_for_what_is_said_instead() -> None:
    """The seeded case: a tape full of events, and then an answer that is too large; its place is kept."""
    tape = Tape(CAPACITY)
    while not tape.lost:
        tape.append({"event": "x" * 100})
    held = len([*tape])
    tape.append({"text": "x" * CAPACITY}, instead={"text": "too large"})
    assert ([*tape][held:], tape.lost) == ([{"text": "too large"}], 1)
    tape.close()
