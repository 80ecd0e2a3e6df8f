"""What each verdict means, as a diagnostic with its place, reason and advice, and its counterexample as a story.

Rules this module keeps:

- every verdict but *proved* has a diagnostic, and each kind of verdict a code of its own;
- a state that no run is known to reach is always labelled as that;
- advice is about the specification at hand, in its own names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, assert_never

from certify.specs import rules
from certify.specs.story import Story, tell
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, Note, Severity
from certify_spec.interpreter import Trace
from certify_verifier.counterexample import broken_clause
from certify_verifier.search import Goal
from certify_verifier.verdict import (
    Finding,
    NotInductive,
    Proved,
    ProvedUpTo,
    Refuted,
    Undecided,
    Vacuous,
    Verdict,
    name,
)
from certify_verifier.verify import Settings

SANITY = ("assumptions", "action", "reachable", "premise")
"""The kinds of findings that show that a specification speaks of something."""


class Standing(Enum):
    """What a verdict comes to: it held, it is broken, or it is open."""

    HELD = "held"
    BROKEN = "broken"
    OPEN = "open"


def standing(verdict: Verdict) -> Standing:
    """What a verdict comes to."""
    match verdict:
        case Proved():
            return Standing.HELD
        case Refuted() | NotInductive() | Vacuous():
            return Standing.BROKEN
        case ProvedUpTo() | Undecided():
            return Standing.OPEN
        case _:
            assert_never(verdict)


@dataclass(frozen=True, slots=True)
class Explained:
    """A finding, what it means, and its counterexample.

    Attributes:
        finding: the verifier's.
        how: the verdict in a few words: how it was shown, or why not.
        diagnostic: None exactly if it is proved.
        story: the counterexample, if there is one.
        trace: the same as the interpreter reads it.
    """

    finding: Finding
    how: str
    diagnostic: Diagnostic | None = None
    story: Story | None = None
    trace: Trace | None = None

    @property
    def verdict(self) -> str:
        """The verdict's stable name."""
        return name(self.finding.verdict)

    @property
    def standing(self) -> Standing:
        """What the verdict comes to."""
        return standing(self.finding.verdict)

    @property
    def title(self) -> str:
        """The property with its kind."""
        kind, called = self.finding.kind, self.finding.name
        return called if called.startswith(f"{kind} ") else f"{kind} {called}"

    def to_data(self) -> dict[str, Any]:
        """The finding and its explanation as text, numbers, lists and maps."""
        told = self.diagnostic
        return {
            **self.finding.to_data(),
            "how": self.how,
            "explanation": told.to_data() if told else None,
            "counterexample": self.story.to_data() if self.story else None,
        }


def explain(finding: Finding, specification: m.Specification, settings: Settings) -> Explained:
    """What a finding means."""
    match finding.verdict:
        case Proved():
            return explained_proof(finding)
        case ProvedUpTo(steps, instance):
            how = f"runs of at most {counted(steps, 'step')} with {instance}"
            message = f"{_called(finding)} is proved up to a bound only"
            return Explained(finding, how, _diagnostic(rules.BOUNDED, finding, message, because=how))
        case Refuted(trace, clause):
            return _refuted(finding, specification, trace, clause)
        case NotInductive(trace, _event):
            return _not_inductive(finding, specification, trace, settings)
        case Vacuous(premise):
            return _vacuous(finding, premise)
        case Undecided(reason):
            message = f"{_called(finding)} is undecided"
            fix = "see the obligation with `--smt`; a `lemma` or a longer `--limit` may help"
            if reason.startswith("proved only together with"):
                fix = "repair or prove those first"
            return Explained(finding, reason, _diagnostic(rules.UNDECIDED, finding, message, because=reason, fix=fix))
        case _:
            assert_never(finding.verdict)


def explained_proof(finding: Finding) -> Explained:
    """What a finding means that is proved: it needs no specification to be told."""
    assert isinstance(finding.verdict, Proved)
    return Explained(finding, _method(finding.kind, finding.verdict.method))


def _method(kind: str, method: str) -> str:
    # a witness is one run, or one model; only the other methods speak of every parameter
    told = method.replace("a run of 1 steps", "a run of 1 step")
    return told if kind in SANITY else f"by {told}, for all parameters"


def counted(number: int, what: str) -> str:
    """A number of things: ``1 step``, ``2 steps``, ``2 properties``."""
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what if number == 1 else plural}"


def _called(finding: Finding) -> str:
    if finding.kind == "refines":
        return f"the refinement `{finding.name}`"
    return f"{finding.kind} `{finding.name}`"


def _diagnostic(
    rule: Any, finding: Finding, message: str, *, because: str = "", fix: str = "", notes: tuple[Note, ...] = ()
) -> Diagnostic:
    return Diagnostic(
        rule,
        message,
        finding.place,
        because=because,
        fix=fix or rule.advice,
        notes=notes,
        severity=Severity.ERROR,
        data={"property": finding.name, "kind": finding.kind},
    )


def _formula(specification: m.Specification, called: str) -> m.Expression | None:
    for formula in specification.of_kind(m.Kind.INVARIANT, m.Kind.LEMMA, m.Kind.ALWAYS):
        if formula.name == called:
            return formula.formula
    found = next((step.formula for step in specification.steps if step.name == called), None)
    return found or next((law.formula for law in specification.laws if law.name == called), None)


def goal_of(specification: m.Specification, called: str) -> Goal | None:
    """What a run that breaks a safety property ends in; None for other kinds of property."""
    for step in specification.steps:
        if step.name == called:
            return Goal(called, step=step)
    for formula in specification.of_kind(m.Kind.INVARIANT, m.Kind.LEMMA, m.Kind.ALWAYS):
        if formula.name == called:
            return Goal(called, state=formula.formula)
    return None


def _notes(specification: m.Specification, trace: Trace, story: Story) -> tuple[Note, ...]:
    found = []
    if story.clause_place is not None:
        found.append(Note("this part is false at the end", story.clause_place))
    if trace.steps:
        last = trace.steps[-1][0].action
        found.append(Note(f"the last step, `{last}`, is declared here", specification.actions[last].place))
    return tuple(found)


def _false(clause: str, where: str = "") -> str:
    """That a clause, which may end in the values of its names, is false."""
    text, values, named = clause.partition(" (with ")
    return f"`{text}` is false {where}".rstrip() + (f", with {named.removesuffix(')')}" if values else "")


def _refuted(finding: Finding, specification: m.Specification, trace: Trace, clause: str) -> Explained:
    story = tell(trace, specification, clause=clause, formula=_formula(specification, finding.name))
    if finding.kind == "law":
        values = ", ".join(f"{called} = {value}" for called, value in story.start)
        how, message = f"by {values}", f"{_called(finding)} is refuted by values that break it"
        because, fix = _false(clause), "repair the definitions, or the law"
    elif not trace.steps:
        how, message = "at the start", f"{_called(finding)} is refuted: it does not hold at the start"
        because, fix = _false(clause, "in an initial state"), "repair the start values, or the property"
    else:
        run = f"a run of {counted(len(trace.steps), 'step')}"
        how, message = f"by {run}", f"{_called(finding)} is refuted: {run} breaks it, and no shorter one does"
        because = _false(clause, "at its end")
        fix = f"repair `{trace.steps[-1][0].action}` or an action before it, or the property"
    told = _diagnostic(
        rules.REFUTED, finding, message, because=because, fix=fix, notes=_notes(specification, trace, story)
    )
    return Explained(finding, how, told, story, trace)


def _not_inductive(finding: Finding, specification: m.Specification, trace: Trace, settings: Settings) -> Explained:
    goal = goal_of(specification, finding.name)
    clause = broken_clause(specification, goal, trace) if goal and (trace.steps or goal.step is None) else ""
    story = tell(trace, specification, is_a_run=False, clause=clause, formula=_formula(specification, finding.name))
    if goal is not None:
        how = "from a state that is not known reachable"
        message = (
            f"{_called(finding)} is not inductive: a state that every invariant allows leads to one that breaks it"
        )
        because = (
            f"{_false(clause, 'at the end')}; no run is known to lead to that state, "
            f"and none of at most {counted(settings.steps, 'step')} in the instance searched breaks the property"
        )
        fix = "state what excludes the first state as a `lemma` or `invariant`, or strengthen the property"
    else:
        what = "its ranking is no argument" if finding.kind == "progress" else "a step is none of the abstract machine"
        how = f"{what} in a state that is not known reachable"
        message = f"{_called(finding)} is not shown: {what} in a state that every invariant allows"
        because = "no run is known to lead to that state"
        fix = "state what excludes the first state as a `lemma` or `invariant`, or repair the argument"
    told = _diagnostic(
        rules.NOT_INDUCTIVE, finding, message, because=because, fix=fix, notes=_notes(specification, trace, story)
    )
    return Explained(finding, how, told, story, trace)


def _vacuous(finding: Finding, premise: str) -> Explained:
    match finding.kind:
        case "assumptions":
            message = f"nothing satisfies {premise} of `{finding.name}`: whatever is proved of it says nothing"
            fix = "weaken the assumptions, or declare an `instance` that satisfies them"
        case "action":
            message = f"action `{finding.name}` can never happen"
            fix = "weaken its guard, or remove the action"
        case "reachable":
            message = f"`{finding.name}` can never be reached"
            fix = "repair the machine so that it can get there, or remove the claim"
        case _:
            owner = finding.name.removeprefix("premise of ")
            message = f"the premise of `{owner}` can never be met: the property says nothing"
            fix = "repair the premise, or remove the property"
    how = "excluded by what holds in every state" if finding.kind != "assumptions" else "nothing satisfies them"
    return Explained(finding, how, _diagnostic(rules.VACUOUS, finding, message, because=how, fix=fix))
