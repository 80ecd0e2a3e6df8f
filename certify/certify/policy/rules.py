"""The codes of wrong policies (POL0xx) and of what policy says of a node (POL1xx, BUD1xx)."""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Rule

UNREADABLE: Final = Rule(
    "POL001", "A policy file or folder cannot be read.", "Name a folder of .cedar files, or one such file, in UTF-8."
)
SYNTAX: Final = Rule("POL002", "A policy is not Cedar.", "Correct the text at the place shown.")
SCHEMA: Final = Rule(
    "POL003",
    "A policy names something that questions about nodes do not have, or uses it as another type.",
    "Use the actions, entities and attributes of certify.cedarschema; test optional ones with `has`.",
)
ANNOTATION: Final = Rule(
    "POL004",
    "A policy lacks an annotation that reports need.",
    'Write @id("…") and @reason("…") before every policy, and @fix("…") before every forbid.',
)
DUPLICATE: Final = Rule("POL005", "Two policies have the same id.", "Give each policy an id of its own.")
TEMPLATE: Final = Rule(
    "POL006", "A policy is a template, which decides nothing.", "Replace ?principal and ?resource by conditions."
)
SETTINGS: Final = Rule("POL007", "policy.toml is wrong.", "Correct the key at the place shown.")
UNREAD_FILE: Final = Rule(
    "POL008",
    "A policy folder holds something that would not be read.",
    "Name policies *.cedar and put them in the folder itself; move other files away.",
)
LEFT_OUT: Final = Rule(
    "POL009", "`defaults.leave_out` names no shipped policy.", "Use the id of a shipped policy, or remove the entry."
)
NEVER: Final = Rule(
    "POL010", "A policy can never decide anything.", "Remove it, or correct its condition so that it can hold."
)

REFUSALS: Final[dict[str, Rule]] = {
    "publish": Rule("POL101", "A policy refuses the node.", "Do what the policy's @fix says."),
    "connect": Rule("POL102", "A policy refuses a host that the node talks to.", "Use a host that policy allows."),
    "hold": Rule("POL103", "A policy refuses a credential scope.", "Ask for a narrower scope."),
    "store": Rule("POL104", "A policy refuses a place where data rests.", "Keep the data where policy allows it."),
    "send": Rule(
        "POL105",
        "A policy refuses data that the node sent.",
        "Do not send it, or declare the class in the resource's `carries`.",
    ),
    "expose": Rule(
        "POL106", "A policy refuses a field of this class.", "Remove the field, or what makes it sensitive."
    ),
    "trust": Rule("POL107", "A policy refuses to take a module on trust.", "Remove the module from `trusts`."),
    "spend": Rule("BUD101", "A policy refuses the budget.", "Lower the budget, or split the work."),
}
"""The code of a refusal, by the action of its question."""

UNDECIDED: Final = Rule(
    "POL120",
    "A policy could not be evaluated, so nothing is decided.",
    "Correct the policy: an error in it never counts as permission.",
)
