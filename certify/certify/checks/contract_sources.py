"""What the node's own text says about an exception: whose class it is, and whether a line raises it.

The text is parsed and never run. A file that is no Python has no classes and raises nothing: the exceptions that come
out of it count as foreign.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from certify.checks.contract_rules import PROGRAMMING_ERRORS
from certify.laboratory.record import Raised
from certify.subject import Subject

_CONTEXT_ROOT: Final = "CapabilityError"
_DENIED: Final = "CapabilityDenied"
"""The context's answer to a use that the manifest does not declare: a mistake of the node, whatever the input."""
_BUILTIN: Final = frozenset(
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
)


@dataclass(frozen=True, slots=True)
class Sources:
    """The node's own exceptions.

    Attributes:
        classes: names of the classes that the node's files define.
        raising: the lines covered by `raise` statements, by file; with the name of the class raised, empty when the
            statement does not show it.
        declared: names that the manifest's answers declare as errors.
    """

    classes: frozenset[str]
    raising: dict[tuple[str, int], str]
    declared: frozenset[str]

    def is_own(self, error: Raised) -> bool:
        """Whether the exception is part of the node's interface: its own, declared, the context's, or raised by it."""
        if error.type in self.declared or (error.type in self.classes and error.type not in _BUILTIN):
            return True
        if _CONTEXT_ROOT in error.bases and error.type != _DENIED:
            return True
        return not is_programming(error) and self._raises(error)

    def _raises(self, error: Raised) -> bool:
        if not error.frames:
            return False
        place = error.frames[-1]
        named = self.raising.get((place.file, place.line))
        return named is not None and named in {"", error.type}


def is_programming(error: Raised) -> bool:
    """Whether it is one of Python's own exceptions that mean a mistake in the program."""
    return error.type in PROGRAMMING_ERRORS


def read(subject: Subject) -> Sources:
    """Parse the node's own Python files."""
    classes: set[str] = set()
    raising: dict[tuple[str, int], str] = {}
    for name in subject.files:
        if not name.endswith(".py"):
            continue
        try:
            tree = ast.parse((subject.root / name).read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes.add(node.name)
            elif isinstance(node, ast.Raise):
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    raising[name, line] = _raised(node.exc)
    return Sources(frozenset(classes), raising, frozenset(_declared(subject)))


def _raised(expression: ast.expr | None) -> str:
    if isinstance(expression, ast.Call):
        expression = expression.func
    if isinstance(expression, ast.Attribute):
        return expression.attr
    if isinstance(expression, ast.Name) and expression.id[:1].isupper():
        return expression.id
    return ""


def _declared(subject: Subject) -> Iterator[str]:
    for resource in subject.manifest.resource:
        for answer in resource.answers.values():
            if answer.error is not None and answer.error not in {"Exception", "BaseException"}:
                yield answer.error.rpartition(".")[2]
