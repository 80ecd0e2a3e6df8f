"""What expressions may stand for.

Rules this module keeps:

- a name or attribute that is read counts as a mention, except as the thing called, the owner of an attribute, a type in
  an annotation, in `isinstance` or in an `except` clause;
- operators on objects of the node's classes return what those classes' special methods return;
- a form that is not listed contributes its parts.
"""

from __future__ import annotations

import ast
import re
from typing import Final

from certify.analysis import catalogue, targets
from certify.analysis.attributes import Attributes
from certify.analysis.engine import union
from certify.analysis.model import Kind
from certify.analysis.targets import NODE, Arguments
from certify.analysis.values import (
    DATA,
    NOTHING,
    PLAIN,
    REPORTED,
    Bound,
    Context,
    Data,
    External,
    Func,
    Instance,
    Obj,
    Operation,
    OwnClass,
    Scope,
    Text,
    Unit,
    Value,
    Values,
)
from certify.manifest.model import Mode

_CONTEXT_CLASS: Final = re.compile(r"certify\.capabilities(\.\w+)*\.Context")
_RISKY_BUILTINS: Final = frozenset(
    ["open", "print", "input", "eval", "exec", "compile", "__import__", "globals", "locals", "vars", "breakpoint"]
)
_REFLECTIVE_FORMAT: Final = re.compile(r"\{[^{}]*\.__\w|\{[^{}]*\[__\w")
_MOST_TEXTS: Final = 16
_ITERATION: Final = ("__iter__", "__next__", "__aiter__", "__anext__", "__getitem__")
_OPERATORS: Final = tuple(
    f"__{side}{name}__"
    for name in [
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "matmul",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
    ]
    for side in ("", "r", "i")
)


class Expressions(Attributes):
    """Evaluation of expressions to sets of values."""

    def expression(self, node: ast.expr | None, *, quiet: bool = False) -> Values:
        """The values of an expression; `quiet` when a name in it is not a use by itself."""
        if node is None:
            return NOTHING
        self.count()
        method = getattr(self, "_on_" + type(node).__name__.lower(), None)
        if method is None:
            return PLAIN | union(self.expression(c) for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr))
        values: Values = method(node)
        if not quiet and isinstance(node, (ast.Name, ast.Attribute)):
            self.mention(values, node)
            if self.recording and not values and isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                self._not_found(node)
        return values

    def _not_found(self, node: ast.Attribute) -> None:
        if self.expression(node.value, quiet=True):
            self.blind(self.written(node), "is an attribute that nothing in the folder sets", node)

    # -- names ----------------------------------------------------------------------------------------------------

    def _on_name(self, node: ast.Name) -> Values:
        return self.name(node.id, self.scope, node)

    @property
    def scope(self) -> Scope:
        """The scope in which the current expression stands; class bodies and comprehensions push their own."""
        raise NotImplementedError

    def name(self, name: str, scope: Scope, node: ast.AST) -> Values:
        """What a name stands for, by the interpreter's rules."""
        if name == "__class__" and scope.owner:
            return frozenset({OwnClass(scope.owner)})
        found: Values = NOTHING
        start: Scope | None = scope
        while start is not None:
            if start.kind == "class" and start is not scope:
                start = start.parent
                continue
            if name in start.globals:
                start = start.root()
            if start.kind == "module":
                return found | self._global(name, start, node)
            if name in start.bound and name not in start.nonlocals:
                found = found | self.read(start.cell(name))
                if start.kind == "function" or start.firm.get(name, 1 << 30) < getattr(node, "lineno", 0):
                    return found
            start = start.parent
        return found

    def _global(self, name: str, scope: Scope, node: ast.AST) -> Values:
        bound = name in scope.bound or name in scope.cells
        found = self.read(scope.cell(name)) if bound else NOTHING
        if bound and (name not in _RISKY_BUILTINS or scope.firm.get(name, 1 << 30) < getattr(node, "lineno", 0)):
            return found
        special = self.module_special(name, scope)
        if special is not None:
            return found | special
        starred = self.starred(name, scope)
        builtin = name in _RISKY_BUILTINS or f"builtins.{name}" in catalogue.entries()
        if builtin:
            return found | starred | {External(f"builtins.{name}")}
        if not found and not starred and not self.type_only:
            self.blind(name, "is a name that nothing in the folder binds", node)
            return REPORTED
        return found | starred

    def module_special(self, name: str, scope: Scope) -> Values | None:
        """What the interpreter binds in every module, such as `__file__`; None for other names."""
        if name == "__file__":
            return frozenset({Text(f"{NODE}/{scope.module.file}")})
        if name in {
            "__name__",
            "__doc__",
            "__package__",
            "__annotations__",
            "__path__",
            "__all__",
            "__qualname__",
            "__module__",
        }:
            return PLAIN
        if name in {"__builtins__", "__loader__", "__spec__", "__cached__"}:
            return frozenset({External(f"builtins.{name}")})
        return None

    def starred(self, name: str, scope: Scope) -> Values:
        """What star imports of a module bind to a name."""
        found: list[Values] = []
        for module in scope.stars:
            other = self.module_scope(module)
            if other is not None:
                if other is not scope and name in other.bound:
                    found.append(self.read(other.cell(name)))
                elif other is not scope and other.stars and module not in self._visiting_stars:
                    self._visiting_stars.add(module)
                    found.append(self.starred(name, other))
                    self._visiting_stars.discard(module)
            elif f"{module}.{name}" in catalogue.entries() or (
                f"builtins.{name}" not in catalogue.entries() and catalogue.lookup(f"{module}.{name}")
            ):
                found.append(frozenset({External(f"{module}.{name}")}))
        return union(found)

    _visiting_stars: set[str]
    _plain_tables: dict[ast.expr, bool]

    # -- calls ----------------------------------------------------------------------------------------------------

    def _on_call(self, node: ast.Call) -> Values:
        function = self.expression(node.func, quiet=True)
        quiet = External("builtins.isinstance") in function or External("builtins.issubclass") in function
        args = self.arguments(node, quiet=quiet)
        self._watch_formats(node, args)
        if isinstance(node.func, ast.Attribute):
            return self._method_call(node, node.func, function, args)
        return self.call(function, args, node, self.written(node.func) if self.recording else "")

    def _method_call(self, node: ast.Call, func: ast.Attribute, function: Values, args: Arguments) -> Values:
        owner = self.expression(func.value, quiet=True)
        result = self.call(function, args, node, self.written(func) if self.recording else "")
        if any(isinstance(value, (Data, Text)) for value in owner):
            # A method of a container may store what it is given, and give back what it holds.
            interesting = frozenset(v for v in args.every() if not isinstance(v, (Data, Text)))
            if interesting:
                self.store_into(func.value, interesting)
            result = result | frozenset(v for v in owner if not isinstance(v, Text)) | PLAIN
            if func.attr == "format":
                result = result | self._formatted(owner)
        return result

    def _formatted(self, owner: Values) -> Values:
        return frozenset(Text(v.text.partition("{")[0], exact=False) for v in owner if isinstance(v, Text))

    def _watch_formats(self, node: ast.Call, args: Arguments) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"format", "format_map"}:
            constant = isinstance(node.func.value, (ast.Constant, ast.JoinedStr))
            if not constant and any(not isinstance(v, (Data, Text)) for v in args.every()):
                owner = self.expression(node.func.value, quiet=True)
                if targets.texts(owner) is None:
                    self.blind(self.written(node), "formats an object by a text that is not shown", node)

    def arguments(self, node: ast.Call, *, quiet: bool = False) -> Arguments:
        """The arguments of a call, evaluated."""
        args = Arguments()
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                args.has_star = True
                args.starred = args.starred | self.expression(argument.value)
            else:
                args.positional.append(self.expression(argument, quiet=quiet))
                args.nodes.append(argument)
        for keyword in node.keywords:
            values = self.expression(keyword.value)
            if keyword.arg is None:
                args.has_star = True
                args.starred = args.starred | values
            else:
                args.keywords[keyword.arg] = values
                args.keyword_nodes[keyword.arg] = keyword.value
        return args

    def store_into(self, node: ast.expr, values: Values) -> None:
        """Overridden: add values to the container that an expression names."""
        raise NotImplementedError

    # -- texts and containers -------------------------------------------------------------------------------------

    def _on_constant(self, node: ast.Constant) -> Values:
        if isinstance(node.value, str):
            if _REFLECTIVE_FORMAT.search(node.value):
                self.blind(self.written(node), "is a format that leads to code or names", node)
            return frozenset({Text(node.value)}) if len(node.value) <= 4096 else PLAIN
        return PLAIN

    def _on_joinedstr(self, node: ast.JoinedStr) -> Values:
        result: Values = frozenset({Text("")})
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                values = self.expression(part.value)
                self.expression(part.format_spec)
                plain = part.conversion == -1 and part.format_spec is None
                result = targets.concatenated(result, values if plain else PLAIN)
            else:
                result = targets.concatenated(result, self.expression(part))
        return result or PLAIN

    def _contents(self, nodes: list[ast.expr]) -> Values:
        if len(nodes) > _MOST_TEXTS and self._is_plain(nodes):
            return PLAIN
        values = union(self.expression(node) for node in nodes) | PLAIN
        found = [value for value in values if isinstance(value, Text)]
        return values.difference(found) if len(found) > _MOST_TEXTS else values

    def _is_plain(self, nodes: list[ast.expr]) -> bool:
        """Whether a long display holds nothing but literals, such as a table of data; found out once."""
        first = nodes[0]
        if first not in self._plain_tables:
            todo: list[ast.AST] = list(nodes)
            plain = True
            while todo and plain:
                part = todo.pop()
                plain = isinstance(part, (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.expr_context))
                todo += [] if isinstance(part, ast.Constant) else ast.iter_child_nodes(part)
            self._plain_tables[first] = plain
        return self._plain_tables[first]

    def _on_list(self, node: ast.List) -> Values:
        return self._contents(node.elts)

    def _on_tuple(self, node: ast.Tuple) -> Values:
        return self._contents(node.elts)

    def _on_set(self, node: ast.Set) -> Values:
        return self._contents(node.elts)

    def _on_dict(self, node: ast.Dict) -> Values:
        keys = [key for key in node.keys if key is not None]
        if len(keys) <= _MOST_TEXTS or not self._is_plain(keys):
            for key in keys:
                self.expression(key)
        return self._contents(node.values)

    def _onstarred(self, node: ast.Starred) -> Values:
        return self.expression(node.value)

    def _on_subscript(self, node: ast.Subscript) -> Values:
        owner = self.expression(node.value, quiet=True)
        key = self.expression(node.slice)
        result = PLAIN | frozenset(v for v in owner if not isinstance(v, (External, Bound, Operation)))
        for value in owner:
            match value:
                case External("os.environ" | "os.environb"):
                    mode = Mode.READ if isinstance(node.ctx, ast.Load) else Mode.WRITE
                    for name in targets.texts(key) or [""]:
                        reason = "reads the environment" if mode is Mode.READ else "changes the environment"
                        self.effect(Kind.ENV, mode, "os.environ", node, target=name, reason=reason)
                case External():
                    # A type with parameters, `list[int]`, or an object of a module: what it is stays what it is.
                    result = result | {value}
                    self.mention(frozenset({value}), node.value)
                case Obj() | OwnClass():
                    result = result | self.special(value, ("__getitem__",), [key], node)
                case Bound() | Operation():
                    self.mention(frozenset({value}), node.value)
                case _:
                    pass
        return result

    def special(self, value: Value, names: tuple[str, ...], operands: list[Values], node: ast.AST) -> Values:
        """What the special methods of an object return for these operands."""
        if not isinstance(value, Obj):
            return NOTHING
        return union(
            self.call_method(found.unit, value, Arguments(list(operands)), node)
            for name in names
            for found in self.class_attribute(value.info, name)
            if isinstance(found, Func)
        )

    def iterated(self, values: Values, node: ast.AST) -> Values:
        """What iterating over the values gives."""
        found = [values, PLAIN] if values else []
        found += [self.special(value, _ITERATION, [PLAIN], node) for value in values if isinstance(value, Obj)]
        found.append(frozenset(Obj(value.info) for value in values if isinstance(value, OwnClass)))
        result = union(found)
        return frozenset(v for v in result if not (isinstance(v, Text) and len(v.text) == 0))

    # -- operators ------------------------------------------------------------------------------------------------

    def _on_binop(self, node: ast.BinOp) -> Values:
        chain: list[ast.BinOp] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            self.count()
            chain.append(left)
            left = left.left
        values = self.expression(left)
        for step in reversed(chain):
            values = self._combined(step, values, self.expression(step.right))
        return values

    def _combined(self, node: ast.BinOp, left: Values, right: Values) -> Values:
        result: Values = frozenset(v for v in left | right if not isinstance(v, (Text, Instance)))
        for value in left | right:
            if isinstance(value, Obj):
                result = result | self.special(value, _OPERATORS, [left | right], node)
        if isinstance(node.op, ast.Div) and any(isinstance(v, Instance) for v in left | right):
            made = (Instance("pathlib.Path", text, exact) for text, exact in targets.joined([left, right]))
            return result.union(made)
        if isinstance(node.op, ast.Add):
            return result | targets.concatenated(left, right) or PLAIN
        if isinstance(node.op, ast.Mod):
            texts = (v.text.partition("%")[0] for v in left if isinstance(v, Text))
            return result.union(Text(text, exact=False) for text in texts) or PLAIN
        return result | {v for v in left | right if isinstance(v, Instance)} | PLAIN

    def _on_boolop(self, node: ast.BoolOp) -> Values:
        return union(self.expression(value) for value in node.values)

    def _on_unaryop(self, node: ast.UnaryOp) -> Values:
        self.expression(node.operand)
        return PLAIN

    def _on_compare(self, node: ast.Compare) -> Values:
        for part in (node.left, *node.comparators):
            self.expression(part)
        return PLAIN

    def _on_ifexp(self, node: ast.IfExp) -> Values:
        self.expression(node.test)
        return self.expression(node.body) | self.expression(node.orelse)

    def _on_namedexpr(self, node: ast.NamedExpr) -> Values:
        values = self.expression(node.value)
        self.bind_target(node.target, values)
        return values

    def bind_target(self, target: ast.expr, values: Values, source: ast.expr | None = None) -> None:
        """Overridden: assign values to a target."""
        raise NotImplementedError

    def _on_await(self, node: ast.Await) -> Values:
        values = self.expression(node.value)
        return values | union(self.special(value, ("__await__",), [], node) for value in values)

    def _on_yield(self, node: ast.Yield) -> Values:
        self.join(self.current.results, self.expression(node.value) | PLAIN)
        return PLAIN

    def _on_yieldfrom(self, node: ast.YieldFrom) -> Values:
        values = self.iterated(self.expression(node.value), node)
        self.join(self.current.results, values)
        return values

    # -- functions in expressions ---------------------------------------------------------------------------------

    def _on_lambda(self, node: ast.Lambda) -> Values:
        unit = self.function_unit(node, self.scope, None)
        self.bind_defaults(unit, node.args)
        self.reach(unit, node)
        return frozenset({Func(unit)})

    def bind_defaults(self, unit: Unit, args: ast.arguments) -> None:
        """Default values are evaluated where the function is defined, and may be what a parameter holds."""
        positional = [*args.posonlyargs, *args.args]
        for argument, default in zip(reversed(positional), reversed(args.defaults), strict=False):
            self.join(unit.scope.cell(argument.arg), self.expression(default))
        for argument, maybe in zip(args.kwonlyargs, args.kw_defaults, strict=True):
            if maybe is not None:
                self.join(unit.scope.cell(argument.arg), self.expression(maybe))

    def _on_listcomp(self, node: ast.ListComp) -> Values:
        return self.comprehension(node, node.generators, [node.elt])

    def _on_setcomp(self, node: ast.SetComp) -> Values:
        return self.comprehension(node, node.generators, [node.elt])

    def _on_generatorexp(self, node: ast.GeneratorExp) -> Values:
        return self.comprehension(node, node.generators, [node.elt])

    def _on_dictcomp(self, node: ast.DictComp) -> Values:
        return self.comprehension(node, node.generators, [node.key, node.value])

    def comprehension(self, node: ast.expr, generators: list[ast.comprehension], results: list[ast.expr]) -> Values:
        """Overridden: a comprehension is a small function that runs at once."""
        raise NotImplementedError

    # -- annotations ----------------------------------------------------------------------------------------------

    def annotated(self, node: ast.expr | None) -> Values:
        """What a value with this annotation may be: data, and objects of the classes named in it."""
        found: set[Value] = {DATA}
        todo: list[ast.AST] = [node] if node is not None else []
        while todo:
            part = todo.pop()
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    todo.append(ast.copy_location(ast.parse(part.value, mode="eval").body, part))
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    continue
                continue
            if isinstance(part, ast.Call):
                continue
            if isinstance(part, (ast.Name, ast.Attribute)):
                for value in self._quietly(part):
                    match value:
                        case OwnClass(info):
                            found.add(Obj(info))
                        case External(name) if _CONTEXT_CLASS.fullmatch(name):
                            found.add(Context())
                        case External(name) if catalogue.is_class(name) and not name.startswith("datetime"):
                            known = self.entry(name)
                            found.add(Instance(known.returns if known and known.returns else name, "", exact=False))
                        case _:
                            pass
            else:
                todo += ast.iter_child_nodes(part)
        return frozenset(found - {DATA} if found == {DATA, Context()} else found)

    def _quietly(self, node: ast.expr) -> Values:
        recording, self.recording = self.recording, False
        type_only, self.type_only = self.type_only, True
        try:
            return self.expression(node, quiet=True)
        finally:
            self.recording, self.type_only = recording, type_only

    def run_annotation(self, node: ast.expr | None) -> None:
        """Annotations are evaluated too: calls in them run, names in them are only types.

        A text counts as an annotation in its own right, since libraries evaluate those.
        """
        todo: list[ast.AST] = [node] if node is not None else []
        while todo:
            part = todo.pop()
            match part:
                case ast.Subscript(value=ast.Name(id="Literal") | ast.Attribute(attr="Literal")):
                    continue
                case ast.Constant(value=str(text)):
                    self.count()
                    try:
                        inner = ast.parse(text, mode="eval").body
                    except (SyntaxError, ValueError, RecursionError, MemoryError):
                        continue
                    if any(isinstance(n, (ast.Call, ast.Lambda)) for n in ast.walk(inner)):
                        for below in ast.walk(inner):
                            ast.copy_location(below, part)
                        todo.append(inner)
                case ast.Call() | ast.Lambda() | ast.NamedExpr() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                    self.expression(part)
                case ast.expr():
                    todo += ast.iter_child_nodes(part)
                case _:
                    continue
