"""Every diagnostic code of the `.ct` language, beside its meaning.

SPEC0xx reading files, SPEC1xx characters and syntax, SPEC2xx names, SPEC3xx types, SPEC4xx finite instances and runs.
"""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Rule

UNREADABLE: Final = Rule("SPEC001", "A specification could not be read.", "Check the path and the file's permissions.")
NOT_TEXT: Final = Rule("SPEC002", "A specification is not UTF-8 text.", "Save the file as UTF-8.")
TOO_LARGE: Final = Rule("SPEC003", "A specification is larger than 4 MB.", "Split it into several machines.")
CYCLE: Final = Rule(
    "SPEC004", "Specifications refine one another in a circle.", "Refine towards the more abstract only."
)

UNEXPECTED: Final = Rule("SPEC101", "A word or sign stands where the grammar has no place for it.")
FOREIGN: Final = Rule("SPEC102", "A sign is not part of the language.", "Use the sign that the message names.")
LOOK_ALIKE: Final = Rule("SPEC103", "A character only looks like one of the language.", "Replace it by the plain one.")
BRACKETS: Final = Rule("SPEC104", "A bracket has no partner.", "Close each bracket with its own kind.")
OPEN_STRING: Final = Rule("SPEC105", "A text has no closing quote.", "Texts end on the line they begin on.")
TOO_DEEP: Final = Rule("SPEC106", "An expression nests too deeply.", "Name parts of it with `define`.")
HEADER: Final = Rule("SPEC107", "A file does not begin with one `machine` or `theory`.", "One file, one machine.")
LONG_WORD: Final = Rule("SPEC108", "A name or number is too long.")
BAD_NUMBER: Final = Rule("SPEC109", "Something is neither a number nor a name.")

UNKNOWN_NAME: Final = Rule("SPEC201", "A name is not declared.", "Declare it, or write the name that was meant.")
TWICE: Final = Rule("SPEC202", "A name is declared twice.", "Rename one of the two.")
UNKNOWN_TYPE: Final = Rule("SPEC203", "A type is not declared.", "Declare it as `sort`, `enum` or `record`.")
WRONG_KIND: Final = Rule("SPEC204", "A name stands for something else than is needed here.")
TOO_EARLY: Final = Rule("SPEC205", "A definition is used above the line that declares it.", "Move the definition up.")
RESERVED: Final = Rule("SPEC206", "A name is taken by the language itself.", "Choose another name.")
ASSIGNED_TWICE: Final = Rule("SPEC207", "An action assigns a variable twice.", "Updates are simultaneous: assign once.")
NOT_ASSIGNABLE: Final = Rule("SPEC208", "An action assigns something that is not a variable.")
BAD_SETTING: Final = Rule("SPEC209", "An instance sets something that has no size or value.")
BAD_REFINEMENT: Final = Rule("SPEC210", "A refinement leaves open how the abstract machine's parts are represented.")
UNUSED: Final = Rule("SPEC211", "A declaration is never used.", "Use it or remove it.")

MISMATCH: Final = Rule("SPEC301", "A value has another type than its place needs.")
BAD_OPERANDS: Final = Rule("SPEC302", "An operator has no meaning for the types of its operands.")
BAD_ARGUMENTS: Final = Rule("SPEC303", "Arguments do not fit what is called or indexed.")
UNCLEAR: Final = Rule("SPEC304", "The type of an expression cannot be told.", "Say the type by where the value goes.")
INFINITE: Final = Rule("SPEC305", "A binder ranges over infinitely many values.", "Give a range: `i in 0 .. n`.")
ABSOLUTE_TIME: Final = Rule(
    "SPEC306", "A decision would depend on an absolute clock reading.", "Compare differences of instants."
)
MISPLACED_PRIME: Final = Rule("SPEC307", "`'` (the next state) stands outside a step property.")
BAD_KEY: Final = Rule("SPEC308", "A type cannot be the key of a map or the element of a set.")
BAD_FIELD: Final = Rule("SPEC309", "A record or enum has no such field or case.")
CLOCK: Final = Rule("SPEC310", "The clock is changed other than by `tick`.")
STATEFUL: Final = Rule("SPEC311", "A declaration that holds once for all mentions the state.")
GHOST_LEAK: Final = Rule("SPEC312", "A ghost decides over what really happens.", "Only ghosts may depend on ghosts.")
FUNCTION_VALUE: Final = Rule("SPEC313", "A function stands where only plain data may.")
TOO_BIG: Final = Rule("SPEC314", "An expression grows too large when its definitions are written out.")

NO_INSTANCE: Final = Rule("SPEC401", "No finite instance satisfies the assumptions.")
NO_RUN: Final = Rule("SPEC402", "A run asks for a step that the machine cannot take.")
TOO_MANY: Final = Rule("SPEC403", "A finite instance has too many values to run through.", "Make its sizes smaller.")
