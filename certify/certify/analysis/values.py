"""Abstract values: what an expression may stand for, as far as effects care.

Rules this module keeps:

- a value stands for every run-time object it may be; a set of values is a disjunction, the empty one "not yet known";
- containers stand for their contents: a list of functions is the set of those functions beside plain data;
- sets only grow, and every kind of value is bounded, so that a fixed point is reached.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Final, Literal

from certify.analysis.sources import Source
from certify_spec.diagnostics import Place


@dataclass(frozen=True, slots=True)
class Data:
    """Plain data: its attributes and methods are data, and none has an effect."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """Anything. `reported` says whether the place it comes from has been named as a blind spot already."""

    reported: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A text known from the source; with `exact` false, only how it begins."""

    text: str
    exact: bool = True


@dataclass(frozen=True, slots=True)
class External:
    """A module, class, function or object outside the node's folder, by dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of an external class that the catalogue knows, with what it was opened on."""

    type: str
    target: str = ""
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Bound:
    """A method or attribute of an external object."""

    instance: Instance
    name: str


@dataclass(frozen=True, slots=True)
class OwnModule:
    """A module of the node."""

    name: str


@dataclass(frozen=True, slots=True)
class Func:
    """A function of the node; with `spread`, arguments may land in any parameter (a partial application)."""

    unit: Unit
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """A function of the node bound to its receiver."""

    unit: Unit
    receiver: Value


@dataclass(frozen=True, slots=True)
class OwnClass:
    """A class of the node."""

    info: ClassInfo


@dataclass(frozen=True, slots=True)
class Obj:
    """An instance of a class of the node."""

    info: ClassInfo


@dataclass(frozen=True, slots=True)
class Parent:
    """What `super()` gives in a method of `info`."""

    info: ClassInfo


@dataclass(frozen=True, slots=True)
class Context:
    """The capability context."""


@dataclass(frozen=True, slots=True)
class Store:
    """`ctx.kv`, `ctx.blob` or `ctx.db` before it is called with a name."""

    kind: str


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability of the context; `name` is empty for those that have none, or when the text does not say it."""

    kind: str
    name: str = ""
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a capability."""

    capability: Capability
    name: str


@dataclass(frozen=True, slots=True)
class Getter:
    """`operator.attrgetter(name)` or `operator.methodcaller(name)`."""

    name: str


@dataclass(frozen=True, slots=True)
class Registry:
    """`f.register` of a single-dispatch function: what it is given is called as `f` is."""

    unit: Unit


Value = (
    Data
    | Opaque
    | Text
    | External
    | Instance
    | Bound
    | OwnModule
    | Func
    | Method
    | OwnClass
    | Obj
    | Parent
    | Context
    | Store
    | Capability
    | Operation
    | Getter
    | Registry
)
Values = frozenset[Value]

DATA: Final = Data()
NOTHING: Final[Values] = frozenset()
PLAIN: Final[Values] = frozenset({DATA})
REPORTED: Final[Values] = frozenset({Opaque(True)})

_MOST_TEXTS: Final = 8
_MOST_INSTANCES: Final = 12


@dataclass(eq=False, slots=True)
class Cell:
    """A variable, attribute or result: its values so far, and the units to visit again when they grow."""

    values: Values = NOTHING
    readers: set[Unit] = field(default_factory=set)
    texts_dropped: bool = False
    targets_dropped: bool = False

    def add(self, values: Values) -> bool:
        """Join `values`; whether the cell grew."""
        if values <= self.values:
            return False
        joined = self._bounded(self.values | values)
        grew = joined != self.values
        self.values = joined
        return grew

    def _bounded(self, values: Values) -> Values:
        texts = [value for value in values if isinstance(value, Text)]
        if texts and (self.texts_dropped or len(texts) > _MOST_TEXTS):
            self.texts_dropped = True
            values = values.difference(texts) | PLAIN
        instances = [value for value in values if isinstance(value, Instance)]
        if instances and (self.targets_dropped or len(instances) > _MOST_INSTANCES):
            self.targets_dropped = True
            values = values.difference(instances) | {Instance(value.type, "", False) for value in instances}
        return values


@dataclass(eq=False, slots=True)
class Scope:
    """Names and their cells. Class scopes are skipped when a nested function looks a name up.

    Attributes:
        firm: names that the body binds on every path, with the line from which on they are bound.
        stars: modules that the body imports with a star.
        owner: the class in whose body the scope lies, however deeply nested.
    """

    kind: Literal["module", "class", "function"]
    parent: Scope | None
    module: Source
    bound: frozenset[str] = frozenset()
    globals: frozenset[str] = frozenset()
    nonlocals: frozenset[str] = frozenset()
    firm: dict[str, int] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    stars: dict[str, None] = field(default_factory=dict)
    owner: ClassInfo | None = None

    def cell(self, name: str) -> Cell:
        """The cell of a name that this scope binds."""
        return self.cells.setdefault(name, Cell())

    def root(self) -> Scope:
        """The module's scope."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope


@dataclass(eq=False, slots=True)
class Unit:
    """A stretch of code that runs as one: a module's body, a function, a lambda.

    Attributes:
        reached_from: the unit and the place that first led here; None for the roots.
        flavour: how a function in a class body takes its receiver.
        empty: parameters that no call in sight fills; they stand for anything.
    """

    label: str
    node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    place: Place
    owner: ClassInfo | None = None
    flavour: Literal["plain", "static", "class", "property"] = "plain"
    results: Cell = field(default_factory=Cell)
    reached: bool = False
    reached_from: tuple[Unit, Place] | None = None

    @property
    def parameters(self) -> list[str]:
        """Positional parameters, in order."""
        if isinstance(self.node, ast.Module):
            return []
        return [argument.arg for argument in (*self.node.args.posonlyargs, *self.node.args.args)]

    @property
    def every_parameter(self) -> list[ast.arg]:
        """All parameters, starred ones included."""
        if isinstance(self.node, ast.Module):
            return []
        args = self.node.args
        starred = [argument for argument in (args.vararg, args.kwarg) if argument]
        return [*args.posonlyargs, *args.args, *args.kwonlyargs, *starred]


@dataclass(eq=False, slots=True)
class ClassInfo:
    """A class of the node: the scope of its body, what it inherits, and the attributes that objects get later."""

    name: str
    node: ast.ClassDef
    scope: Scope
    place: Place
    bases: Cell = field(default_factory=Cell)
    fields: dict[str, Cell] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def field_cell(self, name: str) -> Cell:
        """The cell of an attribute set from outside the class body."""
        return self.fields.setdefault(name, Cell())

    def own_bases(self) -> list[ClassInfo]:
        """Direct bases that are classes of the node."""
        return [value.info for value in self.bases.values if isinstance(value, OwnClass)]

    def lineage(self) -> list[ClassInfo]:
        """This class and its ancestors among the node's classes, nearest first; cycles are cut."""
        seen: list[ClassInfo] = []
        todo = [self]
        while todo:
            info = todo.pop(0)
            if info not in seen:
                seen.append(info)
                todo += sorted(info.own_bases(), key=lambda base: (base.place, base.name))
        return seen

    def foreign_bases(self) -> frozenset[Value]:
        """Bases anywhere in the lineage that are not classes of the node."""
        return frozenset(
            value for info in self.lineage() for value in info.bases.values if not isinstance(value, OwnClass)
        )
