"""The diagnostic codes of this floor."""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Rule

GHOST_READ: Final = Rule(
    "GEN001",
    "Real state depends on ghost state, which generated code does not have.",
    "Make the ghost a `var`, or do not read it where real state is decided.",
)
NOT_PRINTABLE: Final = Rule(
    "GEN002",
    "The code generator has no Python for this construct.",
    "Write the action without it, or keep the construct to properties and ghost state.",
)
NO_CONVENTION: Final = Rule(
    "GEN003",
    "There is no calling convention for this machine.",
    "Name one of the shipped patterns; `certify generate --help` lists them.",
)
DIFFERS: Final = Rule(
    "GEN004",
    "The generated code does not do what the specification says.",
    "This is a defect of the generator or of a template: report it with the text above.",
)
UNDECIDED: Final = Rule(
    "GEN005",
    "No solver could say whether the generated code does what the specification says.",
    "Try again with a longer limit.",
)
UNPROVED: Final = Rule(
    "GEN006",
    "The specification is not proved, so nothing is generated from it.",
    "Run `certify verify` on it, and mend what it shows.",
)
EDITED: Final = Rule(
    "GEN007",
    "A generated file was edited.",
    "Undo the edit, or generate again; what is to differ belongs into the specification or beside the file.",
)
STALE: Final = Rule(
    "GEN008",
    "A generated file is older than what it was generated from.",
    "Generate again, and look at what changes.",
)
MISSING: Final = Rule(
    "GEN009",
    "A file that is to be checked is not there, or was not generated.",
    "Generate it.",
)
UNSAFE_ORDER: Final = Rule(
    "GEN010",
    "These patterns are not safe in this order.",
    "Use the order that is named.",
)
NOT_OURS: Final = Rule(
    "GEN011",
    "A file that was not generated is in the way.",
    "Name another folder, or move the file.",
)
NO_ADAPTER: Final = Rule("GEN013", "There is no adapter of this name.", "Use one of those that are named.")
BAD_FUSION: Final = Rule(
    "GEN012",
    "The layers or the signature of a fused frame are wrong.",
    "See `certify generate --help`.",
)
