"""From a machine to the state that its code keeps.

Rules this module keeps:

- ghosts are erased, and it is shown that nothing real reads them: no guard, and no update of a real variable;
- a map over a sort becomes a field of an object for each element of the sort: `stage[c]` is `c.stage`; a function from
  one sort to another becomes one that is given when the object is made, and never changes;
- the clock becomes an argument of the transitions that read it;
- what a shared variable is stored as may differ (a number as a list of tokens, a map as a list), and only here is said
  how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from certify_codegen import rules
from certify_spec import analysis
from certify_spec import model as m
from certify_spec.datatypes import MapType, SortType
from certify_spec.diagnostics import Diagnostic, RequestError

CLOCK_ACTION = "tick"


@dataclass(frozen=True, slots=True)
class Mirror:
    """A field that is set at the end of every transition, in the same breath: what a fast path reads at once.

    Attributes:
        name: the field.
        variable, case: it has a value exactly while this variable, an enum, is this case.
        value: the variable that gives its value.
        switch: a field that the calling convention owns; the mirror is None while it is false.
        only: a definition that is to hold as well, if there is one.
    """

    name: str
    variable: str
    case: str
    value: str
    switch: str
    only: str = ""


@dataclass(frozen=True, slots=True)
class Ring:
    """A map from numbers that is stored as a list, of which only the places from 0 on are ever used.

    Attributes:
        size: the parameter that says how many places there are.
        within: the invariant that says that what the machine uses is among them.
    """

    size: str
    within: str


@dataclass(frozen=True, slots=True)
class Representation:
    """How the state of a machine is stored.

    Attributes:
        tokens: number variables stored as lists of so many tokens, taken and given back without a lock.
        granted: by action, a conjunct of its guard (the name of a definition) that the caller answers for.
        others: by variable, the field that lists the elements that a tabulated update may change, and the definition
            of who is on it: `c` has each `d` on its list for which it holds, and may have more.
        mirrors: what is set at the end of transitions, all by one switch.
        rings: maps from numbers that are stored as lists.
        carrying: sorts whose elements have a `content`, which the machine does not look at.
        unused: actions that the calling convention does not need.
    """

    tokens: frozenset[str] = frozenset()
    granted: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    mirrors: tuple[Mirror, ...] = ()
    rings: Mapping[str, Ring] = field(default_factory=dict)
    carrying: frozenset[str] = frozenset()
    unused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Projection:
    """A machine without its ghosts, and which of its variables belong to whom."""

    specification: m.Specification
    representation: Representation

    @cached_property
    def sorts(self) -> tuple[str, ...]:
        """The sorts, each of which has a class for its elements."""
        return tuple(self.specification.sorts)

    @cached_property
    def attributes(self) -> dict[str, tuple[str, str]]:
        """The functions from one sort to another: of whom, and what."""
        found: dict[str, tuple[str, str]] = {}
        for function in self.specification.functions.values():
            match function:
                case m.Function(parameters=((_, SortType(name=owner)),), result=SortType(name=held)):
                    found[function.name] = (owner, held)
                case _:
                    pass
        return found

    def of_sort(self, sort: str) -> tuple[m.StateVariable, ...]:
        """Variables of each element of a sort."""
        return tuple(v for v in self.fields if isinstance(v.type, MapType) and v.type.keys == (SortType(sort),))

    @cached_property
    def clock(self) -> str:
        """The clock, or nothing."""
        return next((n for n, v in self.specification.variables.items() if v.role is m.Role.CLOCK), "")

    @cached_property
    def shared(self) -> tuple[m.StateVariable, ...]:
        """Variables of the machine as a whole."""
        return tuple(v for v in self._real if not self._is_field(v))

    @cached_property
    def fields(self) -> tuple[m.StateVariable, ...]:
        """Variables of each element of some sort."""
        return tuple(v for v in self._real if self._is_field(v))

    @cached_property
    def parameters(self) -> tuple[m.Function, ...]:
        """The parameters."""
        return tuple(f for f in self.specification.functions.values() if not f.parameters)

    @cached_property
    def actions(self) -> tuple[m.Action, ...]:
        """The actions that code has: not the clock's, and not those that only ghosts notice."""
        return tuple(a for a in self.specification.actions.values() if self._is_real(a))

    def updates(self, action: m.Action) -> dict[str, m.Expression]:
        """What an action does to real state."""
        return {n: u for n, u in action.updates.items() if self.specification.variables[n].role is m.Role.STATE}

    def reads_clock(self, action: m.Action, *, guard: bool) -> bool:
        """Whether the guard, or the updates, of an action read the clock."""
        parts = [action.guard] if guard else list(self.updates(action).values())
        definitions = self.specification.definitions
        return bool(self.clock) and any(self.clock in analysis.variables_read(part, definitions) for part in parts)

    @property
    def _real(self) -> tuple[m.StateVariable, ...]:
        return tuple(v for v in self.specification.variables.values() if v.role is m.Role.STATE)

    def _is_field(self, variable: m.StateVariable) -> bool:
        kind = variable.type
        return isinstance(kind, MapType) and len(kind.keys) == 1 and isinstance(kind.keys[0], SortType)

    def _is_real(self, action: m.Action) -> bool:
        if action.name == CLOCK_ACTION or action.name in self.representation.unused:
            return False
        return not action.updates or bool(self.updates(action))


def project(specification: m.Specification, representation: Representation) -> Projection:
    """A machine without its ghosts.

    Raises:
        RequestError: something real reads a ghost.
    """
    made = Projection(specification, representation)
    ghosts = {n for n, v in specification.variables.items() if v.role is m.Role.GHOST}
    wrong: list[Diagnostic] = []
    for action in made.actions:
        parts = {"the guard": action.guard} | {f"`{n}`": u for n, u in made.updates(action).items()}
        for what, part in parts.items():
            read = analysis.variables_read(part, specification.definitions, specification.actions) & ghosts
            if read:
                message = f"{what} of `{action.name}` reads the ghost `{min(read)}`"
                wrong.append(Diagnostic(rules.GHOST_READ, message, action.place, fix=rules.GHOST_READ.advice))
    if wrong:
        raise RequestError(*wrong)
    return made
