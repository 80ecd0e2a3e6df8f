"""The fixed point: units, cells, who reads what, and what is recorded.

Rules this module keeps:

- a unit is visited again whenever something it read has grown; effects are recorded only once nothing grows any more;
- the first way in which a unit was reached is its witness;
- the number of visited expressions is bounded; past the bound the whole analysis is a blind spot.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from certify.analysis import catalogue
from certify.analysis.model import Assumption, Blind, Effect, Kind, Step
from certify.analysis.names import dotted, names_of
from certify.analysis.sources import Source, Sources, is_standard
from certify.analysis.values import (
    NOTHING,
    Cell,
    ClassInfo,
    External,
    Func,
    Method,
    Obj,
    OwnClass,
    OwnModule,
    Scope,
    Unit,
    Values,
)
from certify.manifest.model import Mode
from certify_spec.diagnostics import Place

#: Expressions visited before the analysis gives up: some hundred thousand lines, several times over.
_MOST_VISITS: Final = 8_000_000
_LONGEST_CALL: Final = 60


class Exhausted(Exception):
    """The bound on visits is reached."""


class Engine:
    """What every part of the walk shares."""

    def __init__(self, sources: Sources, trusts: Iterable[str]) -> None:
        self.sources = sources
        self.trusts = frozenset(module for module in trusts if not is_standard(module))
        self.recording = False
        self.type_only = False
        self.visits = 0
        self.effects: dict[tuple[object, ...], Effect] = {}
        self.blinds: dict[tuple[str, Place], Blind] = {}
        self.assumed: dict[str, Place] = {}
        self.implied: dict[tuple[str, int], frozenset[Kind]] = {}
        self.imports: dict[tuple[str, int], tuple[str, ...]] = {}
        self.reached: list[Unit] = []
        self.current: Unit
        self._queue: deque[Unit] = deque()
        self._waiting: set[Unit] = set()
        self._modules: dict[str, Unit] = {}
        self._units: dict[ast.AST, Unit] = {}
        self._classes: dict[ast.ClassDef, ClassInfo] = {}
        self._loose: dict[str, Cell] = {}
        self._constructing: set[ClassInfo] = set()
        self._methods: dict[str, dict[Unit, None]] = {}
        self._method_readers: dict[str, set[Unit]] = {}

    # -- cells ----------------------------------------------------------------------------------------------------

    def read(self, cell: Cell) -> Values:
        """The values of a cell; the current unit is visited again when they grow."""
        cell.readers.add(self.current)
        return cell.values

    def join(self, cell: Cell, values: Values) -> None:
        """Add values to a cell."""
        if cell.add(values):
            for reader in cell.readers:
                self.enqueue(reader)

    def loose(self, name: str) -> Cell:
        """Attributes of this name set on objects whose class the walk does not know."""
        return self._loose.setdefault(name, Cell())

    # -- units ----------------------------------------------------------------------------------------------------

    def enqueue(self, unit: Unit) -> None:
        """Visit the unit (again)."""
        if unit.reached and unit not in self._waiting:
            self._waiting.add(unit)
            self._queue.append(unit)

    def reach(self, unit: Unit, node: ast.AST | None) -> None:
        """Note that the current unit may run `unit`, because of what stands at `node`."""
        if not unit.reached:
            unit.reached = True
            unit.reached_from = (self.current, self.place(node)) if node is not None else None
            self.reached.append(unit)
            self.enqueue(unit)

    def settle(self, visit: Callable[[Unit], None]) -> None:
        """Visit units until nothing waits."""
        while self._queue:
            unit = self._queue.popleft()
            self._waiting.discard(unit)
            self.current = unit
            visit(unit)

    def module_unit(self, source: Source) -> Unit:
        """The unit of a module's body."""
        if source.module not in self._modules:
            tree = source.tree or ast.Module(body=[], type_ignores=[])
            names = names_of(tree.body)
            scope = Scope("module", None, source, frozenset(names.bound), firm=names.firm)
            self._modules[source.module] = Unit(f"module `{source.module}`", tree, scope, Place(source.file, 1, 1))
        return self._modules[source.module]

    def function_unit(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        scope: Scope,
        owner: ClassInfo | None,
    ) -> Unit:
        """The unit of a function's or a lambda's body."""
        if node not in self._units:
            body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
            names = names_of(body)
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            bound = (names.bound | {argument.arg for argument in every if argument}) - names.globals
            inner = Scope(
                "function", scope, scope.module, frozenset(bound), frozenset(names.globals), frozenset(names.nonlocals)
            )
            inner.owner = owner or scope.owner
            label = "lambda" if isinstance(node, ast.Lambda) else node.name
            label = f"{owner.name}.{label}" if owner else label
            unit = Unit(label, node, inner, self.place(node), owner)
            self._units[node] = unit
            if owner and not isinstance(node, ast.Lambda):
                self._methods.setdefault(node.name, {})[unit] = None
                for reader in self._method_readers.get(node.name, ()):
                    self.enqueue(reader)
        return self._units[node]

    def class_info(self, node: ast.ClassDef, scope: Scope) -> ClassInfo:
        """The class that a definition makes."""
        if node not in self._classes:
            names = names_of(node.body)
            inner = Scope(
                "class",
                scope,
                scope.module,
                frozenset(names.bound - names.globals),
                frozenset(names.globals),
                frozenset(names.nonlocals),
                names.firm,
            )
            self._classes[node] = ClassInfo(node.name, node, inner, self.place(node))
            inner.owner = self._classes[node]
        return self._classes[node]

    def methods_named(self, name: str) -> list[Unit]:
        """Every method of this name in the folder, as far as classes have been seen."""
        self._method_readers.setdefault(name, set()).add(self.current)
        return list(self._methods.get(name, {}))

    def run_module(self, name: str, node: ast.AST | None) -> OwnModule | None:
        """Import a module of the node: its packages' bodies and its own run. None when the folder has none."""
        if name not in self.sources.modules and name not in self.sources.packages:
            return None
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            source = self.sources.modules.get(".".join(parts[:count]))
            if source is None:
                continue
            self.reach(self.module_unit(source), node)
            if source.tree is None and node is not None:
                self.blind(source.module, "is a file that cannot be read as Python", node)
        return OwnModule(name)

    def module_scope(self, name: str) -> Scope | None:
        """The scope of a module of the node; None for a folder without `__init__.py`."""
        source = self.sources.modules.get(name)
        return self.module_unit(source).scope if source else None

    # -- places and paths -----------------------------------------------------------------------------------------

    def place(self, node: ast.AST | None) -> Place:
        """Where a node stands, in the current unit's file."""
        file = self.current.scope.module.file
        if node is None or not hasattr(node, "lineno"):
            return Place(file, 1, 1)
        end_line, end_column = getattr(node, "end_lineno", 0) or 0, getattr(node, "end_col_offset", 0) or 0
        return Place(file, node.lineno, getattr(node, "col_offset", 0) + 1, end_line, end_column + 1)

    def path(self, label: str, place: Place) -> tuple[Step, ...]:
        """The witness: from the entry point to `place`."""
        steps = [Step(label, place)]
        unit = self.current
        seen = set()
        while unit.reached_from is not None and unit not in seen:
            seen.add(unit)
            caller, where = unit.reached_from
            verb = "imports" if isinstance(unit.node, ast.Module) else "leads to"
            steps.append(Step(f"{caller.label} {verb} {unit.label}", where))
            unit = caller
        root = f"{unit.label} is imported" if isinstance(unit.node, ast.Module) else f"{unit.label} is the entry point"
        steps.append(Step(root, unit.place))
        return tuple(reversed(steps))

    # -- what is recorded -----------------------------------------------------------------------------------------

    def count(self) -> None:
        """Count one visited expression.

        Raises:
            Exhausted: the bound is reached.
        """
        self.visits += 1
        if self.visits > _MOST_VISITS:
            raise Exhausted

    def effect(
        self,
        kind: Kind,
        mode: Mode,
        call: str,
        node: ast.AST,
        *,
        target: str = "",
        exact: bool = True,
        resource: str = "",
        reason: str = "",
    ) -> None:
        """Record an effect at a node."""
        if not self.recording:
            return
        place = self.place(node)
        key = (kind, mode, target, exact, resource, place.file, place.line)
        if key not in self.effects:
            path = self.path(f"`{call}` {reason}" if reason else f"`{call}`", place)
            self.effects[key] = Effect(kind, mode, call, place, target, exact, resource, reason, path)

    def blind(self, what: str, why: str, node: ast.AST) -> None:
        """Record that the walk cannot follow what happens at a node."""
        if not self.recording:
            return
        place = self.place(node)
        self.blinds.setdefault((what, place), Blind(what, why, place, self.path(f"`{what}` {why}", place)))

    def housekeeping(self, name: str, node: ast.AST) -> None:
        """Record what a library call does for itself, on every line that it spans."""
        kinds = catalogue.implied(name) if self.recording else frozenset()
        if kinds:
            place = self.place(node)
            last = min(max(place.end_line, place.line), place.line + _LONGEST_CALL)
            for line in range(place.line, last + 1):
                key = (place.file, line)
                self.implied[key] = self.implied.get(key, frozenset()) | kinds

    def assume(self, module: str, node: ast.AST) -> None:
        """Record that a module is taken on trust."""
        if self.recording and not self.type_only:
            self.assumed.setdefault(module, self.place(node))

    def assumptions(self) -> tuple[Assumption, ...]:
        """The modules taken on trust."""
        return tuple(sorted(Assumption(module, place) for module, place in self.assumed.items()))

    # -- the catalogue, with trust --------------------------------------------------------------------------------

    def trusted(self, name: str) -> str:
        """The trusted module that a dotted name belongs to, or nothing."""
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            if ".".join(parts[:count]) in self.trusts:
                return ".".join(parts[:count])
        return ""

    def entry(self, name: str) -> catalogue.Known | None:
        """What the catalogue, or trust, says of a name outside the folder."""
        known = catalogue.lookup(name)
        if (known is None or known.verdict == "unknown") and self.trusted(name):
            return catalogue.Known("pure", "is taken on trust")
        return known

    # -- mentions -------------------------------------------------------------------------------------------------

    def mention(self, values: Values, node: ast.AST) -> None:
        """A function that is mentioned is a function that may be called."""
        for value in values:
            match value:
                case Func(unit):
                    self.reach(unit, node)
                case Method(unit, receiver):
                    self.receive(unit, frozenset({receiver}), node)
                case OwnClass(info):
                    self.instantiate(info, node)
                case External(name):
                    self.mention_external(name, node)
                case _:
                    self.mention_other(value, node)

    def receive(self, unit: Unit, receiver: Values, node: ast.AST) -> None:
        """Reach a method whose first parameter is `receiver`."""
        self.reach(unit, node)
        if unit.flavour != "static" and unit.parameters:
            self.join(unit.scope.cell(unit.parameters[0]), receiver)

    def mention_external(self, name: str, node: ast.AST) -> None:
        """Overridden where effects of external names are recorded."""
        raise NotImplementedError

    def mention_other(self, value: object, node: ast.AST) -> None:
        """Overridden where effects of external objects and capabilities are recorded."""
        raise NotImplementedError

    def instantiate(self, info: ClassInfo, node: ast.AST) -> None:
        """Objects of a class may come into being: the methods that the interpreter and its bases call are reached."""
        foreign = info.foreign_bases()
        passive = all(isinstance(b, External) and catalogue.PASSIVE_BASES.fullmatch(b.name) for b in foreign)
        for ancestor in info.lineage():
            self.read(ancestor.bases)
            for name in sorted(ancestor.scope.bound):
                special = (name.startswith("__") and name.endswith("__")) or name in catalogue.PASSIVE_HOOKS
                found = self.read(ancestor.scope.cell(name))
                # A base that is not the node's own may read every property, as models do when they are written out.
                read = bool(foreign) and any(isinstance(v, Func) and v.unit.flavour == "property" for v in found)
                if special or read or not passive:
                    self._hook(info, found, node)

    def _hook(self, info: ClassInfo, values: Values, node: ast.AST) -> None:
        for value in values:
            if isinstance(value, Func):
                receiver = OwnClass(info) if value.unit.flavour == "class" else Obj(info)
                self.receive(value.unit, frozenset({receiver}), node)

    def fill(self, unit: Unit, values: Values, *, skip_first: bool = False) -> None:
        """Put the values into every parameter of a function, but for the receiver."""
        first = unit.parameters[:1] if skip_first and unit.flavour != "static" else []
        for parameter in unit.every_parameter:
            if parameter.arg not in first:
                self.join(unit.scope.cell(parameter.arg), values)

    def written(self, node: ast.AST) -> str:
        """An expression as the node's author wrote it."""
        return dotted(node)


def union(parts: Iterable[Values]) -> Values:
    """All values of all parts."""
    return NOTHING.union(*parts)
