"""How elaboration ends when it does not succeed.

Rules this module keeps:

- `Wrong` refuses: the source breaks a rule of the language or of the theory;
- `Unsupported` declines: the source may be right, but this front end does not know the construct;
- both carry the place.
"""

from __future__ import annotations

from dataclasses import dataclass

from certify_spec.diagnostics import Rule


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A line and a column, both from 1."""

    line: int
    column: int


class Wrong(Exception):
    """The source breaks a rule; `rule` says which, `spot` where, `because` why."""

    def __init__(self, rule: Rule, message: str, spot: Spot, because: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.spot = spot
        self.because = because


class Unsupported(Exception):
    """The source uses something outside the supported part; `what` names it."""

    def __init__(self, what: str, spot: Spot) -> None:
        super().__init__(what)
        self.what = what
        self.spot = spot
