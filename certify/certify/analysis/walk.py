"""The walk: statements, and the analysis as a whole.

Rules this module keeps:

- both branches of every condition are walked, but for `if TYPE_CHECKING` (types only) and `if __name__ == "__main__"`;
- whatever a module of the node does when it is imported counts, for every module the entry point imports;
- nothing raises: what cannot be walked is a blind spot.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Final

from certify.analysis import catalogue
from certify.analysis.calls import why_unknown
from certify.analysis.engine import Exhausted, union
from certify.analysis.expressions import Expressions
from certify.analysis.model import Analysis, Blind, Step
from certify.analysis.names import absolute, is_main_guard, is_type_checking, names_of
from certify.analysis.sources import Sources, is_standard
from certify.analysis.targets import Arguments
from certify.analysis.values import (
    NOTHING,
    PLAIN,
    REPORTED,
    Bound,
    Capability,
    Cell,
    ClassInfo,
    Context,
    Data,
    External,
    Func,
    Obj,
    Opaque,
    OwnClass,
    OwnModule,
    Scope,
    Text,
    Unit,
    Value,
    Values,
)
from certify_spec.diagnostics import Place

_RECEIVERS: Final = {
    "builtins.staticmethod": "static",
    "builtins.classmethod": "class",
    "builtins.property": "property",
    "functools.cached_property": "property",
    "pydantic.computed_field": "property",
    "abc.abstractproperty": "property",
    "abc.abstractclassmethod": "class",
    "abc.abstractstaticmethod": "static",
    "abc.abstractmethod": "",
    "typing.overload": "",
    "typing.override": "",
    "typing.final": "",
}
_STARTUP: Final = ("sitecustomize", "usercustomize")


class Walk(Expressions):
    """Statements."""

    def __init__(self, sources: Sources, trusts: Iterable[str]) -> None:
        super().__init__(sources, trusts)
        self._scopes: list[Scope] = []
        self._inner: dict[ast.AST, Scope] = {}
        self._visiting_stars = set()
        self._plain_tables = {}

    @property
    def scope(self) -> Scope:
        """The scope in which the current expression stands."""
        return self._scopes[-1]

    def visit(self, unit: Unit) -> None:
        """Walk one unit."""
        self._scopes = [unit.scope]
        try:
            match unit.node:
                case ast.Module(body=body):
                    self.block(body)
                case ast.Lambda(body=expression):
                    self.join(unit.results, self.expression(expression))
                case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
                    self._context_parameters(unit)
                    self.block(body)
        except RecursionError:
            self._scopes = [unit.scope]
            self.blind(unit.label, "is nested too deeply for the analysis", unit.node)

    def _context_parameters(self, unit: Unit) -> None:
        self._scopes = [unit.scope.parent or unit.scope]
        for parameter in unit.every_parameter:
            if parameter.annotation is not None:
                values = self.annotated(parameter.annotation)
                if Context() in values:
                    self.join(unit.scope.cell(parameter.arg), frozenset({Context()}))
        self._scopes = [unit.scope]

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Walk statements in order."""
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Walk one statement."""
        self.count()
        method = getattr(self, "_do_" + type(node).__name__.lower(), None)
        depth = len(self._scopes)
        try:
            if method is not None:
                method(node)
            else:
                self._parts(node)
        except RecursionError:
            del self._scopes[depth:]
            self.blind(type(node).__name__, "is nested too deeply for the analysis", node)

    def _parts(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.stmt():
                    self.statement(child)
                case ast.expr():
                    self.expression(child)
                case _:
                    self._parts(child)

    # -- simple statements ----------------------------------------------------------------------------------------

    def _do_expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.expression(node.value)

    def _do_return(self, node: ast.Return) -> None:
        self.join(self.current.results, self.expression(node.value) if node.value else PLAIN)

    def _do_assign(self, node: ast.Assign) -> None:
        values = self.expression(node.value)
        for target in node.targets:
            self.bind_target(target, values, node.value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        self.run_annotation(node.annotation)
        if node.value is not None:
            self.bind_target(node.target, self.expression(node.value), node.value)
        if self.scope.kind == "class" and isinstance(node.target, ast.Name):
            self.join(self.scope.cell(node.target.id), self.annotated(node.annotation))
            info = self.scope.owner
            if info and info.scope is self.scope and node.target.id not in info.order:
                info.order.append(node.target.id)

    def _do_augassign(self, node: ast.AugAssign) -> None:
        load = ast.copy_location(ast.BinOp(_loaded(node.target), node.op, node.value), node)
        self.bind_target(node.target, self.expression(load))

    def _do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self.bind_target(target, NOTHING)

    def _do_global(self, node: ast.Global) -> None:
        for name in node.names:
            self.scope.root().cell(name)

    def _do_nonlocal(self, _node: ast.Nonlocal) -> None:
        return

    def bind_target(self, target: ast.expr, values: Values, source: ast.expr | None = None) -> None:
        """Assign values to a target."""
        match target:
            case ast.Name(id=name):
                self.join(self.cell_of(name), values)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                self._unpack(parts, values, source, target)
            case ast.Starred(value=inner):
                self.bind_target(inner, values | PLAIN)
            case ast.Attribute(value=owner, attr=name):
                self._set_attribute(self.expression(owner, quiet=True), name, values, target)
            case ast.Subscript(value=owner):
                self.expression(target, quiet=True)
                for value in self.expression(owner, quiet=True):
                    if isinstance(value, Obj):
                        self.special(value, ("__setitem__", "__delitem__"), [PLAIN, values], target)
                self.store_into(owner, frozenset(v for v in values if not isinstance(v, (Text, Data))))
            case _:
                self.expression(target)

    def _unpack(self, parts: list[ast.expr], values: Values, source: ast.expr | None, node: ast.AST) -> None:
        pairwise = isinstance(source, (ast.Tuple, ast.List)) and len(source.elts) == len(parts)
        starred = any(isinstance(e, ast.Starred) for e in (*parts, *(source.elts if pairwise else ())))  # type: ignore[union-attr]  # `pairwise` says that it has elements
        if pairwise and not starred:
            for part, piece in zip(parts, source.elts, strict=True):  # type: ignore[union-attr]  # as above
                self.bind_target(part, self.expression(piece), piece)
            return
        inner = self.iterated(values, node)
        for part in parts:
            self.bind_target(part, inner)

    def cell_of(self, name: str) -> Cell:
        """The cell that an assignment to a name writes."""
        scope = self.scope
        if name in scope.globals:
            return scope.root().cell(name)
        if scope.kind == "function" and (name not in scope.bound or name in scope.nonlocals):
            return self._found_cell(name)
        return scope.cell(name)

    def _found_cell(self, name: str) -> Cell:
        scope: Scope | None = self.scope
        while scope is not None:
            if name in scope.globals:
                return scope.root().cell(name)
            visible = scope.kind != "class" or scope is self.scope
            if visible and name in scope.bound and name not in scope.nonlocals:
                return scope.cell(name)
            scope = scope.parent
        return self.scope.root().cell(name)

    def _set_attribute(self, owners: Values, name: str, values: Values, node: ast.AST) -> None:
        for value in owners:
            match value:
                case Obj(info) | OwnClass(info):
                    self.join(info.field_cell(name), values)
                    for bound in self.class_attribute(info, name):
                        if isinstance(bound, Obj):
                            self.special(bound, ("__set__", "__delete__"), [frozenset({value}), values], node)
                        if isinstance(bound, Func) and bound.unit.flavour == "property":
                            self.call_method(bound.unit, value, Arguments([values]), node)
                    self.special(value, ("__setattr__",), [PLAIN, values], node)
                    self._behind(info, name, node)
                case OwnModule(module):
                    scope = self.module_scope(module)
                    if scope is not None:
                        self.join(scope.cell(name), values)
                case External() | Bound():
                    self.blind(self.written(node), "changes a module or class outside the folder", node)
                case Opaque() | Context() | Capability():
                    self.blind(self.written(node), "changes an object that the analysis does not know", node)
                    self.join(self.loose(name), values)
                case _:
                    self.join(self.loose(name), values)

    def _behind(self, info: ClassInfo, name: str, node: ast.AST) -> None:
        if name in {"__class__", "__bases__", "__dict__", "__code__", "__getattribute__"}:
            self.blind(f"{info.name}.{name}", "changes what an object is", node)

    def store_into(self, node: ast.expr, values: Values) -> None:
        """Add values to the container that an expression names."""
        if not values:
            return
        match node:
            case ast.Name(id=name):
                self.join(self._found_cell(name), values)
            case ast.Attribute(value=owner, attr=name):
                self._set_attribute(
                    frozenset(v for v in self.expression(owner, quiet=True) if not isinstance(v, External)),
                    name,
                    values,
                    node,
                )
            case ast.Subscript(value=owner) | ast.Starred(value=owner) | ast.Await(value=owner):
                self.store_into(owner, values)
            case ast.Call(func=ast.Attribute(value=owner)):
                self.store_into(owner, values)
            case _:
                # A container without a name: nobody can read it back but through what was mentioned already.
                return

    # -- imports --------------------------------------------------------------------------------------------------

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            values = self.imported(alias.name, node)
            if alias.asname is None and "." in alias.name:
                values = self.imported(alias.name.partition(".")[0], node)
            name = alias.asname or alias.name.partition(".")[0]
            self.join(self.cell_of(name), values)

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        module = absolute(self.scope.module, node)
        if module is None:
            self.blind("." * node.level + (node.module or ""), "imports from outside the node's folder", node)
            return
        values = self.imported(module, node) if module else frozenset({OwnModule("")})
        if not module and "" in self.sources.modules:
            self.run_module("", node)
        for alias in node.names:
            if alias.name == "*":
                self.scope.root().stars[module] = None
                continue
            found = self.attribute(values, alias.name, node) if values != REPORTED else REPORTED
            found = found | self._submodule(module, alias.name, node)
            if any(isinstance(value, External) for value in found):
                self._trust(f"{module}.{alias.name}", node)
            self.join(self.cell_of(alias.asname or alias.name), found)

    def _submodule(self, module: str, name: str, node: ast.AST) -> Values:
        full = f"{module}.{name}" if module else name
        if full in self.sources.modules or full in self.sources.packages:
            own = None if self.type_only else self.run_module(full, node)
            return frozenset({own}) if own else NOTHING
        return NOTHING

    def imported(self, module: str, node: ast.AST) -> Values:
        """What an import of a dotted module name gives; the module's body runs."""
        if self.type_only:
            inside = module in self.sources.modules or module in self.sources.packages
            return frozenset({OwnModule(module) if inside else External(module)})
        own_module = self.run_module(module, node)
        if own_module is not None and not is_standard(module):
            return frozenset({own_module})
        if self.recording:
            place = self.place(node)
            for line in range(place.line, max(place.end_line, place.line) + 1):
                known = self.imports.get((place.file, line), ())
                self.imports[place.file, line] = (*known, module) if module not in known else known
        own: Values = frozenset({own_module}) if own_module else NOTHING
        self._trust(module, node)
        if catalogue.is_module(module) or catalogue.lookup(f"{module}.x") or self.trusted(module):
            return own | {External(module)}
        self.blind(module, why_unknown(module), node)
        return own | REPORTED

    def _trust(self, module: str, node: ast.AST) -> None:
        trusted = self.trusted(module)
        if trusted:
            self.assume(trusted, node)

    # -- definitions ----------------------------------------------------------------------------------------------

    def _do_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        owner = self.scope.owner if self.scope.kind == "class" else None
        unit = self.function_unit(node, self.scope, owner)
        self.bind_defaults(unit, node.args)
        for parameter in unit.every_parameter:
            self.run_annotation(parameter.annotation)
        self.run_annotation(node.returns)
        if owner and node.name in {"__init_subclass__", "__class_getitem__"}:
            unit.flavour = "class"
        if owner and node.name == "__new__":
            unit.flavour = "plain"
        values: Values = frozenset({Func(unit)})
        for decorator in reversed(node.decorator_list):
            values = self._decorated(decorator, values, unit)
        self.join(self.cell_of(node.name), values)

    _do_asyncfunctiondef = _do_functiondef

    def _decorated(self, decorator: ast.expr, values: Values, unit: Unit) -> Values:
        function = self.expression(decorator, quiet=True)
        for value in function:
            flavour = _RECEIVERS.get(value.name) if isinstance(value, External) else None
            if flavour is not None:
                unit.flavour = flavour or unit.flavour  # type: ignore[assignment]  # the table holds exactly the flavours
                return values
        if isinstance(decorator, ast.Attribute) and decorator.attr in {"setter", "getter", "deleter"}:
            unit.flavour = "property"
            return values
        self.mention(frozenset(v for v in function if isinstance(v, External)), decorator)
        return self.call(function, Arguments([values], [decorator]), decorator)

    def _do_classdef(self, node: ast.ClassDef) -> None:
        info = self.class_info(node, self.scope)
        for base in node.bases:
            values = self.expression(base, quiet=True)
            self.mention(frozenset(v for v in values if not isinstance(v, OwnClass)), base)
            bases = values - PLAIN
            self.join(info.bases, bases or (PLAIN if values else NOTHING))
        for keyword in node.keywords:
            values = self.expression(keyword.value)
            if keyword.arg == "metaclass":
                self.join(info.field_cell("<metaclass>"), frozenset(v for v in values if isinstance(v, OwnClass)))
                self.call(values - PLAIN, Arguments([PLAIN, PLAIN, frozenset({OwnClass(info)})]), keyword.value)
        self._scopes.append(info.scope)
        self.block(node.body)
        self._scopes.pop()
        for ancestor in info.lineage():
            if ancestor is not info and "__init_subclass__" in ancestor.scope.bound:
                for value in self.read(ancestor.scope.cell("__init_subclass__")):
                    if isinstance(value, Func):
                        self.receive(value.unit, frozenset({OwnClass(info)}), node)
        made: Values = frozenset({OwnClass(info)})
        for decorator in reversed(node.decorator_list):
            made = self.call(self.expression(decorator, quiet=True), Arguments([made], [decorator]), decorator)
        self.join(self.cell_of(node.name), made)

    # -- compound statements --------------------------------------------------------------------------------------

    def _do_if(self, node: ast.If) -> None:
        branch: ast.If = node
        while True:
            if is_type_checking(branch.test) and self._is_real_type_checking(branch.test):
                self._types_only(branch.body)
            elif not is_main_guard(branch.test):
                self.expression(branch.test)
                self.block(branch.body)
            if len(branch.orelse) == 1 and isinstance(branch.orelse[0], ast.If):
                branch = branch.orelse[0]
                continue
            self.block(branch.orelse)
            return

    def _is_real_type_checking(self, test: ast.expr) -> bool:
        values = self.expression(test, quiet=True)
        return values <= {External("typing.TYPE_CHECKING"), External("typing_extensions.TYPE_CHECKING")}

    def _types_only(self, body: Sequence[ast.stmt]) -> None:
        before, self.type_only = self.type_only, True
        try:
            for statement in body:
                if isinstance(statement, (ast.Import, ast.ImportFrom)):
                    self.statement(statement)
        finally:
            self.type_only = before

    def _do_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.bind_target(node.target, self.iterated(self.expression(node.iter), node))
        self.block(node.body)
        self.block(node.orelse)

    _do_asyncfor = _do_for

    def _do_with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            values = self.expression(item.context_expr)
            entered: list[Values] = [frozenset(v for v in values if not isinstance(v, Obj))]
            for value in values:
                if isinstance(value, Obj):
                    given = self.special(value, ("__enter__", "__aenter__"), [], node)
                    entered.append(given or frozenset({value}))
                    self.special(value, ("__exit__", "__aexit__"), [PLAIN, PLAIN, PLAIN], node)
            if item.optional_vars is not None:
                self.bind_target(item.optional_vars, union(entered))
        self.block(node.body)

    _do_asyncwith = _do_with

    def _do_try(self, node: ast.Try | ast.TryStar) -> None:
        self.block(node.body)
        for handler in node.handlers:
            kinds = self._caught(handler.type)
            if handler.name:
                caught: set[Value] = {Obj(v.info) for v in kinds if isinstance(v, OwnClass)}
                self.join(self.cell_of(handler.name), PLAIN | caught)
            self.block(handler.body)
        self.block(node.orelse)
        self.block(node.finalbody)

    _do_trystar = _do_try

    def _caught(self, node: ast.expr | None) -> Values:
        parts = node.elts if isinstance(node, ast.Tuple) else [node] if node else []
        return union(self.expression(part, quiet=isinstance(part, (ast.Name, ast.Attribute))) for part in parts)

    def _do_match(self, node: ast.Match) -> None:
        values = self.expression(node.subject)
        for case in node.cases:
            self._pattern(case.pattern, self.iterated(values, node))
            self.expression(case.guard)
            self.block(case.body)

    def _pattern(self, pattern: ast.pattern, values: Values) -> None:
        match pattern:
            case ast.MatchAs(name=name) | ast.MatchStar(name=name):
                if name:
                    self.join(self.cell_of(name), values)
            case ast.MatchMapping(keys=keys, rest=rest):
                for key in keys:
                    self.expression(key)
                if rest:
                    self.join(self.cell_of(rest), values)
            case ast.MatchValue(value=value):
                self.expression(value)
            case ast.MatchClass(cls=cls, kwd_attrs=names):
                self.expression(cls, quiet=True)
                found = [self.attribute(values, name, pattern) for name in names]
                for matched in values:
                    if isinstance(matched, Obj):
                        found += [self.read(matched.info.field_cell(name)) for name in matched.info.order]
                values = union([values, *found])
            case _:
                pass
        for child in ast.iter_child_nodes(pattern):
            if isinstance(child, ast.pattern):
                self._pattern(child, values)

    def comprehension(self, node: ast.expr, generators: list[ast.comprehension], results: list[ast.expr]) -> Values:
        """A comprehension is a small function that runs at once; in a class body it does not see the class's names."""
        for index, generator in enumerate(generators):
            values = self.iterated(self.expression(generator.iter), node)
            if index == 0:
                self._scopes.append(self._comprehension_scope(node, generators))
            self.bind_target(generator.target, values)
            for condition in generator.ifs:
                self.expression(condition)
        found = PLAIN | union(self.expression(result) for result in results)
        self._scopes.pop()
        return found

    def _comprehension_scope(self, node: ast.AST, generators: list[ast.comprehension]) -> Scope:
        if node not in self._inner:
            bound = frozenset(names_of([generator.target for generator in generators]).bound)
            outer = self.scope
            self._inner[node] = Scope("function", outer, outer.module, bound, owner=outer.owner)
        return self._inner[node]

    # -- parameters that no call in sight fills -------------------------------------------------------------------

    def fill_the_empty(self) -> bool:
        """Let parameters that nothing fills stand for what their annotation says, or anything; whether any did."""
        grew = False
        for unit in list(self.reached):
            if not unit.results.values:
                self.join(unit.results, PLAIN)  # it returns None, or never
                grew = True
            definition = None if isinstance(unit.node, ast.Module) else unit.node.args
            for parameter in unit.every_parameter:
                cell = unit.scope.cell(parameter.arg)
                if cell.values:
                    continue
                self.current = unit
                self._scopes = [unit.scope.parent or unit.scope]
                starred = definition is not None and parameter in (definition.vararg, definition.kwarg)
                self.join(cell, PLAIN if starred else self._unfilled(unit, parameter))
                grew = True
        return grew

    def _unfilled(self, unit: Unit, parameter: ast.arg) -> Values:
        first = unit.parameters[:1] == [parameter.arg]
        if unit.owner and first and unit.flavour != "static":
            return frozenset({OwnClass(unit.owner) if unit.flavour == "class" else Obj(unit.owner)})
        if unit.owner and unit.label.rpartition(".")[2].startswith("__"):
            return PLAIN | {Obj(unit.owner)}
        return self.annotated(parameter.annotation) if parameter.annotation else frozenset({Opaque(False)})


def _loaded(target: ast.expr) -> ast.expr:
    match target:
        case ast.Name(id=name):
            return ast.copy_location(ast.Name(name, ast.Load()), target)
        case ast.Attribute(value=value, attr=name):
            return ast.copy_location(ast.Attribute(value, name, ast.Load()), target)
        case ast.Subscript(value=value, slice=key):
            return ast.copy_location(ast.Subscript(value, key, ast.Load()), target)
        case _:
            return target


def analyse(sources: Sources, entry: str, *, trusts: Iterable[str] = (), context: str | None = None) -> Analysis:
    """The upper bound of the effects that a node's entry point can have, from its text alone.

    Args:
        sources: the node's files.
        entry: `module:function`.
        trusts: third-party modules whose effects are taken on trust; standard modules are never trusted.
        context: the entry point's parameter that takes the context, when it is not annotated as such.
    """
    walk = Walk(sources, trusts)
    module, _, function = entry.partition(":")
    source = sources.modules.get(module)
    if source is None or source.tree is None:
        place = Place(source.file if source else module.replace(".", "/") + ".py", 1, 1)
        spot = Blind(
            entry, "is in a file that cannot be read as Python" if source else "names no module of the folder", place
        )
        return Analysis((), (spot,), (), sources.diagnostics)
    root = walk.module_unit(source)
    walk.current = root
    try:
        _start(walk, root, module, function, context)
    except Exhausted:
        return _given_up(walk, root, sources)
    return _result(walk, sources)


def _start(walk: Walk, root: Unit, module: str, function: str, context: str | None) -> None:
    for name in _STARTUP:
        walk.run_module(name, None)
    walk.run_module(module, None)
    walk.settle(walk.visit)
    walk.current = root
    walk._scopes = [root.scope]
    for value in walk.name(function, root.scope, root.node):
        _enter(walk, value, context)
    while True:
        walk.settle(walk.visit)
        if not walk.fill_the_empty():
            break
    walk.recording = True
    for unit in list(walk.reached):
        walk.current = unit
        walk.visit(unit)
    walk.current = root
    if function not in root.scope.bound and not root.scope.stars:
        walk.blind(function, f"is not defined in module `{module}`", root.node)


def _enter(walk: Walk, value: Value, context: str | None) -> None:
    match value:
        case Func(unit):
            if not unit.reached:
                walk.reach(unit, None)
            for parameter in unit.every_parameter:
                values = walk.annotated(parameter.annotation)
                filled = frozenset({Context()}) if parameter.arg == context or Context() in values else values | PLAIN
                walk.join(unit.scope.cell(parameter.arg), filled)
        case Obj(info):
            for found in walk.class_attribute(info, "__call__"):
                if isinstance(found, Func):
                    walk.receive(found.unit, frozenset({value}), found.unit.node)
                    _enter(walk, found, context)
        case OwnClass(info):
            walk.construct(
                info, Arguments(starred=PLAIN | ({Context()} if context else NOTHING), has_star=True), info.node
            )
        case _:
            walk.call(frozenset({value}), Arguments([PLAIN]), walk.current.node)


def _result(walk: Walk, sources: Sources) -> Analysis:
    effects = sorted(walk.effects.values(), key=lambda e: (e.place, e.kind, e.mode, e.target, e.resource, e.call))
    blinds = sorted(walk.blinds.values(), key=lambda spot: (spot.place, spot.what))
    reached = {unit.scope.module.file for unit in walk.reached}
    holes = tuple(d for d in sources.diagnostics if d.place and d.place.file in reached)
    return Analysis(
        tuple(effects), tuple(blinds), walk.assumptions(), holes, walk.implied, walk.imports, tuple(sorted(reached))
    )


def _given_up(walk: Walk, root: Unit, sources: Sources) -> Analysis:
    why = "is too large for the analysis to finish"
    spot = Blind(root.label, why, root.place, (Step(why, root.place),))
    partial = _result(walk, sources)
    return Analysis(
        partial.effects,
        (spot, *partial.blind),
        partial.assumptions,
        partial.diagnostics,
        partial.implied,
        partial.imports,
        partial.files,
    )
