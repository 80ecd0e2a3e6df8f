"""The diagnostic codes of the manifest, each beside its meaning."""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Rule

UNREADABLE: Final = Rule("MAN001", "The manifest cannot be read.", "Name a node.toml that exists and may be read.")
NOT_TEXT: Final = Rule("MAN002", "The manifest is not plain text in UTF-8.", "Save the file as UTF-8 without a mark.")
TOO_BIG: Final = Rule("MAN003", "The manifest is too large or nests too deep.", "Shorten it.")
SYNTAX: Final = Rule("MAN004", "The manifest is not valid TOML 1.0.", "Correct it at the place named.")
SCHEMA: Final = Rule("MAN005", "The manifest's schema is missing or unknown.", "Write `schema = 1` as the first line.")
UNKNOWN_FIELD: Final = Rule("MAN006", "No field has this name here.", "Correct the name, or remove the field.")
WRONG_TYPE: Final = Rule("MAN007", "A value has the wrong type.", "Write a value of the type named.")
NOT_ONE_OF: Final = Rule("MAN008", "A value is not one of those allowed.", "Write one of the values listed.")
MISSING: Final = Rule("MAN009", "A required field is missing.", "Add the field.")
MALFORMED: Final = Rule("MAN010", "A value is not well-formed or out of range.", "Write it in the form named.")
NOT_CARRIED: Final = Rule(
    "MAN011", "Evidence cannot carry this value.", "Use finite numbers of 64 bits, composed text (NFC), no dates."
)
NAMED_TWICE: Final = Rule("MAN012", "Two things have the same name.", "Rename one, or remove it.")
AT_ODDS: Final = Rule("MAN013", "Two fields of one table do not go together.", "Change or remove one of them.")
NO_KEY: Final = Rule("MAN014", "An effectful node has no idempotency key.", "Add [idempotency] with `flow` and `key`.")
WRITES_UNCLAIMED: Final = Rule(
    "MAN015", "A resource is written by a node that claims not to write.", 'Claim effects = "effectful", or only read.'
)
NOT_PURE: Final = Rule(
    "MAN016", "A pure node declares a resource other than log and budget.", 'Claim "read_only", or drop the resource.'
)
ANSWERS: Final = Rule(
    "MAN017", "An upstream's answers are incomplete, or one is unknown.", "Say what the node does on each answer."
)
FIELD_PATH: Final = Rule(
    "MAN018", "A field's path is not well-formed.", "Write paths like customer.email, lines[].sku."
)
NO_FILE: Final = Rule("MAN019", "A file that the manifest names is not there.", "Create it, or correct the path.")
OUTSIDE: Final = Rule("MAN020", "A path leaves the manifest's folder.", "Keep the node's files in the node's folder.")
NOT_JSON: Final = Rule("MAN021", "A fixture is not one JSON value.", "Correct the file at the place named.")
NO_MODULE: Final = Rule("MAN022", "A module is not in the manifest's folder.", "Create it, or correct the name.")
PATTERN: Final = Rule("MAN023", "No shipped pattern has this name.", "Use the name of a shipped pattern.")
TOO_MUCH: Final = Rule("MAN024", "The node's own files are too large or too many.", "Keep other files elsewhere.")
FILE_NAME: Final = Rule("MAN025", "A file's name cannot be written in evidence.", "Rename it: composed UTF-8 (NFC).")
