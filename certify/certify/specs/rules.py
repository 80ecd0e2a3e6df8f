"""The codes of verification: wrong requests from VER001 on, verdicts from VER101 on."""

from __future__ import annotations

from certify_spec.diagnostics import Rule

MISSING = Rule("VER001", "There is no specification at a path.", "Check the path.")
EMPTY_FOLDER = Rule("VER002", "A folder holds no specifications.", "Name a folder with `.ct` files, or the files.")
NOT_A_SPECIFICATION = Rule("VER003", "A file is no specification.", "Name files that end in `.ct`.")
NOT_OURS = Rule("VER004", "A file that would be overwritten was not written by this command.", "Name another file.")
BAD_SCRIPT = Rule("VER005", "A line of a script cannot be read.", "Write one action per line: `enter(c0)`.")
CONTRADICTORY = Rule("VER006", "Options exclude one another.", "Leave one of them away.")
NO_SOLVER = Rule("VER007", "A solver is not installed.", "Install it: `pip install 'certify-toolkit[second-solver]'`.")
NO_RUNS = Rule("VER008", "A theory has no state and no runs.", "Simulate a machine.")
TOO_LONG = Rule("VER009", "A simulation took too long.", "Make the instance smaller, or allow more with `--limit`.")
DISAGREEMENT = Rule(
    "VER010",
    "Two readings of a specification contradict each other; nothing is concluded from it.",
    "This is a defect of certify: report it with the specification.",
)
CACHE_UNUSABLE = Rule("VER011", "Answers cannot be kept.", "Set CERTIFY_CACHE to a folder that can be written.")

REFUTED = Rule("VER101", "A run breaks a property.", "Repair the machine or the property.")
NOT_INDUCTIVE = Rule(
    "VER102",
    "A step from a state that no invariant excludes breaks a property; no run is known to lead to that state.",
    "State what excludes the first state as a `lemma`, or strengthen the property.",
)
VACUOUS = Rule("VER103", "A property, action or assumption speaks of nothing.", "Repair what makes it impossible.")
UNDECIDED = Rule(
    "VER104", "A property is neither proved nor refuted.", "Look at the reason; a `lemma` or `--limit` may help."
)
BOUNDED = Rule("VER105", "A property is proved up to a bound only.", "Nothing is known beyond; a `lemma` may help.")
REDUNDANT = Rule(
    "VER106",
    "A part of a guard follows from the invariants and the rest of the guard: it changes nothing.",
    "Leave it away, or keep it for the reader.",
)
