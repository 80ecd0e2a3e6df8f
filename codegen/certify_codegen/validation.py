"""Translation validation: that a generated module does what its specification says, as questions for solvers.

For every action the guard and the transition are read from the module's text and compared with the specification's own
expressions, for all states, all parameters and all arguments, reachable or not. Beside them stand the start, the
assumptions on parameters, and the fast paths (`shortcuts`).

Rules this module keeps:

- what the text leaves behind and what the specification wants are both in the question, under names of their own: the
  solver decides whether they differ, not the code that writes the question;
- nothing outside the machine's own methods writes its fields, but for the shortcuts, each with a proof of its own;
- a method that is missing, or one too many, is a difference.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from certify_codegen import rules
from certify_codegen.machine import MACHINE, element_class
from certify_codegen.projection import Projection
from certify_codegen.reading import Reader, Store, UnreadableError, is_listed, mirrored, switch
from certify_codegen.shortcuts import shortcuts, writes_allowed
from certify_spec import model as m
from certify_spec.datatypes import MapType, SortType
from certify_spec.diagnostics import Diagnostic, Place
from certify_verifier import terms as t
from certify_verifier.encoding import Encoder, Surroundings, Symbolic, SymbolicMap, sort_name
from certify_verifier.solving import Answer, Question, Status
from certify_verifier.terms import Term

Ask = Callable[[Sequence[Question]], Sequence[Answer]]
"""Asks several questions and gives the answers in their order."""


@dataclass(frozen=True, slots=True)
class Equality:
    """One thing to show of a module.

    Attributes:
        title: what is equal.
        place: where the specification says it.
        parts: what is compared: by what people call it, the names of the two sides in the text.
        text: SMT-LIB; they are equal if its assertions are unsatisfiable.
    """

    title: str
    place: Place
    parts: Mapping[str, tuple[str, str]]
    text: str

    @property
    def digest(self) -> str:
        """The digest of the text."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that claims to be a machine.

    Attributes:
        file: what people call it.
        text: Python.
        projection: the machine.
    """

    file: str
    text: str
    projection: Projection


@dataclass(frozen=True, slots=True)
class Validated:
    """What became of a module.

    Attributes:
        equalities: what was to be shown.
        agreed: by solver, how many it has shown.
        wrong: what was not shown, empty if the module does what its specification says.
    """

    equalities: tuple[Equality, ...]
    agreed: Mapping[str, int]
    wrong: tuple[Diagnostic, ...]


def validate(module: Candidate, solvers: Sequence[str], ask: Ask, milliseconds: int = 10_000) -> Validated:
    """Whether a module does what its specification says.

    Args:
        module: the module.
        solvers: who is asked, each about everything.
        ask: asks them.
        milliseconds: the limit of each question.
    """
    try:
        made = tuple(equalities(module))
    except UnreadableError as problem:
        message = f"the generated text cannot be read: {problem}"
        return Validated((), {}, (Diagnostic(rules.DIFFERS, message, Place(module.file, problem.line)),))
    questions = [
        Question(equality.text, solver, milliseconds, model=solver == "z3") for equality in made for solver in solvers
    ]
    answers = dict(zip(((q.text, q.solver) for q in questions), ask(questions), strict=True))
    agreed = {s: sum(answers[e.text, s].status is Status.UNSAT for e in made) for s in solvers}
    wrong: list[Diagnostic] = []
    for equality in made:
        said = {solver: answers[equality.text, solver] for solver in solvers}
        if any(answer.status is not Status.UNSAT for answer in said.values()):
            wrong.append(_explained(module, equality, said))
    return Validated(made, agreed, tuple(wrong))


def _explained(module: Candidate, equality: Equality, said: Mapping[str, Answer]) -> Diagnostic:
    spec = module.projection.specification
    told = next((answer for answer in said.values() if answer.status is Status.SAT), None)
    if told is None:
        reasons = "\n".join(f"{solver}: {answer.reason or answer.status.value}" for solver, answer in said.items())
        return Diagnostic(rules.UNDECIDED, equality.title, equality.place, because=reasons, fix=rules.UNDECIDED.advice)
    model = {name: value for answer in said.values() for name, value in answer.model.items()}
    differing = [
        f"{what} is {_shown(model[ours])} in {module.file}, and {_shown(model[theirs])} in {spec.name}"
        for what, (ours, theirs) in equality.parts.items()
        if ours in model and theirs in model and model[ours] != model[theirs]
    ]
    state = [f"{name.partition('.')[2]} = {_shown(v)}" for name, v in sorted(model.items()) if name.startswith("s.")]
    where = [f"where {', '.join(state)}"] if state else []
    return Diagnostic(
        rules.DIFFERS, equality.title, equality.place, because="\n".join(differing + where), fix=rules.DIFFERS.advice
    )


def _shown(value: object) -> str:
    match value:
        case {"entries": entries, "else": other}:
            return f"{entries} else {other}" if entries else _shown(other)
        case str():
            return value.rpartition(".")[2].rstrip("|")
        case _:
            return str(value).lower() if isinstance(value, bool) else str(value)


# --- what is to be shown ---------------------------------------------------------------------------------------------


def equalities(module: Candidate) -> Iterator[Equality]:
    """Everything that is to be shown of a module.

    Raises:
        UnreadableError: its text has something that the reading has not, or lacks something.
    """
    tree = ast.parse(module.text)
    yield from _Comparison(tree, module.projection).all()
    yield from (
        Equality(s.title, module.projection.specification.place, {}, s.text) for s in shortcuts(module.projection)
    )


class _Comparison:
    def __init__(self, tree: ast.Module, projection: Projection) -> None:
        self._tree = tree
        self._projection = projection
        self._specification = projection.specification
        self._encoder = Encoder(projection.specification)
        self._reader = Reader(tree, projection, self._encoder)
        self._methods = _methods(tree, MACHINE)

    def all(self) -> Iterator[Equality]:
        self._require_no_strangers()
        yield self._start()
        for sort in self._projection.sorts:
            yield self._element_start(sort)
        for action in self._projection.actions:
            yield self._guard(action)
            if self._projection.updates(action):
                yield self._transition(action)
        if self._projection.representation.rings:
            yield self._places()

    def _places(self) -> Equality:
        """That each place of a ring that is used is there: a list has no others, and counts backwards from 0."""
        state = self._encoder.state("s.")
        rings = self._projection.representation.rings
        kept = {ring.within for ring in rings.values()}
        known = [f for f in self._specification.formulas if f.kind is m.Kind.ASSUME or f.name in kept]
        given = [self._encoder.formula(each.formula, Surroundings(state)) for each in known]
        there: list[Term] = []
        for ring, place in self._reader.places:
            parameter = self._specification.functions[rings[ring].size]
            size = self._encoder.unknown(parameter.result, f"p.{parameter.name}")
            assert isinstance(size, Term)
            there += [t.at_most(t.number(0), place), t.less(place, size)]
        text = t.script([*given, t.not_(t.and_(*there))], self._encoder.enumerations)
        return Equality(
            f"{self._specification.name}: each place of a ring is there", self._specification.place, {}, text
        )

    def _require_no_strangers(self) -> None:
        """That the machine has exactly the methods of its actions, and nobody else writes its fields."""
        wanted = {"_start"}
        for action in self._projection.actions:
            wanted.add(f"_can_{action.name}")
            if self._projection.updates(action):
                wanted.add(f"_do_{action.name}")
        for name, method in self._methods.items():
            if name not in wanted:
                raise UnreadableError(f"a method `{name}` that no action has", method)
        for name in sorted(wanted - self._methods.keys()):
            raise UnreadableError(f"no method `{name}`", self._tree)
        own = {f"_{v.name}" for v in self._projection.shared} | {v.name for v in self._projection.fields}
        own |= {f"_{p.name}" for p in self._projection.parameters} | self._projection.attributes.keys()
        own |= {mirror.name for mirror in self._projection.representation.mirrors}
        allowed = writes_allowed(self._projection)
        for node in _outside(self._tree, (MACHINE, *map(element_class, self._projection.sorts))):
            if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
                targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
                for target in (part for each in targets for part in ast.walk(each)):
                    written = isinstance(target, ast.Attribute) and target.attr in own
                    if written and ast.unparse(node) not in allowed:
                        raise UnreadableError(f"`{ast.unparse(node)}` outside the machine", node)

    # --- the start ---------------------------------------------------------------------------------------------------

    def _start(self) -> Equality:
        """Parameters are kept, assumptions are demanded, variables have their start values."""
        method = self._methods["_start"]
        statements = _body(method)
        parameters = [p.name for p in self._projection.parameters]
        given = [arg.arg for arg in method.args.args[1:]]
        if given != parameters or [ast.unparse(s) for s in statements[: len(given)]] != [
            f"self._{name} = {name}" for name in given
        ]:
            raise UnreadableError("parameters that are not taken in the order of the specification", method)
        rest = statements[len(given) :]
        demands = [s for s in rest if isinstance(s, ast.If)]
        assumed = self._specification.of_kind(m.Kind.ASSUME)
        if len(demands) != len(assumed) or rest[: len(demands)] != demands:
            raise UnreadableError("not one demand for each assumption", method)
        empty = Store({}, {})
        sides: list[tuple[str, Symbolic, Symbolic]] = []
        for formula, demand in zip(assumed, demands, strict=True):
            match demand:
                case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=test), body=[ast.Raise()], orelse=[]):
                    wanted = self._encoder.formula(formula.formula, Surroundings())
                    sides.append((f"the demand `{formula.name}`", self._reader.term(test, empty), wanted))
                case _:
                    raise UnreadableError("a demand of another form", demand)
        store = self._started(rest[len(demands) :], method)
        state: dict[str, Symbolic] = {}
        for variable in self._projection.shared:
            assert variable.initial is not None
            state[variable.name] = self._encoder.value(variable.initial, Surroundings())
            if variable.name not in store.shared:
                raise UnreadableError(f"no start of `{variable.name}`", method)
            sides.append(self._sides(variable, store.shared, state))
        sides += self._mirror_sides(store, state, at_start=True)
        return self._equality("the start", self._specification.place, sides, [])

    def _started(self, statements: Sequence[ast.stmt], method: ast.FunctionDef) -> Store:
        """What the first assignments leave behind: tokens are lists of so many, the switch of a mirror is on."""
        store = Store({}, {})
        switches = {mirror.switch for mirror in self._projection.representation.mirrors}
        for statement in statements:
            match statement:
                case ast.Assign(targets=[ast.Attribute(attr=attr)], value=ast.Constant(value=True)) if attr in switches:
                    continue
                case ast.AnnAssign(
                    target=ast.Attribute(attr=attr),
                    value=ast.BinOp(left=ast.List(elts=[ast.Constant(value=None)]), op=ast.Mult(), right=count),
                ) if attr.removeprefix("_") in self._projection.representation.tokens:
                    store = Store({**store.shared, attr.removeprefix("_"): self._reader.term(count, store)}, {})
                case ast.AnnAssign():
                    store = self._reader.run([statement], store)
                case _:
                    raise UnreadableError(f"`{ast.unparse(statement)}` at the start", method)
        return store

    def _element_start(self, sort: str) -> Equality:
        name, fields = element_class(sort), self._projection.of_sort(sort)
        method = _methods(self._tree, name).get("__init__")
        if method is None:
            raise UnreadableError(f"no start of `{name}`", self._tree)
        lists = {listed for listed, _ in self._projection.representation.others.values()}
        open_ = {v.name for v in fields if v.initial is None}
        given = [f for f, (owner, _) in self._projection.attributes.items() if owner == sort]
        given += ["content"] if sort in self._projection.representation.carrying else []
        if [arg.arg for arg in method.args.args[1:]] != given:
            raise UnreadableError(f"other arguments than those of a {sort}", method)
        fresh = t.apply("a.new", (), sort_name(sort))
        before = {v.name: _as_map(self._encoder.unknown(v.type, f"s.{v.name}")) for v in self._projection.fields}
        store = Store({}, before, {"self": fresh})
        for statement in _body(method):
            match statement:
                case ast.AnnAssign(target=ast.Attribute(attr=attr), value=ast.List(elts=[])) if attr in lists:
                    continue
                case ast.Assign() if ast.unparse(statement) in {f"self.{each} = {each}" for each in given}:
                    continue
                case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=attr), value=None) if (
                    attr in open_
                ):
                    continue
                case ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id="self"), attr=attr), value=ast.expr() as value
                ):
                    # `self` is the element here, and nothing of the machine.
                    named = ast.Attribute(ast.Name("new", ast.Load()), attr, ast.Store())
                    inside = Store(store.shared, store.fields, {"new": fresh})
                    store = self._reader.run([ast.Assign([named], value)], inside)
                case _:
                    raise UnreadableError(f"`{ast.unparse(statement)}` in the start of `{name}`", statement)
        sides: list[tuple[str, Symbolic, Symbolic]] = []
        for variable in fields:
            if variable.initial is None:
                continue
            wanted = _as_map(self._encoder.value(variable.initial, Surroundings()))
            sides.append((f"`{variable.name}`", store.fields[variable.name].at((fresh,)), wanted.at((fresh,))))
        return self._equality(f"the start of a {sort}", self._specification.place, sides, [])

    # --- actions -----------------------------------------------------------------------------------------------------

    def _guard(self, action: m.Action) -> Equality:
        state, bound = self._encoder.state("s."), self._arguments(action)
        ours = self._reader.result(self._methods[f"_can_{action.name}"], self._store(action, state, bound, "can"))
        wanted = self._encoder.formula(action.guard, Surroundings(state, bound=bound))
        return self._equality(
            f"when `{action.name}` can happen",
            action.guard.place,
            [("the guard", ours, wanted)],
            self._granted(action, state, bound),
        )

    def _granted(self, action: m.Action, state: Mapping[str, Symbolic], bound: Mapping[str, Symbolic]) -> list[Term]:
        """What the caller answers for."""
        granted = self._projection.representation.granted.get(action.name)
        parts = action.guard.operands if isinstance(action.guard, m.And) else (action.guard,)
        found = [part for part in parts if isinstance(part, m.Invoked) and part.definition == granted]
        return [self._encoder.formula(part, Surroundings(state, bound=bound)) for part in found]

    def _transition(self, action: m.Action) -> Equality:
        state, bound = self._encoder.state("s."), self._arguments(action)
        store = self._store(action, state, bound, "do")
        after = self._reader.run(self._methods[f"_do_{action.name}"].body, store)
        around = Surroundings(state, bound=bound)
        wanted = dict(state)
        for name, update in self._projection.updates(action).items():
            wanted[name] = self._encoder.value(update, around)
        sides = [self._sides(v, after.shared, wanted) for v in self._projection.shared]
        for variable in self._projection.fields:
            held, key = _as_map(wanted[variable.name]), self._any(variable)
            sides.append((f"`{variable.name}`", after.fields[variable.name].at((key,)), held.at((key,))))
        sides += self._mirror_sides(after, wanted)
        return self._equality(f"what `{action.name}` changes", action.place, sides, self._listed(state, bound))

    def _sides(
        self, variable: m.StateVariable, ours: Mapping[str, Symbolic], wanted: Mapping[str, Symbolic]
    ) -> tuple[str, Symbolic, Symbolic]:
        """What a variable holds here and there: a ring, at any place."""
        a, b = ours[variable.name], wanted[variable.name]
        if variable.name in self._projection.representation.rings:
            place = t.apply("a.place", (), t.INT)
            a, b = _as_map(a).at((place,)), _as_map(b).at((place,))
        return f"`{variable.name}`", a, b

    def _listed(self, state: Mapping[str, Symbolic], bound: Mapping[str, Symbolic]) -> list[Term]:
        """That everybody is on the lists on which the representation wants them."""
        found: list[Term] = []
        for variable, (listed, definition) in self._projection.representation.others.items():
            key = self._any(self._specification.variables[variable])
            meaning = self._specification.definitions[definition]
            for value in bound.values():
                if isinstance(value, Term) and value.sort == key.sort:
                    names = dict(zip((name for name, _ in meaning.parameters), (key, value), strict=True))
                    holds = self._encoder.formula(meaning.body, Surroundings(state, bound=names))
                    found.append(t.implies(holds, is_listed(listed, key, value)))
        return found

    def _mirror_sides(
        self, store: Store, wanted: Mapping[str, Symbolic], *, at_start: bool = False
    ) -> list[tuple[str, Symbolic, Symbolic]]:
        sides: list[tuple[str, Symbolic, Symbolic]] = []
        for name, kept in mirrored(self._projection, self._encoder, wanted).items():
            if name not in store.mirrors:
                raise UnreadableError(f"the mirror `{name}` is not set at the start", self._tree)
            held = store.mirrors[name]
            present = t.and_(switch(), held.present) if at_start else held.present
            value = [t.ite(kept.present, side.value, t.number(0)) for side in (held, kept)]
            sides += [(f"whether `{name}` holds", present, kept.present), (f"the mirror `{name}`", value[0], value[1])]
        return sides

    def _store(
        self, action: m.Action, state: Mapping[str, Symbolic], bound: Mapping[str, Symbolic], verb: str
    ) -> Store:
        """What a method finds: any state, any arguments, and a mirror that holds what it is to hold."""
        method = self._methods[f"_{verb}_{action.name}"]
        given = [arg.arg for arg in method.args.args[1:]]
        wanted = [name for name, _ in action.parameters]
        clock = self._projection.clock
        names: dict[str, Symbolic] = dict(bound)
        if given == [*wanted, "now"] and clock:
            names["now"] = state[clock]
        elif given != wanted:
            raise UnreadableError(f"other arguments than those of `{action.name}`", method)
        shared = {v.name: state[v.name] for v in self._projection.shared}
        fields = {v.name: _as_map(state[v.name]) for v in self._projection.fields}
        return Store(shared, fields, dict(names), mirrored(self._projection, self._encoder, state))

    def _arguments(self, action: m.Action) -> dict[str, Symbolic]:
        return {name: self._encoder.unknown(kind, f"a.{name}") for name, kind in action.parameters}

    @staticmethod
    def _any(variable: m.StateVariable) -> Term:
        """Any element that has a field."""
        match variable.type:
            case MapType(keys=(SortType(name=sort),)):
                return t.apply(f"a.any {sort}", (), sort_name(sort))
            case _:
                raise AssertionError(variable.name)

    def _equality(
        self, title: str, place: Place, sides: Sequence[tuple[str, Symbolic, Symbolic]], given: Sequence[Term]
    ) -> Equality:
        """The question whether sides differ: each side has a name of its own in it."""
        assertions, same = list(given), list[Term]()
        parts: dict[str, tuple[str, str]] = {}
        for what, ours, theirs in sides:
            for number, (a, b) in enumerate(zip(self._encoder.flat(ours), self._encoder.flat(theirs), strict=True)):
                called = what.strip("`") + (f" {number}" if number else "")
                names = f"python {called}", f"spec {called}"
                left, right = (t.apply(name, (), a.sort) for name in names)
                assertions += [t.equal(left, a), t.equal(right, b)]
                same.append(t.equal(left, right))
                parts[f"{what}{f' ({number})' if number else ''}"] = names
        text = t.script([*assertions, t.not_(t.and_(*same))], self._encoder.enumerations)
        return Equality(f"{self._specification.name}: {title}", place, parts, text)


def require_shortcuts(text: str, machines: Mapping[str, Projection]) -> None:
    """That a text which uses several machines writes their fields by shortcuts only.

    Args:
        text: Python.
        machines: by the name that each has in it.

    Raises:
        UnreadableError: it writes another field.
    """
    allowed = {
        each.replace("self.", f"{name}.")
        for name, projection in machines.items()
        for each in writes_allowed(projection)
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
            written = [part for each in targets for part in ast.walk(each) if isinstance(part, ast.Attribute)]
            if written and ast.unparse(node) not in allowed:
                raise UnreadableError(f"`{ast.unparse(node)}` outside the machine", node)


def _methods(tree: ast.Module, name: str) -> dict[str, ast.FunctionDef]:
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None:
        raise UnreadableError(f"no class `{name}`", tree)
    methods: dict[str, ast.FunctionDef] = {}
    for node in found.body:
        match node:
            case ast.FunctionDef():
                methods[node.name] = node
            case ast.Expr(value=ast.Constant()) | ast.Assign(targets=[ast.Name(id="__slots__")]):
                pass
            case _:
                raise UnreadableError(f"`{ast.unparse(node)}` in `{name}`", node)
    return methods


def _body(method: ast.FunctionDef) -> list[ast.stmt]:
    body = method.body
    return body[1:] if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) else body


def _outside(tree: ast.Module, classes: Sequence[str]) -> Iterator[ast.AST]:
    for node in tree.body:
        if not (isinstance(node, ast.ClassDef) and node.name in classes):
            yield from ast.walk(node)


def _as_map(value: Symbolic) -> SymbolicMap:
    assert isinstance(value, SymbolicMap)
    return value
