"""Which modules a process has imported since it was forked."""

from __future__ import annotations

import itertools
import sys


class Loaded:
    """The names of the modules that are there now, to tell later which are new."""

    def __init__(self) -> None:
        self.names = frozenset(sys.modules)
        self._last = next(reversed(sys.modules))

    def since(self) -> list[str]:
        """The names that have come since, sorted.

        Usually only they are looked at: to look at a name copies the page that it is on, and there are hundreds. When
        what was there before is not as it was, all are.
        """
        added = max(0, len(sys.modules) - len(self.names))
        latest = list(itertools.islice(reversed(sys.modules), added + 1))
        if latest[added:] == [self._last] and self.names.isdisjoint(latest[:added]):
            return sorted(latest[:added])
        return sorted(name for name in sys.modules if name not in self.names)
