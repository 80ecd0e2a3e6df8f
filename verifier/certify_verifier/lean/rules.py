"""Diagnostic codes of the Lean checker, each beside its meaning.

LEAN1xx: the export file cannot be read. LEAN2xx: a declaration breaks the theory. LEAN3xx: the source text breaks the
language. LEAN4xx: a package is not in order.
"""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Rule

UNREADABLE: Final = Rule("LEAN100", "The export file cannot be read.", "Give the path of a readable UTF-8 file.")
NOT_JSON: Final = Rule("LEAN101", "A line of the export is not one JSON object.", "Export the proof again.")
BAD_META: Final = Rule("LEAN102", "The first line does not announce export format 3.x.", "Use lean4export 3.")
UNKNOWN_ITEM: Final = Rule("LEAN103", "A line is no item of export format 3.x.", "Export the proof again.")
BAD_FIELD: Final = Rule("LEAN104", "A field is missing, unknown or of the wrong kind.", "Export the proof again.")
DANGLING: Final = Rule("LEAN105", "An index refers to nothing written before.", "Export the proof again.")
REDEFINED_INDEX: Final = Rule("LEAN106", "An index is given twice or out of order.", "Export the proof again.")
DUPLICATE_KEY: Final = Rule("LEAN107", "A JSON object has a key twice.", "Export the proof again.")
TOO_LARGE: Final = Rule("LEAN108", "The export is larger than the reader accepts.", "Split the proof bundle.")
NO_THEOREM: Final = Rule("LEAN109", "The export declares nothing.", "Export at least one theorem.")

DUPLICATE_NAME: Final = Rule("LEAN200", "A name is declared twice.", "Rename one of the declarations.")
DUPLICATE_LEVEL: Final = Rule("LEAN201", "A declaration lists a universe parameter twice.", "Name it once.")
UNDECLARED_LEVEL: Final = Rule("LEAN202", "A universe parameter is used that the declaration does not list.")
LOOSE_BVAR: Final = Rule("LEAN203", "A bound variable points outside every binder.")
FREE_LOCAL: Final = Rule("LEAN204", "A declaration has a free variable.")
UNKNOWN_CONSTANT: Final = Rule("LEAN205", "A constant is used that is not declared.")
LEVEL_COUNT: Final = Rule("LEAN206", "A constant is given the wrong number of universe levels.")
METAVARIABLE: Final = Rule("LEAN207", "A declaration has a hole that was never filled.")
NOT_A_TYPE: Final = Rule("LEAN208", "A type was expected and something else stands there.")
NOT_A_FUNCTION: Final = Rule("LEAN209", "Something that is no function is applied.")
ARGUMENT_TYPE: Final = Rule("LEAN210", "An argument has another type than the function takes.")
LET_TYPE: Final = Rule("LEAN211", "A local definition has another type than it says.")
VALUE_TYPE: Final = Rule("LEAN212", "The value of a definition has another type than it says.")
PROOF_TYPE: Final = Rule("LEAN213", "The proof of a theorem proves another statement.")
THEOREM_NOT_PROP: Final = Rule("LEAN214", "A theorem states something that is no proposition.")
BAD_PROJECTION: Final = Rule("LEAN215", "A projection from something that is no structure, or of a missing field.")
PROP_PROJECTION: Final = Rule("LEAN216", "A projection takes data out of a proof.")
LITERAL: Final = Rule("LEAN217", "A literal is used where its type is not declared as Lean declares it.")
UNSAFE: Final = Rule("LEAN218", "An unsafe or partial declaration proves nothing.", "Leave it out of the export.")

INDUCTIVE_TYPE: Final = Rule("LEAN220", "The type of an inductive type is no product that ends in a universe.")
MUTUAL_MISMATCH: Final = Rule("LEAN221", "Mutual inductive types differ in parameters or in universe.")
NON_POSITIVE: Final = Rule("LEAN222", "An inductive type occurs to the left of an arrow in its own constructor.")
BAD_OCCURRENCE: Final = Rule("LEAN223", "An inductive type occurs in its own constructor in a way not allowed.")
FIELD_UNIVERSE: Final = Rule("LEAN224", "A field of a constructor lives in a greater universe than its type.")
CONSTRUCTOR_TYPE: Final = Rule("LEAN225", "A constructor does not build its inductive type.")
CONSTRUCTOR_PARAMETERS: Final = Rule("LEAN226", "A constructor does not start with its type's parameters.")
NESTED_PARAMETERS: Final = Rule("LEAN227", "A nested inductive type has parameters that depend on local variables.")
RECURSOR_LEVELS: Final = Rule("LEAN228", "A recursor eliminates into more, or fewer, universes than its type allows.")
RECURSOR_TYPE: Final = Rule("LEAN229", "A recursor has another type than the inductive type gives it.")
RECURSOR_RULE: Final = Rule("LEAN230", "A recursor computes otherwise than the inductive type says.")
RECURSOR_SHAPE: Final = Rule("LEAN231", "A recursor is missing, superfluous or counts wrongly.")
INDUCTIVE_FACTS: Final = Rule("LEAN232", "A fact recorded about an inductive type or constructor is wrong.")
EMPTY_INDUCTIVE: Final = Rule("LEAN233", "An inductive declaration has no type.")

QUOT_SHAPE: Final = Rule("LEAN240", "A part of the quotient type differs from Lean's.")
QUOT_NEEDS_EQ: Final = Rule("LEAN241", "The quotient type needs equality as Lean declares it.")
AXIOM_STATEMENT: Final = Rule("LEAN242", "An axiom with a standard name states something else.")
UNEXPECTED_AXIOM: Final = Rule("LEAN243", "A theorem rests on an axiom that is not allowed.", "Prove it instead.")
SORRY: Final = Rule("LEAN244", "A theorem rests on `sorry`.", "Finish the proof.")
RESTS_ON_REFUSED: Final = Rule("LEAN245", "A declaration rests on one that was not accepted.")

SOURCE_UNREADABLE: Final = Rule("LEAN300", "The source file cannot be read.", "Give the path of a readable UTF-8 file.")
BAD_TOKEN: Final = Rule("LEAN301", "The source has a character or token that Lean does not have here.")
BAD_SYNTAX: Final = Rule("LEAN302", "The source does not follow the grammar.")
UNKNOWN_NAME: Final = Rule("LEAN303", "A name is used that nothing in scope has.")
AMBIGUOUS_NAME: Final = Rule("LEAN304", "A name has two meanings here.", "Write the name in full.")
TYPE_MISMATCH: Final = Rule("LEAN305", "A term has another type than is wanted here.")
CANNOT_INFER: Final = Rule("LEAN306", "Something left out cannot be inferred.", "Write it out, or add a type.")
MISSING_CASE: Final = Rule("LEAN307", "A match does not cover every case.", "Add the missing alternative.")
REDUNDANT_CASE: Final = Rule("LEAN308", "An alternative of a match is never reached.", "Remove it.")
NOT_STRUCTURAL: Final = Rule(
    "LEAN309",
    "A definition calls itself on something that is not a direct part of the argument it matches on.",
    "Recurse on a field of the matched constructor.",
)
SORRY_SOURCE: Final = Rule("LEAN310", "The source has a `sorry`.", "Finish the proof.")
BAD_PATTERN: Final = Rule("LEAN311", "A pattern does not fit the type of what is matched.")
NOT_APPLICABLE: Final = Rule("LEAN312", "Arguments are given that the function does not take.")
BAD_ELIMINATION: Final = Rule("LEAN313", "A match takes data out of a proof.")
BAD_COMMAND: Final = Rule("LEAN314", "A command does not fit here.")

NO_PACKAGE: Final = Rule("LEAN400", "There is no Lean package here.", "Give the folder that has a `lakefile.toml`.")
UNKNOWN_IMPORT: Final = Rule("LEAN401", "A file imports what the package does not have.", "Add the file, or drop it.")
IMPORT_CIRCLE: Final = Rule("LEAN402", "Imports run in a circle.")
UNREACHED: Final = Rule("LEAN403", "A file is not reached from the package's root.", "Import it, or delete it.")
STALE: Final = Rule(
    "LEAN404",
    "A generated file is not what its specification gives.",
    "Run `certify lean --emit`, and mend the proofs.",
)
NOT_EMITTED: Final = Rule(
    "LEAN410",
    "Something in a specification has no translation into Lean.",
    "Leave it to the solver, or write it otherwise.",
)
