"""How a check ends when it does not accept: refused with a rule, or given up.

Rules this module keeps:

- `Refused` says that a rule of the theory is broken; `Exhausted` says that nothing was decided;
- neither is ever turned into an acceptance.
"""

from __future__ import annotations

from certify_spec.diagnostics import Rule


class Refused(Exception):
    """A rule of the type theory is broken.

    Attributes:
        rule: the stable code and its meaning.
        message: what broke it here.
    """

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(f"{rule.code}: {message}")
        self.rule = rule
        self.message = message


class Exhausted(Exception):
    """A bound on steps, depth or size was reached before a decision."""
