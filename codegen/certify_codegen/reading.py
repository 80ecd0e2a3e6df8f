"""A symbolic reading of generated Python: what a method gives and what it leaves behind, as terms.

Rules this module keeps:

- the text is parsed again, by Python's own parser; nothing is taken over from the printer but the names of fields;
- statements take effect one after the other, as Python has them, whatever the specification says of simultaneity;
- what is not understood is refused, never passed over.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from certify_codegen.projection import Projection
from certify_spec.datatypes import BOOL, EnumType, MapType, SortType, Type
from certify_verifier import terms as t
from certify_verifier.encoding import Encoder, Surroundings, Symbolic, SymbolicEnum, SymbolicMap, sort_name
from certify_verifier.terms import Term


class UnreadableError(Exception):
    """Python that this reading does not have: what, and in which line."""

    def __init__(self, what: str, node: ast.AST) -> None:
        self.line = getattr(node, "lineno", 0)
        super().__init__(f"line {self.line}: {what}")


@dataclass(frozen=True, slots=True)
class Maybe:
    """A number or None: what a mirror holds."""

    present: Term
    value: Term


@dataclass(frozen=True, slots=True)
class _Nothing:
    """`None`."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A new list of as many entries as a parameter says, all alike."""

    filling: Term
    size: str


_Value = Symbolic | Maybe | Filled | _Nothing

LISTED: Final = "listed"


@dataclass(frozen=True, slots=True)
class Store:
    """What the fields hold at one point of a method.

    Attributes:
        shared: the fields of the machine.
        fields: the fields of each element.
        names: arguments and local names.
        mirrors: what the mirrors hold.
    """

    shared: Mapping[str, Symbolic]
    fields: Mapping[str, SymbolicMap]
    names: Mapping[str, _Value] = field(default_factory=dict)
    mirrors: Mapping[str, Maybe] = field(default_factory=dict)

    def state(self) -> dict[str, Symbolic]:
        """As a state of the specification."""
        return {**self.shared, **self.fields}


class Reader:
    """Reads the methods of one module.

    Args:
        tree: the module.
        projection: the machine that it implements.
        encoder: makes the terms.
    """

    def __init__(self, tree: ast.Module, projection: Projection, encoder: Encoder) -> None:
        self._projection = projection
        self._encoder = encoder
        self._variables = projection.specification.variables
        self._parameters = {p.name: p for p in projection.parameters}
        self._shared = {v.name for v in projection.shared}
        self._fields = {v.name for v in projection.fields}
        self._rings = projection.representation.rings
        self.places: dict[tuple[str, Term], None] = {}
        """What was taken for a place of a ring so far: the ring, and where."""
        self._constants = self._read_constants(tree)

    def _read_constants(self, tree: ast.Module) -> dict[str, Term]:
        """The constants of the module that stand for cases of enums, through the enum's own members."""
        members: dict[tuple[str, str], str] = {}
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name in self._projection.specification.shapes.enums:
                for line in node.body:
                    match line:
                        case ast.Assign(targets=[ast.Name(id=member)], value=ast.Constant(value=str(case))):
                            members[node.name, member] = case
                        case ast.Expr(value=ast.Constant()):
                            pass
                        case _:
                            raise UnreadableError("something else than a case in an enum", line)
        found: dict[str, Term] = {}
        for node in tree.body:
            match node:
                case ast.AnnAssign(
                    target=ast.Name(id=name), value=ast.Attribute(value=ast.Name(id=enum), attr=member)
                ) if (enum, member) in members:
                    sort = sort_name(enum)
                    found[name] = t.constructor(sort, f"{sort}.{members[enum, member]}")
                case _:
                    pass
        return found

    # --- methods -----------------------------------------------------------------------------------------------------

    def result(self, method: ast.FunctionDef, store: Store) -> Term:
        """What a method returns that does nothing else."""
        match _without_docstring(method.body):
            case [ast.Return(value=ast.expr() as value)]:
                return self.term(value, store)
            case _:
                raise UnreadableError("more than one `return`", method)

    def run(self, statements: Sequence[ast.stmt], store: Store) -> Store:
        """What statements leave behind."""
        for statement in _without_docstring(statements):
            store = self._step(statement, store)
        return store

    def _step(self, statement: ast.stmt, store: Store) -> Store:
        match statement:
            case ast.Assign(targets=[target], value=value):
                return self._assigned(target, self._value(value, store), store)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                return self._assigned(target, self._value(value, store), store)
            case ast.AugAssign(target=ast.Attribute() as target, op=op, value=value):
                return self._assigned(target, self._value(ast.BinOp(target, op, value), store), store)
            case ast.If(test=test, body=body, orelse=orelse):
                condition = self.term(test, store)
                return self._merged(condition, self.run(body, store), self.run(orelse, store))
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="pop", value=owner), args=[], keywords=[])):
                return self._moved(owner, t.minus, store)
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(attr="append", value=owner), args=[ast.Constant(value=None)], keywords=[]
                )
            ):
                return self._moved(owner, t.plus, store)
            case ast.For(target=ast.Name(id=name), iter=ast.Attribute() as listed, body=body, orelse=[]):
                return self._looped(name, listed, body, store)
            case ast.Pass():
                return store
            case _:
                raise UnreadableError(f"a statement such as `{ast.unparse(statement)}`", statement)

    def _assigned(self, target: ast.expr, value: _Value, store: Store) -> Store:
        match target:
            case ast.Name(id=name):
                return replace(store, names={**store.names, name: value})
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                return self._machine_assigned(attribute, value, store, target)
            case ast.Attribute(value=owner, attr=variable) if variable in self._fields:
                kind = self._variables[variable].type
                assert isinstance(kind, MapType)
                element = self._element(owner, variable, store)
                stored = self._as(kind.value, value, target)
                before = store.fields[variable]
                encoder = self._encoder

                def at(keys: tuple[Term, ...]) -> Symbolic:
                    return encoder.choice(t.equal(keys[0], element), stored, before.at(keys))

                return replace(store, fields={**store.fields, variable: SymbolicMap(at)})
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id="self"), attr=attribute), slice=where):
                name = self._ring(attribute, target)
                held = store.shared[name]
                kind = self._variables[name].type
                assert isinstance(held, SymbolicMap)
                assert isinstance(kind, MapType)
                put, place = self._as(kind.value, value, target), self._place(name, where, store)

                def kept(keys: tuple[Term, ...]) -> Symbolic:
                    return self._encoder.choice(t.equal(keys[0], place), put, held.at(keys))

                return replace(store, shared={**store.shared, name: SymbolicMap(kept)})
            case _:
                raise UnreadableError(f"a target such as `{ast.unparse(target)}`", target)

    def _ring(self, attribute: str, node: ast.expr) -> str:
        """The ring of a field's name."""
        name = attribute.removeprefix("_")
        if not attribute.startswith("_") or name not in self._rings:
            raise UnreadableError(f"a list `{attribute}` that the machine does not have", node)
        return name

    def _place(self, ring: str, where: ast.expr, store: Store) -> Term:
        """A place of a ring; that it is there is to be shown of all `places`."""
        place = self.term(where, store)
        if place.sort != t.INT:
            raise UnreadableError(f"`{ast.unparse(where)}` as a place", where)
        self.places[ring, place] = None
        return place

    def _machine_assigned(self, attribute: str, value: _Value, store: Store, node: ast.expr) -> Store:
        if any(attribute == mirror.name for mirror in self._projection.representation.mirrors):
            return replace(store, mirrors={**store.mirrors, attribute: _as_maybe(value, node)})
        name = attribute.removeprefix("_")
        if attribute.startswith("_") and name in self._rings:
            kind = self._variables[name].type
            assert isinstance(kind, MapType)
            if not isinstance(value, Filled) or value.size != self._rings[name].size:
                raise UnreadableError(f"a ring `{attribute}` that is given something else than its places", node)
            filling = self._as(kind.value, value.filling, node)
            return replace(store, shared={**store.shared, name: SymbolicMap(lambda _: filling)})
        if attribute.startswith("_") and name in self._shared - self._projection.representation.tokens:
            return replace(store, shared={**store.shared, name: self._as(self._variables[name].type, value, node)})
        raise UnreadableError(f"a field `{attribute}` that the machine does not have", node)

    def _moved(self, owner: ast.expr, change: Callable[[Term, Term], Term], store: Store) -> Store:
        """Take or give back a token."""
        match owner:
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                name = attribute.removeprefix("_")
                if name in self._projection.representation.tokens:
                    before = store.shared[name]
                    assert isinstance(before, Term)
                    return replace(store, shared={**store.shared, name: change(before, t.number(1))})
            case _:
                pass
        raise UnreadableError(f"a list `{ast.unparse(owner)}` that holds no tokens", owner)

    def _looped(self, name: str, listed: ast.Attribute, body: Sequence[ast.stmt], store: Store) -> Store:
        """A loop over a list of elements that changes one field of each, reading no other element's."""
        match body:
            case [ast.Assign(targets=[ast.Attribute(value=ast.Name(id=owner), attr=variable)], value=value)] if (
                owner == name and variable in self._fields
            ):
                pass
            case _:
                raise UnreadableError("a loop that does more than to change one field of each", listed)
        lists = [listed for listed, _ in self._projection.representation.others.values()]
        if listed.attr not in lists:
            raise UnreadableError(f"a list `{listed.attr}` that the machine does not have", listed)
        for part in ast.walk(value):
            if isinstance(part, ast.Attribute) and part.attr == variable and ast.unparse(part.value) != name:
                raise UnreadableError(f"`{variable}` of another element in a loop that changes it", part)
        kind = self._variables[variable].type
        assert isinstance(kind, MapType)
        before, element = store.fields[variable], self.term(listed.value, store)

        def at(keys: tuple[Term, ...]) -> Symbolic:
            inside = replace(store, names={**store.names, name: keys[0]})
            changed = self._as(kind.value, self._value(value, inside), value)
            return self._encoder.choice(is_listed(listed.attr, keys[0], element), changed, before.at(keys))

        return replace(store, fields={**store.fields, variable: SymbolicMap(at)})

    def _merged(self, condition: Term, a: Store, b: Store) -> Store:
        choice = self._encoder.choice
        shared = {name: choice(condition, value, b.shared[name]) for name, value in a.shared.items()}
        fields = {name: _map(choice(condition, value, b.fields[name])) for name, value in a.fields.items()}
        mirrors = {name: _either(condition, held, b.mirrors[name]) for name, held in a.mirrors.items()}
        # A local name of one branch is not known after it: nothing that is generated reads one there.
        names = {name: value for name, value in a.names.items() if b.names.get(name) is value}
        return Store(shared, fields, names, mirrors)

    # --- expressions -------------------------------------------------------------------------------------------------

    def term(self, e: ast.expr, store: Store) -> Term:
        """A plain value."""
        value = self._value(e, store)
        if not isinstance(value, Term):
            raise UnreadableError(f"`{ast.unparse(e)}` where a plain value stands", e)
        return value

    def _value(self, e: ast.expr, store: Store) -> _Value:
        match e:
            case ast.Constant(value=None):
                return _Nothing()
            case ast.Constant(value=bool(value)):
                return t.truth(value)
            case ast.Constant(value=int(value)):
                return t.number(value)
            case ast.Name(id=name):
                found = store.names.get(name, self._constants.get(name))
                if found is None:
                    raise UnreadableError(f"the name `{name}`", e)
                return found
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                return self._attribute(attribute, store, e)
            case ast.Attribute(value=owner, attr=variable) if variable in self._fields:
                return store.fields[variable].at((self._element(owner, variable, store),))
            case ast.Attribute(value=owner, attr=function) if function in self._projection.attributes:
                whose, what = self._projection.attributes[function]
                element = self.term(owner, store)
                if element.sort != sort_name(whose):
                    raise UnreadableError(f"`{function}` of something else than a {whose}", e)
                return t.apply(f"p.{function}", (element,), sort_name(what))
            case ast.Call(func=ast.Name(id="len"), args=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)]):
                name = attribute.removeprefix("_")
                if name not in self._projection.representation.tokens:
                    raise UnreadableError(f"the length of `{attribute}`", e)
                return store.shared[name]
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id="self"), attr=attribute), slice=where):
                name = self._ring(attribute, e)
                held = store.shared[name]
                assert isinstance(held, SymbolicMap)
                return held.at((self._place(name, where, store),))
            case ast.BinOp(
                left=ast.List(elts=[filling]), op=ast.Mult(), right=ast.Attribute(value=ast.Name(id="self"), attr=size)
            ) if size.removeprefix("_") in self._parameters:
                return Filled(self.term(filling, store), size.removeprefix("_"))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return t.not_(self.term(operand, store))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return t.minus(t.number(0), self.term(operand, store))
            case ast.BoolOp(op=op, values=values):
                join = t.and_ if isinstance(op, ast.And) else t.or_
                return join(*(self._truth(value, store) for value in values))
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(self.term(left, store), op, self.term(right, store), e)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._chosen(self._truth(test, store), self._value(body, store), self._value(orelse, store), e)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                compared: list[_Value] = [self._value(part, store) for part in (left, *comparators)]
                pairs = zip(compared, ops, compared[1:], strict=False)
                return t.and_(*(self._compared(a, op, b, e) for a, op, b in pairs))
            case _:
                raise UnreadableError(f"an expression such as `{ast.unparse(e)}`", e)

    def _element(self, owner: ast.expr, variable: str, store: Store) -> Term:
        """The element whose field is meant, which is of a sort that has it."""
        kind = self._variables[variable].type
        assert isinstance(kind, MapType)
        found = self.term(owner, store)
        if found.sort != self._sort(kind.keys[0]):
            raise UnreadableError(f"the field `{variable}` of `{ast.unparse(owner)}`, which has none", owner)
        return found

    def _truth(self, e: ast.expr, store: Store) -> Term:
        """A truth value; other values as truths are refused."""
        found = self.term(e, store)
        if found.sort != t.BOOL:
            raise UnreadableError(f"`{ast.unparse(e)}` as a truth value", e)
        return found

    def _attribute(self, attribute: str, store: Store, node: ast.expr) -> Symbolic:
        if any(attribute == mirror.switch for mirror in self._projection.representation.mirrors):
            return switch()
        name = attribute.removeprefix("_")
        if name in self._parameters:
            return self._encoder.unknown(self._parameters[name].result, f"p.{name}")
        if name in self._shared - self._projection.representation.tokens - self._rings.keys():
            return store.shared[name]
        raise UnreadableError(f"the field `{attribute}`", node)

    @staticmethod
    def _binary(a: Term, op: ast.operator, b: Term, node: ast.expr) -> Term:
        match op:
            case ast.Add():
                return t.plus(a, b)
            case ast.Sub():
                return t.minus(a, b)
            case ast.Mult():
                return t.times(a, b)
            case ast.FloorDiv() if b.op == "lit" and b.value != 0:
                return t.floor_div(a, b)
            case ast.Mod() if b.op == "lit" and b.value != 0:
                return t.floor_mod(a, b)
            case _:
                raise UnreadableError(f"the operation `{ast.unparse(node)}`", node)

    def _chosen(self, condition: Term, a: _Value, b: _Value, node: ast.expr) -> _Value:
        if isinstance(a, Term) and isinstance(b, Term):
            return t.ite(condition, a, b)
        if isinstance(a, Term) and isinstance(b, _Nothing):
            return Maybe(condition, a)
        if isinstance(a, SymbolicEnum) and isinstance(b, SymbolicEnum):
            return self._encoder.choice(condition, a, b)
        raise UnreadableError(f"the choice `{ast.unparse(node)}`", node)

    def _compared(self, a: _Value, op: ast.cmpop, b: _Value, node: ast.expr) -> Term:
        match op:
            case ast.Is():
                return self._same(a, b, node)
            case ast.IsNot():
                return t.not_(self._same(a, b, node))
            case _:
                pass
        if not isinstance(a, Term) or not isinstance(b, Term):
            raise UnreadableError(f"the comparison `{ast.unparse(node)}`", node)
        match op:
            case ast.Eq():
                return t.equal(a, b)
            case ast.NotEq():
                return t.not_(t.equal(a, b))
            case ast.Lt():
                return t.less(a, b)
            case ast.LtE():
                return t.at_most(a, b)
            case ast.Gt():
                return t.less(b, a)
            case ast.GtE():
                return t.at_most(b, a)
            case _:
                raise UnreadableError(f"the comparison `{ast.unparse(node)}`", node)

    @staticmethod
    def _same(a: _Value, b: _Value, node: ast.expr) -> Term:
        """Identity: of cases of enums and of elements, which are single objects; of options, where None is nothing."""
        match a, b:
            case (Term(sort=sort), Term()) if sort not in {t.INT, t.BOOL}:
                return t.equal(a, b)
            case (SymbolicEnum(tag), _Nothing()) | (_Nothing(), SymbolicEnum(tag)):
                return t.equal(tag, t.constructor(tag.sort, f"{tag.sort}.none"))
            case (SymbolicEnum(tag, contents), Term() as content) | (Term() as content, SymbolicEnum(tag, contents)):
                held = contents["some"]
                assert isinstance(held, Term)
                return t.and_(t.equal(tag, t.constructor(tag.sort, f"{tag.sort}.some")), t.equal(held, content))
            case _:
                raise UnreadableError(f"the identity `{ast.unparse(node)}`", node)

    def _as(self, kind: Type, value: _Value, node: ast.expr) -> Symbolic:
        """A value where one of a type is stored."""
        if isinstance(kind, EnumType) and kind.name == "Option":
            sort = sort_name("Option")
            if isinstance(value, _Nothing):
                content = self._encoder.unknown(kind.arguments[0], "any content")
                return SymbolicEnum(t.constructor(sort, f"{sort}.none"), {"some": content})
            if isinstance(value, Term):
                return SymbolicEnum(t.constructor(sort, f"{sort}.some"), {"some": value})
            if isinstance(value, SymbolicEnum):
                return value
        elif isinstance(value, Term) and value.sort == self._sort(kind):
            return value
        raise UnreadableError(f"`{ast.unparse(node)}` is given a value of another type", node)

    @staticmethod
    def _sort(kind: Type) -> str:
        if isinstance(kind, SortType | EnumType):
            return sort_name(kind.name)
        return t.BOOL if kind == BOOL else t.INT


def switch() -> Term:
    """What the calling convention has set the switch of a mirror to."""
    return t.apply("switch", (), t.BOOL)


def is_listed(listed: str, element: Term, owner: Term) -> Term:
    """Whether an element is on a list of another."""
    return t.apply(f"{LISTED}.{listed}", (element, owner), t.BOOL)


def mirrored(projection: Projection, encoder: Encoder, state: Mapping[str, Symbolic]) -> dict[str, Maybe]:
    """What the mirrors are to hold in a state: the value of a variable where a condition holds, nothing elsewhere."""
    found: dict[str, Maybe] = {}
    for mirror in projection.representation.mirrors:
        tag, value = state[mirror.variable], state[mirror.value]
        assert isinstance(tag, Term)
        assert isinstance(value, Term)
        when = [switch(), t.equal(tag, t.constructor(tag.sort, f"{tag.sort}.{mirror.case}"))]
        if mirror.only:
            when.append(encoder.formula(projection.specification.definitions[mirror.only].body, Surroundings(state)))
        found[mirror.name] = Maybe(t.and_(*when), value)
    return found


def _either(condition: Term, a: Maybe, b: Maybe) -> Maybe:
    return Maybe(t.ite(condition, a.present, b.present), t.ite(condition, a.value, b.value))


def _as_maybe(value: _Value, node: ast.expr) -> Maybe:
    match value:
        case Maybe():
            return value
        case _Nothing():
            return Maybe(t.FALSE, t.number(0))
        case Term():
            return Maybe(t.TRUE, value)
        case _:
            raise UnreadableError(f"`{ast.unparse(node)}` is given neither a number nor None", node)


def _map(value: Symbolic) -> SymbolicMap:
    assert isinstance(value, SymbolicMap)
    return value


def _without_docstring(statements: Sequence[ast.stmt]) -> list[ast.stmt]:
    match statements:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return list(rest)
        case _:
            return list(statements)
