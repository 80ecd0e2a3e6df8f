"""The codes of conformance."""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Rule

MISSING: Final = Rule(
    "CNF001", "There is no adapter at that path.", "Name a Python file; docs/conformance.md shows one of five lines."
)
NO_PROPERTY: Final = Rule("CNF003", "There is no property of that name.", "Name some of P1 to P12.")
UNUSABLE: Final = Rule(
    "CNF002", "The adapter cannot be imported or used.", "See docs/conformance.md for what an adapter says."
)
