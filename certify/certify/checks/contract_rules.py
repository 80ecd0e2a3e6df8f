"""What C-CONTRACT can find: its codes, and findings as they are before they are shown."""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Rule

CHECK: Final = "C-CONTRACT"

PROGRAMMING = Rule(
    "CON001",
    "A valid input ends in a programming error.",
    "Handle the input, or narrow the input's type so that it is refused before the call.",
)
FOREIGN = Rule(
    "CON002",
    "A valid input ends in an exception that the node neither defines nor raises itself.",
    "Catch it and raise an exception of the node's own, or narrow the input's type.",
)
ENDED = Rule(
    "CON003",
    "A run ends by a limit of the sandbox, or with the process.",
    "Bound the work by the input's type, and give up in time.",
)
MISFIT = Rule(
    "CON004",
    "The output does not have its declared type, or has no canonical form.",
    "Return what the type says: finite numbers, integers of 64 bits, text without surrogates.",
)
INVALID_ENDED = Rule(
    "CON005",
    "An invalid input ends by a limit of the sandbox, or with the process.",
    "Refuse it by its type, or before any work is done.",
)
INVALID_ACCEPTED = Rule(
    "CON006",
    "An input that the published schema refuses is answered as if it were valid.",
    "Let the type refuse it, or publish the schema of what is accepted.",
)
MOSTLY_REFUSED = Rule(
    "CON007",
    "The input's type refuses most of what its schema allows.",
    "Say more in the type: bounds, patterns and formats, so that callers can read them in the schema.",
)
SWALLOWED = Rule(
    "CON010",
    "The node reports success although the upstream never confirmed.",
    "Raise the declared exception; only an answer that confirms the request is a success.",
)
OTHER_OUTCOME = Rule(
    "CON011",
    "The node answers an upstream's answer otherwise than declared.",
    "Make the node do what the manifest says, or declare what it does.",
)
OTHER_ERROR = Rule(
    "CON012",
    "The node raises another exception than the one declared for this upstream answer.",
    "Catch what the client raises and raise the declared class, or declare the class that is raised.",
)
UPSTREAM_PROGRAMMING = Rule(
    "CON013",
    "An upstream's answer ends in a programming error of the node.",
    "Check the answer before using it: status, content type, shape and values.",
)
OTHER_OUTPUT = Rule(
    "CON014", "The output on this upstream answer is not the declared one.", "Correct the node, or the manifest."
)
TOO_MANY = Rule(
    "CON015",
    "The node sends more requests than declared for this upstream answer.",
    "Stop when the answer cannot get better, and count the attempts.",
)
TOO_FEW = Rule(
    "CON016",
    "The node sends fewer requests than declared for this upstream answer.",
    "Try again as often as declared, or declare fewer attempts.",
)
TOO_LONG = Rule(
    "CON017",
    "The node takes longer than declared for this upstream answer.",
    "Give every attempt a time-out and all of them one deadline.",
)
NO_TIMEOUT = Rule(
    "CON018",
    "The node has no time-out of its own: it waits as long as the upstream likes.",
    "Limit the whole exchange, not only each read, and give up when the limit has passed.",
)
IMPATIENT = Rule(
    "CON019",
    "The node does not wait as long as the upstream's Retry-After asks.",
    "Wait that long, or give up when it does not fit the deadline.",
)
NO_DATES = Rule(
    "CON020",
    "The node does not read a Retry-After that is a date.",
    "Read both forms of RFC 9110, section 10.2.3: seconds and a date.",
)
OTHER_KEY = Rule(
    "CON021",
    "Attempts of one call carry different idempotency keys.",
    "Make the key once, from what identifies the call, and send it with every attempt.",
)
FOLLOWS = Rule(
    "CON022",
    "The node follows a redirect to a host that the manifest does not declare.",
    "Do not follow redirects, or only those to declared hosts.",
)
DECEIVED = Rule(
    "CON023",
    "The node sends its request although the certificate is another host's.",
    "Verify certificates; never switch the verification off.",
)
NO_RECOVERY = Rule(
    "CON024",
    "The node does not recover from a fault that hits one request, although it declares more attempts.",
    "Try again as declared.",
)
NOT_EXERCISED = Rule(
    "CON030",
    "A declared answer is never exercised: no input makes a request to its upstream.",
    "Add a fixture that makes the node ask this upstream, or remove the resource.",
)

#: Exceptions of Python itself that say that the program is wrong, whatever the input.
PROGRAMMING_ERRORS: Final = frozenset(
    {
        "TypeError",
        "AttributeError",
        "LookupError",
        "KeyError",
        "IndexError",
        "ArithmeticError",
        "ZeroDivisionError",
        "OverflowError",
        "FloatingPointError",
        "AssertionError",
        "NameError",
        "UnboundLocalError",
        "UnicodeError",
        "UnicodeDecodeError",
        "UnicodeEncodeError",
        "UnicodeTranslateError",
        "RecursionError",
        "NotImplementedError",
        "StopIteration",
        "StopAsyncIteration",
        "BufferError",
        "SystemError",
        "ReferenceError",
        "SyntaxError",
        "IndentationError",
        "ImportError",
        "ModuleNotFoundError",
        "EOFError",
        "SystemExit",
        "KeyboardInterrupt",
        "GeneratorExit",
        "CancelledError",
        "BaseExceptionGroup",
    }
)
