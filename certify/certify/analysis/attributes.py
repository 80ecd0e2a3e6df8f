"""What attributes stand for: of modules, classes, objects, the context and what lies outside the folder.

Rules this module keeps:

- an attribute of an object is what its class and its ancestors bind, what was ever stored under that name, and what
  hooks and descriptors return;
- a method that is looked up is bound to its receiver at once;
- what leads to code, frames or namespaces is a blind spot.
"""

from __future__ import annotations

import ast
from typing import Final

from certify.analysis import catalogue, targets
from certify.analysis.calls import Calls
from certify.analysis.engine import union
from certify.analysis.targets import Arguments
from certify.analysis.values import (
    NOTHING,
    PLAIN,
    REPORTED,
    Bound,
    Capability,
    ClassInfo,
    Context,
    External,
    Func,
    Instance,
    Method,
    Obj,
    Opaque,
    Operation,
    OwnClass,
    OwnModule,
    Parent,
    Registry,
    Scope,
    Store,
    Value,
    Values,
)

_STORES: Final = frozenset({"kv", "blob", "db"})
_CAPABILITIES: Final = frozenset({"http", "clock", "random", "secrets", "dedupe", "budget", "log"})


class Attributes(Calls):
    """Look-up of attributes."""

    def expression(self, node: ast.expr | None, *, quiet: bool = False) -> Values:
        """Overridden: the values of an expression."""
        raise NotImplementedError

    def module_special(self, name: str, scope: Scope) -> Values | None:
        """Overridden: what the interpreter binds in every module, such as `__file__`."""
        raise NotImplementedError

    def starred(self, name: str, scope: Scope) -> Values:
        """Overridden: what star imports bind to a name."""
        raise NotImplementedError

    def _on_attribute(self, node: ast.Attribute) -> Values:
        owner = self.expression(node.value, quiet=True)
        return self.attribute(owner, node.attr, node)

    def attribute(self, values: Values, name: str, node: ast.AST) -> Values:
        """The attribute `name` of each of the values."""
        if name in catalogue.REFLECTIVE and not all(isinstance(v, Parent) for v in values):
            self.blind(self.written(node), "leads to code or names that the text does not show", node)
            return REPORTED
        return union(self._attribute(value, name, node) for value in values)

    def _attribute(self, value: Value, name: str, node: ast.AST) -> Values:
        match value:
            case External(owner):
                if self.trusted(owner) and catalogue.lookup(f"{owner}.{name}") is None:
                    return PLAIN
                other = catalogue.also_means(owner, name)
                return frozenset({External(f"{owner}.{name}")} | ({External(other)} if other else set()))
            case Instance():
                return self._instance_attribute(value, name)
            case OwnModule(module):
                return self._module_attribute(module, name, node)
            case OwnClass(info):
                return self._class_attribute_of(info, value, name, node)
            case Obj(info):
                return self._object_attribute(info, value, name, node)
            case Parent(info):
                return self._parent_attribute(info, name)
            case Context():
                return self._context_attribute(name, node)
            case Capability():
                return frozenset({Operation(value, name)})
            case Func(unit) if name == "register":
                return frozenset({Registry(unit)})
            case Func() | Method():
                return PLAIN | {value} | self.read(self.loose(name))
            case Opaque():
                found: Values = frozenset(Method(unit, Opaque(True)) for unit in self.methods_named(name))
                return frozenset({Opaque(True) if found else value}) | found | self.read(self.loose(name))
            case Store():
                self.blind(self.written(node), "reaches behind the context", node)
                return REPORTED
            case Bound():
                return PLAIN
            case _:
                return PLAIN | self.read(self.loose(name))

    def _instance_attribute(self, value: Instance, name: str) -> Values:
        if value.type == "pathlib.Path" and name == "parent":
            above = targets.parent(value.target) if value.exact else ""
            return frozenset({Instance("pathlib.Path", above, bool(above))})
        if value.type == "pathlib.Path" and name == "parents":
            return frozenset({Instance("pathlib.Path", "", exact=False)})
        if name.startswith("__"):
            return PLAIN
        return frozenset({Bound(value, name)})

    def _module_attribute(self, module: str, name: str, node: ast.AST) -> Values:
        scope = self.module_scope(module)
        found = NOTHING
        if scope is not None:
            special = self.module_special(name, scope)
            if special is not None:
                return special
            bound = name in scope.bound or name in scope.cells
            found = self.read(scope.cell(name)) if bound else self.starred(name, scope)
            if not bound and "__getattr__" in scope.bound:
                found = found | self.call(self.read(scope.cell("__getattr__")), Arguments([PLAIN]), node)
        below = self.run_module(f"{module}.{name}", node)
        if below is not None:
            return found | {below}
        if scope is not None and not found:
            return self.read(scope.cell(name))
        return found

    def _class_attribute_of(self, info: ClassInfo, value: Value, name: str, node: ast.AST) -> Values:
        found: list[Values] = []
        for bound in self.class_attribute(info, name):
            match bound:
                case Func(unit) if unit.flavour == "class":
                    found.append(frozenset({Method(unit, value)}))
                case Obj(descriptor) if self.class_attribute(descriptor, "__get__"):
                    found.append(self._described(descriptor, bound, frozenset({value}), node))
                case _:
                    found.append(frozenset({bound}))
        found += [self.read(ancestor.field_cell(name)) for ancestor in info.lineage()]
        result = union(found)
        if not result:
            result = self._inherited(info, name)
        for meta in self._metaclasses(info):
            result = result | self._object_attribute(meta, Obj(meta), name, node, missing=NOTHING)
        return result or self._missing(name)

    def _metaclasses(self, info: ClassInfo) -> list[ClassInfo]:
        return [
            v.info for a in info.lineage() for v in self.read(a.field_cell("<metaclass>")) if isinstance(v, OwnClass)
        ]

    def _object_attribute(
        self, info: ClassInfo, value: Obj, name: str, node: ast.AST, missing: Values | None = None
    ) -> Values:
        found: list[Values] = []
        for bound in self.class_attribute(info, name):
            match bound:
                case Func(unit) if unit.flavour == "property":
                    self.receive(unit, frozenset({value}), node)
                    found.append(self.read(unit.results))
                case Func(unit) if unit.flavour == "class":
                    found.append(frozenset({Method(unit, OwnClass(info))}))
                case Func(unit) if unit.flavour == "plain":
                    found.append(frozenset({Method(unit, value)}))
                case Obj(descriptor) if self.class_attribute(descriptor, "__get__"):
                    found.append(self._described(descriptor, bound, frozenset({value}), node))
                case _:
                    found.append(frozenset({bound}))
        found += [self.read(ancestor.field_cell(name)) for ancestor in info.lineage()]
        found.append(self.read(self.loose(name)))
        for hook in ("__getattr__", "__getattribute__"):
            for bound in self.class_attribute(info, hook):
                if isinstance(bound, Func) and not (name.startswith("__") and name.endswith("__")):
                    found.append(self.call_method(bound.unit, value, Arguments([PLAIN]), node))
        result = union(found)
        if result or missing is not None:
            return result
        return self._inherited(info, name) or self._missing(name)

    def _described(self, descriptor: ClassInfo, value: Obj, owner: Values, node: ast.AST) -> Values:
        return union(
            self.call_method(found.unit, value, Arguments([owner, owner]), node)
            for found in self.class_attribute(descriptor, "__get__")
            if isinstance(found, Func)
        )

    def _inherited(self, info: ClassInfo, name: str) -> Values:
        found: list[Values] = []
        for base in info.foreign_bases():
            match base:
                case External(owner) if catalogue.is_class(owner):
                    found.append(self._instance_attribute(Instance(owner, "", exact=False), name))
                case External(owner) if catalogue.PASSIVE_BASES.fullmatch(owner) or self.entry(owner):
                    found.append(PLAIN)
                case _:
                    found.append(frozenset({Opaque(True)}))
        return union(found)

    def _missing(self, name: str) -> Values:
        if name.startswith("__") and name.endswith("__"):
            return PLAIN
        return NOTHING

    def _parent_attribute(self, info: ClassInfo, name: str) -> Values:
        receiver = (
            self.read(self.current.scope.cell(self.current.parameters[0])) if self.current.parameters else NOTHING
        )
        objects = [value for value in receiver if isinstance(value, (Obj, OwnClass))] or [Obj(info)]
        others = [base for base in info.lineage() if base is not info]
        # A sibling in a diamond may come next, so every class that shares a descendant is a candidate.
        siblings = [a for o in objects for a in o.info.lineage() if a is not info and a not in others]
        for base in [*others, *siblings]:
            self.read(base.bases)
            found = self.read(base.scope.cell(name)) if name in base.scope.bound else NOTHING
            if found:
                return frozenset(
                    Method(v.unit, o) if isinstance(v, Func) and v.unit.flavour != "static" else v
                    for v in found
                    for o in objects
                )
        return self._inherited(info, name) or PLAIN

    def _context_attribute(self, name: str, node: ast.AST) -> Values:
        if name in _STORES:
            return frozenset({Store(name)})
        if name in _CAPABILITIES:
            return frozenset({Capability(name)})
        if name == "key":
            return PLAIN
        self.blind(self.written(node), "is not part of the context's interface", node)
        return REPORTED
