"""The tape: what fits is read back, what does not is told of or counted."""

from __future__ import annotations

import os

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


def test_a_forked_process_does_not_write_over_the_records() -> None:
    """The seeded case: parent and child write at the same place; only the parent's records are there."""
    tape = Tape.opened(Tape(CAPACITY).descriptor)
    tape.append({"by": "parent"})
    pid = os.fork()
    if pid == 0:
        tape.append({"by": "child", "text": "x" * 100})
        os._exit(0)
    os.waitpid(pid, 0)
    tape.append({"by": "parent again"})
    assert ([*tape], tape.lost) == ([{"by": "parent"}, {"by": "parent again"}], 0)
    tape.close()


def test_damage_ends_the_reading_and_is_told() -> None:
    """A node can write into its tape: what cannot be read makes the run's record incomplete, and nothing more."""
    for garbage in (b"\xff" * 8, b"\x83\x01", b"\x01", bytes(8)):
        tape = Tape(CAPACITY)
        tape.append({"number": 1})
        start = tape._end
        tape.append({"number": 2})
        tape._memory[start + 4 : start + 4 + len(garbage)] = garbage
        *_read, last = tape
        assert (last["t"], _read) == ("trouble", [{"number": 1}])
        tape.close()
