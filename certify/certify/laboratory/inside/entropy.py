"""The generators of this process: seeded for a delivery, and set back after a call that does not count.

Entropy proper comes from the kernel's side of the laboratory (`certify.laboratory.kernel`); here is what draws on it
once and goes on by itself.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Iterator
from typing import Any

from certify.laboratory import filters


def seed(value: bytes) -> None:
    """Seed the generators that are shared by a whole process: they were made before it was forked."""
    random.seed(value)
    numbers = _numpy()
    if numbers is not None:
        numbers.seed(int.from_bytes(value[:4], "little"))


@contextlib.contextmanager
def drawn_again() -> Iterator[None]:
    """What is drawn in here is drawn again afterwards: all that is left is what the node itself keeps.

    OpenSSL's own generator cannot be set back.
    """
    os.getrandom(0, filters.MARK_ENTROPY)
    state, numbers = random.getstate(), _numpy()
    numbers_state = numbers.get_state() if numbers is not None else None
    try:
        yield
    finally:
        random.setstate(state)
        if numbers is not None:
            numbers.set_state(numbers_state)
        temporary = sys.modules.get("tempfile")
        if temporary is not None:
            vars(temporary)["_name_sequence"] = None  # made anew, from entropy, when a name is wanted
        os.getrandom(0, filters.REWIND_ENTROPY)


def _numpy() -> Any:
    return sys.modules.get("numpy.random")
