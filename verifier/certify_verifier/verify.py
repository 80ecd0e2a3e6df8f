"""Deciding what a specification claims.

For each claim, in this order: induction over worlds of any size, each obligation by a fresh solver; where that fails, a
counterexample to induction in worlds of one to three elements; if there is one, the shortest run that breaks the claim,
and if none does, induction over two and three steps, then a lemma that carries it; if there is none, induction again
with more said of finite sets, another solver and other seeds.

Rules this module keeps:

- a claim is proved only from invariants that are proved: whatever rests on one that is not is tried again without it;
- vacuity is a failure: assumptions must be satisfiable, every action must be able to happen, every premise to be met;
- a lemma that was found is proved by plain induction like any other, whatever found it;
- an unknown stays one: nothing is proved because a solver gave up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from threading import Lock
from typing import Any, Final

from certify_spec import model as m
from certify_spec.diagnostics import Place
from certify_spec.interpreter import Trace
from certify_verifier import counterexample
from certify_verifier.cache import Cache
from certify_verifier.deeper import DEPTHS, deeper_obligations
from certify_verifier.effort import excess
from certify_verifier.encoding import UnsupportedError
from certify_verifier.exploration import explore
from certify_verifier.inference import PREDICATE, conjectures
from certify_verifier.obligation import (
    ANY_SIZE,
    Obligation,
    Universe,
    law_obligation,
    law_premise_obligation,
    obligations_of,
    step_obligations,
)
from certify_verifier.progress import links, objection, progress_obligations
from certify_verifier.refinement import refinement_obligations, title
from certify_verifier.search import DisagreementError, Goal, NotFound, Unrolling, is_exact, shortest, shortest_of
from certify_verifier.solving import Answer, Question, Solvers, Status
from certify_verifier.verdict import (
    Finding,
    Proved,
    ProvedUpTo,
    Refuted,
    Undecided,
    Vacuous,
    Verdict,
    is_success,
)

MOST_FOR_LEMMAS: Final = 5_000
"""Milliseconds for the search of a lemma in one small world."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How hard to try.

    Attributes:
        solver: `z3`, `cvc5`, or `both`: then each proof is asked of both, and they must not contradict each other.
        steps: the longest runs to search.
        quick: milliseconds for the first question about an obligation.
        slow: milliseconds for each further one.
        size: the size of sorts that no instance sets, in searches.
    """

    solver: str = "z3"
    steps: int = 12
    quick: int = 1_000
    slow: int = 10_000
    size: int = 2


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a specification.

    Attributes:
        specification: its name.
        findings: one per property, in the order of the file; then the actions and the sanity of the whole.
        obligations: everything that was to be proved, by digest.
        proved_by: the solvers that proved each obligation, by digest.
        seconds: wall time.
    """

    specification: str
    findings: tuple[Finding, ...]
    obligations: Mapping[str, Obligation]
    proved_by: Mapping[str, tuple[str, ...]]
    seconds: float

    @property
    def is_proved(self) -> bool:
        """Whether everything holds without reservation."""
        return all(is_success(finding.verdict) for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Claim:
    """Something to decide: how to build its obligations in a universe, and what run would refute it."""

    name: str
    kind: str
    place: Place
    doc: str
    build: Callable[[m.Specification, Universe], tuple[Obligation, ...]]
    goal: Goal | None = None
    inductive: bool = False


class Session:
    """Asks solvers on behalf of one verification, and remembers who proved what."""

    def __init__(self, solvers: Solvers, settings: Settings, cache: Cache | None = None) -> None:
        self.solvers = solvers
        self.settings = settings
        self._cache = cache
        self._lock = Lock()
        self._proofs: dict[str, set[str]] = {}

    def proved_by(self, obligation: Obligation) -> tuple[str, ...]:
        """The solvers that have proved an obligation."""
        return tuple(sorted(self._proofs.get(obligation.digest, ())))

    def ask(self, question: Question) -> Answer:
        """The answer to a question, from the cache if it is there."""
        known = self._cache.find(question) if self._cache else None
        if known is not None:
            return known
        answer = self.solvers.ask(question)
        if self._cache:
            self._cache.keep(question, answer)
        return answer

    def is_unsatisfiable(self, obligation: Obligation, milliseconds: int, seed: int = 0, solver: str = "") -> Status:
        """What the chosen solvers say of an obligation.

        Raises:
            DisagreementError: one proves what the other refutes.
        """
        chosen = solver or self.settings.solver
        names = ("z3", "cvc5") if chosen == "both" else (chosen,)
        said = {
            name: self.ask(Question(obligation.text, solver=name, milliseconds=milliseconds, seed=seed)).status
            for name in names
        }
        if {Status.SAT, Status.UNSAT} <= set(said.values()):
            raise DisagreementError(f"{obligation.title}: the solvers contradict each other")
        with self._lock:
            proved = {name for name, status in said.items() if status is Status.UNSAT}
            self._proofs.setdefault(obligation.digest, set()).update(proved)
        if Status.UNSAT in said.values():
            return Status.UNSAT
        return Status.SAT if Status.SAT in said.values() else Status.UNKNOWN


def claims(specification: m.Specification) -> tuple[Claim, ...]:
    """Everything that is to be proved of a specification, reachability aside."""
    return tuple(chain(_formula_claims(specification), _step_claims(specification), _other_claims(specification)))


def _formula_claims(specification: m.Specification) -> Iterator[Claim]:
    for formula in specification.of_kind(m.Kind.INVARIANT, m.Kind.LEMMA, m.Kind.ALWAYS):

        def build(given: m.Specification, universe: Universe, formula: m.Formula = formula) -> tuple[Obligation, ...]:
            return obligations_of(given, formula, universe)

        goal = Goal(formula.name, state=formula.formula)
        inductive = formula.kind is not m.Kind.ALWAYS
        yield Claim(formula.name, formula.kind.value, formula.place, formula.doc, build, goal, inductive)


def _step_claims(specification: m.Specification) -> Iterator[Claim]:
    for step in specification.steps:

        def build(given: m.Specification, universe: Universe, step: m.StepProperty = step) -> tuple[Obligation, ...]:
            return step_obligations(given, step, universe)

        yield Claim(step.name, "step", step.place, step.doc, build, Goal(step.name, step=step))


def _other_claims(specification: m.Specification) -> Iterator[Claim]:
    for progress in specification.progress:

        def steps(
            given: m.Specification, universe: Universe, progress: m.Progress = progress
        ) -> tuple[Obligation, ...]:
            return progress_obligations(given, progress, universe)

        yield Claim(progress.name, "progress", progress.place, progress.doc, steps)
    for refinement in specification.refinements:

        def refined(
            given: m.Specification, universe: Universe, refinement: m.Refinement = refinement
        ) -> tuple[Obligation, ...]:
            return refinement_obligations(given, refinement, universe)

        yield Claim(title(refinement), "refines", refinement.place, "", refined)
    for law in specification.laws:

        def lawful(given: m.Specification, universe: Universe, law: m.Law = law) -> tuple[Obligation, ...]:
            return (law_obligation(given, law, universe),)

        yield Claim(law.name, "law", law.place, law.doc, lawful)


@dataclass(slots=True)
class _Decided:
    """What is known of a claim, and on what it rests."""

    verdict: Verdict
    obligations: tuple[Obligation, ...] = ()
    seconds: float = 0.0


@dataclass(slots=True)
class _Verification:
    """One specification being verified."""

    specification: m.Specification
    session: Session
    sizes: Mapping[str, int]
    decided: dict[str, _Decided] = field(default_factory=dict)

    def run(self) -> Report:
        begin = time.monotonic()
        every = claims(self.specification)
        too_much = excess(self.specification, self.sizes, self.session.settings.steps)
        sanity = self._declined(every, too_much) if too_much else self._decide_all(every)
        found = [self._finding(claim) for claim in every]
        obligations = {o.digest: o for d in self.decided.values() for o in d.obligations}
        proved_by = {digest: self.session.proved_by(obligation) for digest, obligation in obligations.items()}
        return Report(self.specification.name, (*found, *sanity), obligations, proved_by, time.monotonic() - begin)

    def _decide_all(self, every: Sequence[Claim]) -> list[Finding]:
        """Decide every claim; gives what is found of the sanity of the whole."""
        sanity: list[Finding] = []

        def decide(claim: Claim | None) -> None:
            if claim is None:
                sanity.extend(self._sanity())
            else:
                self.decided[claim.name] = self._decide_from_all(claim)

        self.session.solvers.map(decide, [None, *every])
        sanity += self._law_sanity()
        self._drop_what_rests_on_nothing(every)
        self._join_chains()
        return sanity

    def _declined(self, every: Sequence[Claim], reason: str) -> list[Finding]:
        """Decide nothing, and say why."""
        self.decided = {claim.name: _Decided(Undecided(reason)) for claim in every}
        return [Finding(self.specification.name, "assumptions", Undecided(reason), self.specification.place)]

    def _finding(self, claim: Claim) -> Finding:
        decided = self.decided[claim.name]
        digests = tuple(o.digest for o in decided.obligations)
        said = [solver for obligation in decided.obligations for solver in self.session.proved_by(obligation)]
        solvers = {solver: said.count(solver) for solver in sorted(set(said))}
        return Finding(
            claim.name, claim.kind, decided.verdict, claim.place, claim.doc, decided.seconds, solvers, digests
        )

    # --- one claim ---------------------------------------------------------------------------------------------------

    def _decide_from_all(self, claim: Claim) -> _Decided:
        return self._decide(claim, self.specification)

    def _decide(self, claim: Claim, given: m.Specification) -> _Decided:
        begin = time.monotonic()
        if reason := self.session.solvers.exhausted():
            return _Decided(Undecided(reason))  # to write down what nobody will be asked takes time, too
        try:
            obligations = list(claim.build(given, ANY_SIZE))
            verdict = self._judge(claim, given, obligations)
            tuple(obligation.digest for obligation in obligations)  # an encoding that is missing shows here
        except UnsupportedError as problem:
            return _Decided(Undecided(f"no encoding for {problem}"))
        return _Decided(verdict, tuple(obligations), time.monotonic() - begin)

    def _judge(self, claim: Claim, given: m.Specification, obligations: list[Obligation]) -> Verdict:
        """The verdict; an obligation that is proved in a richer form is replaced by that form."""
        against = self._objection(claim)
        if against:
            return Undecided(against)
        quick = self.session.settings.quick
        statuses = [self.session.is_unsatisfiable(obligation, quick) for obligation in obligations]
        failed = [i for i, status in enumerate(statuses) if status is not Status.UNSAT]
        if not failed:
            return Proved("induction" if claim.inductive else "deduction")
        for position in failed:
            broken = self._counterexample(claim, given, position)
            if broken is not None:
                refuted = self._refute(claim, broken)
                if refuted is not broken:
                    return refuted
                return self._deeper(claim, given, obligations) or self._carried(claim, given, obligations) or refuted
        for position in failed:
            proved = self._prove_harder(claim, given, position)
            if proved is None:
                return self._refute(claim, Undecided(f"no solver decides: {obligations[position].title}"))
            obligations[position] = proved
        return Proved("induction" if claim.inductive else "deduction")

    def _deeper(self, claim: Claim, given: m.Specification, obligations: list[Obligation]) -> Verdict | None:
        """A proof by induction over several steps; its obligations take the place of the claim's."""
        formula = next((f for f in given.formulas if f.name == claim.name), None)
        if formula is None or not claim.inductive:
            return None
        for depth in DEPTHS:
            every = deeper_obligations(given, formula, depth)
            quick = self.session.settings.quick
            if all(self.session.is_unsatisfiable(obligation, quick) is Status.UNSAT for obligation in every):
                obligations[:] = every
                return Proved(f"induction over {depth} steps")
        return None

    def _carried(self, claim: Claim, given: m.Specification, obligations: list[Obligation]) -> Verdict | None:
        """A proof with a lemma that Spacer finds, if plain induction confirms it; its obligations join the claim's."""
        formula = next((f for f in given.formulas if f.name == claim.name), None)
        if formula is None:
            return None
        for lemma, text in conjectures(given, formula, self._solved):
            stronger = replace(given, formulas=(*given.formulas, lemma))
            every = (*obligations_of(stronger, lemma), *claim.build(stronger, ANY_SIZE))
            quick = self.session.settings.quick
            if all(self.session.is_unsatisfiable(obligation, quick) is Status.UNSAT for obligation in every):
                obligations[:] = every
                return Proved("induction with a lemma that was found", text)
        return None

    def _solved(self, clauses: str) -> Any:
        limit = min(MOST_FOR_LEMMAS, self.session.settings.slow)
        return self.session.ask(Question(clauses, "spacer", limit, model=True)).model.get(PREDICATE)

    def _objection(self, claim: Claim) -> str:
        progress = next((p for p in self.specification.progress if p.name == claim.name), None)
        return objection(self.specification, progress) if progress else ""

    def _counterexample(self, claim: Claim, given: m.Specification, position: int) -> Verdict | None:
        """A state of a small world in which the obligation fails."""
        for size in (1, 2, 3):
            sizes = self._all_sizes(claim, size)
            universe = Universe(sizes)
            obligation = claim.build(given, universe)[position]
            question = Question(obligation.text, milliseconds=self.session.settings.slow, model=True)
            answer = self.session.ask(question)
            if answer.status is Status.SAT:
                try:
                    return counterexample.explain(given, claim.name, obligation, universe, answer.model)
                except DisagreementError:
                    if is_exact(given):
                        raise
            if not sizes:
                return None
        return None

    def _all_sizes(self, claim: Claim, size: int) -> dict[str, int]:
        variables = next((law.variables for law in self.specification.laws if law.name == claim.name), ())
        return dict.fromkeys((*self.specification.sorts, *variables), size)

    def _prove_harder(self, claim: Claim, given: m.Specification, position: int) -> Obligation | None:
        """More facts, another solver, other seeds: the obligation in the form that is proved, or None."""
        slow = self.session.settings.slow
        richer = claim.build(given, Universe(least=True))[position]
        plain = claim.build(given, ANY_SIZE)[position]
        tries = ((richer, 0, "z3"), (richer, 0, "cvc5"), (plain, 0, "cvc5"), (plain, 1, "z3"), (richer, 2, "z3"))
        for obligation, seed, solver in tries:
            if self.session.is_unsatisfiable(obligation, slow, seed, solver) is Status.UNSAT:
                if self.session.settings.solver == "both":
                    self.session.is_unsatisfiable(obligation, slow, seed)
                return obligation
        return None

    def _refute(self, claim: Claim, otherwise: Verdict) -> Verdict:
        """The shortest run that breaks the claim, if there is one."""
        if claim.goal is None or isinstance(otherwise, Refuted):
            return otherwise
        unrolling = Unrolling(self.specification, self.sizes)
        found = shortest(
            unrolling, claim.goal, self.session.ask, self.session.settings.steps, self.session.settings.slow
        )
        if isinstance(found, Trace):
            return Refuted(found, counterexample.broken_clause(self.specification, claim.goal, found))
        if isinstance(otherwise, Undecided) and found.complete:
            sizes = "".join(f" and {size} of {sort}" for sort, size in self.sizes.items())
            return ProvedUpTo(found.steps, f"any parameters{sizes}")
        return otherwise

    # --- what rests on what ------------------------------------------------------------------------------------------

    def _drop_what_rests_on_nothing(self, every: Sequence[Claim]) -> None:
        """Prove again, without the invariants that are not proved, whatever was proved with them."""
        while True:
            unproved = {c.name for c in every if c.inductive and not is_success(self.decided[c.name].verdict)}
            resting = [c for c in every if c.kind != "law" and is_success(self.decided[c.name].verdict)]
            kept = tuple(f for f in self.specification.formulas if f.name not in unproved)
            if not unproved or len(kept) == len(self.specification.formulas):
                return
            given = replace(self.specification, formulas=kept)
            lost = [c for c in resting if not self._still_proved(c, given)]
            for claim in lost:
                names = ", ".join(f"`{name}`" for name in sorted(unproved))
                reason = f"proved only together with what is not proved itself: {names}"
                self.decided[claim.name].verdict = Undecided(reason)
            if not any(claim.inductive for claim in lost):
                return

    def _still_proved(self, claim: Claim, given: m.Specification) -> bool:
        obligations = claim.build(given, ANY_SIZE)
        slow = self.session.settings.slow
        return all(
            self.session.is_unsatisfiable(obligation, slow) is Status.UNSAT
            or self._prove_harder(claim, given, position) is not None
            for position, obligation in enumerate(obligations)
        )

    def _join_chains(self) -> None:
        """A chain is as strong as its links."""
        for progress in self.specification.progress:
            if isinstance(progress.argument, m.Chain):
                weak = [
                    link.name
                    for link in links(self.specification, progress.argument)
                    if not is_success(self.decided[link.name].verdict)
                ]
                if weak and is_success(self.decided[progress.name].verdict):
                    self.decided[progress.name].verdict = Undecided(f"the link `{weak[0]}` is not proved")

    # --- sanity ------------------------------------------------------------------------------------------------------

    def _sanity(self) -> list[Finding]:
        """That the assumptions can hold, every action can happen, and every premise can be met."""
        if not self.specification.is_machine:
            return self._theory_sanity()
        unrolling = Unrolling(self.specification, self.sizes)
        begin = shortest(unrolling, Goal("start"), self.session.ask, 0, self.session.settings.slow)
        whole = self.specification.name
        if isinstance(begin, NotFound):
            verdict: Verdict = Vacuous("the assumptions and the initial state")
            if not begin.complete:
                verdict = Undecided(begin.reason)
            return [Finding(whole, "assumptions", verdict, self.specification.place)]
        found = [Finding(whole, "assumptions", Proved("an initial state"), self.specification.place)]
        return [*found, *self._reach(unrolling)]

    def _theory_sanity(self) -> list[Finding]:
        unrolling = Unrolling(self.specification, self.sizes)
        found = shortest(unrolling, Goal("start"), self.session.ask, 0, self.session.settings.slow)
        verdict: Verdict = Proved("a model")
        if isinstance(found, NotFound):
            verdict = Vacuous("the axioms") if found.complete else Undecided(found.reason)
        return [Finding(self.specification.name, "assumptions", verdict, self.specification.place)]

    def _law_sanity(self) -> list[Finding]:
        """That some values meet the premise of each law."""
        every = list(counterexample.law_premises(self.specification))
        return self.session.solvers.map(lambda item: self._meet(*item), every)

    def _meet(self, law: m.Law, premise: m.Expression) -> Finding:
        begin = time.monotonic()
        name, verdict = f"premise of {law.name}", self._met(law, premise)
        return Finding(name, "premise", verdict, law.place, "", time.monotonic() - begin)

    def _met(self, law: m.Law, premise: m.Expression) -> Verdict:
        sorts = (*self.specification.sorts, *law.variables)
        for size in (1, 2, 3):
            universe = Universe(dict.fromkeys(sorts, size))
            small = law_premise_obligation(self.specification, law, premise, universe)
            if self.session.ask(Question(small.text, milliseconds=self.session.settings.quick)).status is Status.SAT:
                return Proved("values that meet it")
        whole = law_premise_obligation(self.specification, law, premise)
        if self.session.is_unsatisfiable(whole, self.session.settings.slow) is Status.UNSAT:
            return Vacuous(f"premise of {law.name}")
        return Undecided("no values of a small world meet it")

    def _reach(self, unrolling: Unrolling) -> Iterator[Finding]:
        """Whether each action, goal and premise can be: by runs of the interpreter, then by search."""
        begin = time.monotonic()
        every = list(_sanity_goals(self.specification))
        runs: dict[str, Trace | NotFound] = {**explore(self.specification, [goal for goal, *_ in every], self.sizes)}
        left = [goal for goal, *_ in every if goal.name not in runs]
        seconds = (time.monotonic() - begin) / max(1, len(runs))
        begin = time.monotonic()
        runs |= shortest_of(unrolling, left, self.session.ask, self.session.settings.steps)
        searched = (time.monotonic() - begin) / max(1, len(left))
        for goal, kind, place, doc in every:
            took = searched if goal in left else seconds
            yield Finding(goal.name, kind, self._can_be(goal, runs[goal.name]), place, doc, took)

    def _can_be(self, goal: Goal, found: Trace | NotFound) -> Verdict:
        if isinstance(found, Trace):
            return Proved(f"a run of {len(found.steps)} steps")
        if self._is_impossible(goal):
            return Vacuous(goal.name)
        reason = f"no run of at most {self.session.settings.steps} steps gets there"
        return Undecided(reason + (f"; {found.reason}" if found.reason else ""))

    def _is_impossible(self, goal: Goal) -> bool:
        """Whether the invariants alone exclude a goal. They are proved elsewhere, or that is reported there."""
        obligation = counterexample.impossible(self.specification, goal)
        return self.session.is_unsatisfiable(obligation, self.session.settings.quick) is Status.UNSAT


def _sanity_goals(specification: m.Specification) -> Iterator[tuple[Goal, str, Place, str]]:
    for action in specification.actions.values():
        yield Goal(action.name, action=action.name), "action", action.place, action.doc
    for formula in specification.of_kind(m.Kind.REACHABLE):
        yield Goal(formula.name, state=formula.formula, wanted=True), "reachable", formula.place, formula.doc
    for name, premise, place in counterexample.premises(specification):
        yield Goal(f"premise of {name}", state=premise, wanted=True), "premise", place, ""


def finite_sizes(specification: m.Specification, size: int = 2) -> dict[str, int]:
    """The sizes of the sorts in searches: those of the first declared instance, `size` for the rest."""
    instance = next(iter(specification.instances.values()), None)
    return dict.fromkeys(specification.sorts, size) | dict(instance.sizes if instance else {})


def search(specification: m.Specification, name: str, session: Session) -> Trace | NotFound:
    """The shortest run that breaks a property of states or steps, without any attempt to prove it.

    Raises:
        KeyError: there is no such property.
        DisagreementError: the interpreter does not replay the run.
    """
    goals = {claim.name: claim.goal for claim in claims(specification) if claim.goal is not None}
    unrolling = Unrolling(specification, finite_sizes(specification, session.settings.size))
    return shortest(unrolling, goals[name], session.ask, session.settings.steps, session.settings.slow)


def verify(
    specification: m.Specification,
    solvers: Solvers,
    settings: Settings | None = None,
    cache: Cache | None = None,
) -> Report:
    """Decide everything that a specification claims.

    Args:
        specification: a checked specification.
        solvers: the processes to ask.
        settings: how hard to try.
        cache: where answers are kept between runs.

    Raises:
        DisagreementError: two readings of the specification contradict each other; a fault of this program.
    """
    chosen = settings or Settings()
    sizes = finite_sizes(specification, chosen.size)
    return _Verification(specification, Session(solvers, chosen, cache), sizes).run()
