"""Declarations that were accepted, and what the kernel derived from them.

Rules this module keeps:

- a declaration enters the environment only through `certify_verifier.lean.kernel`, after it was checked;
- constructors, recursors and their rules are always the ones this kernel generated itself;
- a name is declared once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from certify_verifier.lean import rules
from certify_verifier.lean.errors import Refused
from certify_verifier.lean.exprs import Const, Expr
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name
from certify_verifier.lean.terms import substitute_levels

OPAQUE_HEIGHT: Final = -1
ABBREVIATION_HEIGHT: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Constant:
    """What every declaration has: a name, universe parameters, a type."""

    name: Name
    levels: tuple[Name, ...]
    type: Expr


@dataclass(frozen=True, slots=True)
class Axiom(Constant):
    """A statement taken without proof."""


@dataclass(frozen=True, slots=True)
class Definition(Constant):
    """A definition; `height` orders unfolding and means nothing for what is accepted."""

    value: Expr
    height: int = 0


@dataclass(frozen=True, slots=True)
class Theorem(Constant):
    """A proposition with its proof."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Opaque(Constant):
    """A definition that never unfolds."""

    value: Expr


class QuotPart(StrEnum):
    """The four constants of the quotient type."""

    TYPE = "type"
    MAKE = "ctor"
    LIFT = "lift"
    IND = "ind"


@dataclass(frozen=True, slots=True)
class Quotient(Constant):
    """One constant of the quotient type."""

    part: QuotPart


@dataclass(frozen=True, slots=True)
class Inductive(Constant):
    """An inductive type. `group` lists the mutual types; `num_nested` counts auxiliary types made for nesting."""

    num_params: int
    num_indices: int
    group: tuple[Name, ...]
    constructors: tuple[Name, ...]
    is_recursive: bool
    is_reflexive: bool
    num_nested: int


@dataclass(frozen=True, slots=True)
class Constructor(Constant):
    """A constructor of `inductive`, the `index`-th."""

    inductive: Name
    index: int
    num_params: int
    num_fields: int


@dataclass(frozen=True, slots=True)
class RecursorRule:
    """What a recursor computes at one constructor: a function of parameters, motives, minors and fields."""

    constructor: Name
    num_fields: int
    value: Expr


@dataclass(frozen=True, slots=True)
class Recursor(Constant):
    """The eliminator of an inductive type; `k` says that it computes on any proof of the right type."""

    inductive: Name
    num_params: int
    num_indices: int
    num_motives: int
    num_minors: int
    rules: tuple[RecursorRule, ...]
    k: bool

    @property
    def major(self) -> int:
        """How many arguments stand before the value that is eliminated."""
        return self.num_params + self.num_motives + self.num_minors + self.num_indices


@dataclass(slots=True)
class Environment:
    """The accepted declarations by name.

    Attributes:
        constants: every declaration.
        has_nat: `Nat` is declared with `zero` and `succ`, so number literals mean something.
        has_bool: `Bool` is declared with `false` and `true`.
        fast: functions on numbers whose equations were proved.
        stated: equations of functions on numbers, by function and number, that accepted theorems state.
    """

    constants: dict[Name, Constant] = field(default_factory=dict)
    has_nat: bool = False
    has_bool: bool = False
    fast: set[Name] = field(default_factory=set)
    stated: set[tuple[Name, int]] = field(default_factory=set)
    _instances: dict[Const, Expr] = field(default_factory=dict)
    _values: dict[Const, Expr] = field(default_factory=dict)

    def copy(self) -> Environment:
        """An environment that may grow without changing this one."""
        return Environment(dict(self.constants), self.has_nat, self.has_bool, set(self.fast), set(self.stated))

    def add(self, constant: Constant) -> None:
        """Enter a checked declaration.

        Raises:
            Refused: the name is taken.
        """
        if constant.name in self.constants:
            raise Refused(rules.DUPLICATE_NAME, f"`{constant.name}` is already declared")
        self.constants[constant.name] = constant

    def withdraw(self, names: Sequence[Name]) -> None:
        """Take declarations back that were entered last and that nothing uses yet."""
        for name in names:
            del self.constants[name]
        self.has_nat = self.has_nat and "Nat" in self.constants
        self.has_bool = self.has_bool and "Bool" in self.constants
        self._instances.clear()
        self._values.clear()

    def get(self, name: Name) -> Constant:
        """The declaration with this name.

        Raises:
            Refused: there is none.
        """
        found = self.constants.get(name)
        if found is None:
            raise Refused(rules.UNKNOWN_CONSTANT, f"`{name}` is not declared")
        return found

    def type_of(self, const: Const) -> Expr:
        """The type of a constant at its levels.

        Raises:
            Refused: it is not declared, or takes another number of levels.
        """
        found = self._instances.get(const)
        if found is None:
            constant = self.get(const.name)
            found = self._instances[const] = substitute_levels(constant.type, self._levels(constant, const.levels))
        return found

    def value_of(self, const: Const) -> Expr | None:
        """The value a constant unfolds to at its levels, `None` when it does not unfold."""
        found = self._values.get(const)
        if found is None:
            constant = self.constants.get(const.name)
            if not isinstance(constant, Definition | Theorem) or len(constant.levels) != len(const.levels):
                return None
            found = self._values[const] = substitute_levels(constant.value, self._levels(constant, const.levels))
        return found

    def height_of(self, e: Expr) -> int | None:
        """How early a constant unfolds against another, `None` when it does not unfold."""
        if isinstance(e, Const):
            constant = self.constants.get(e.name)
            if isinstance(constant, Definition):
                return constant.height
            if isinstance(constant, Theorem):
                return OPAQUE_HEIGHT
        return None

    def structure(self, name: Name) -> Constructor | None:
        """The constructor of a structure: not recursive, no indices, exactly one constructor."""
        constant = self.constants.get(name)
        if isinstance(constant, Inductive) and not constant.is_recursive and constant.num_indices == 0:
            return self._sole_constructor(constant)
        return None

    def _sole_constructor(self, inductive: Inductive) -> Constructor | None:
        if len(inductive.constructors) != 1:
            return None
        found = self.constants.get(inductive.constructors[0])
        return found if isinstance(found, Constructor) else None

    def sole_constructor(self, name: Name) -> Constructor | None:
        """The constructor of an inductive type that has exactly one."""
        constant = self.constants.get(name)
        return self._sole_constructor(constant) if isinstance(constant, Inductive) else None

    @staticmethod
    def _levels(constant: Constant, given: Sequence[Level]) -> dict[Name, Level]:
        if len(constant.levels) != len(given):
            raise Refused(
                rules.LEVEL_COUNT,
                f"`{constant.name}` takes {len(constant.levels)} universe levels and is given {len(given)}",
            )
        return dict(zip(constant.levels, given, strict=True))
