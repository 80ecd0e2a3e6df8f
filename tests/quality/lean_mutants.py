"""Random changes to accepted proofs: each mutant is refused, or still right for a reason that is named.

Run as a program it judges 10,000 mutants and prints the count of each outcome:
`PYTHONPATH=tests python -m quality.lean_mutants [COUNT]`.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from certify_spec.diagnostics import Place, RequestError
from certify_verifier.lean.axioms import STANDARD
from certify_verifier.lean.environment import Constant, Definition, Opaque, Quotient, Theorem
from certify_verifier.lean.errors import Exhausted, Refused
from certify_verifier.lean.export import read_items
from certify_verifier.lean.exprs import Const, Expr, scope
from certify_verifier.lean.infer import Checker
from certify_verifier.lean.kernel import InductiveClaim, declare, declare_claim
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.report import Accepted, Declined, Rejected
from certify_verifier.lean.session import DEFAULT_STEPS, INSIDE, Item, Session, run_deep
from certify_verifier.lean.terms import same

EXPORTS = Path(__file__).parent.parent / "verifier" / "lean" / "data" / "export"
STEPS = 60_000
ALL_STEPS = 300_000
"""Steps that the declarations of a mutant may take together."""
PLAIN_STEPS = 400_000
SEED = 20261120

_INDEX_FIELDS = ("fn", "arg", "type", "body", "value", "struct", "rhs")
_NAME_FIELDS = ("name", "pre", "induct", "typeName", "ctor", "param")
_NUMBER_FIELDS = ("idx", "bvar", "numParams", "numIndices", "numMotives", "numMinors", "numFields", "nfields", "cidx")
_FLAG_FIELDS = ("k", "isRec", "isReflexive", "isUnsafe")


def mutants(data: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Mutants of an export, each with what was changed."""
    chance = random.Random(seed)
    lines = data.decode().splitlines()
    made = 0
    while made < count:
        number = chance.randrange(1, len(lines))
        value = json.loads(lines[number])
        what = _change(value, chance)
        text = json.dumps(value, ensure_ascii=False)
        if what and json.loads(lines[number]) != value:
            made += 1
            yield f"line {number + 1}: {what}", "\n".join([*lines[:number], text, *lines[number + 1 :]]).encode()


def _change(value: dict[str, Any], chance: random.Random) -> str:
    """Change one thing in an item, in place."""
    spots = list(_spots(value))
    if not spots:
        return ""
    holder, key = chance.choice(spots)
    old = holder[key]
    if isinstance(old, bool):
        holder[key] = not old
    elif isinstance(old, int):
        holder[key] = max(0, chance.choice((old - 1, old + 1, old - 2, chance.randrange(old + 2))))
    elif isinstance(old, str):
        holder[key] = {"default": "implicit", "abbrev": "opaque"}.get(old, old + "'")
    elif isinstance(old, list) and len(old) > 1:
        holder[key] = chance.choice((old[::-1], old[1:], old[:-1]))
    elif isinstance(old, dict) and {"fn", "arg"} <= old.keys():
        old["fn"], old["arg"] = old["arg"], old["fn"]
    return f"`{key}` was {old}"


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in an item that a mutant may change, the item's own index excepted."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key in ("in", "il", "ie"):
                continue
            if not isinstance(part, dict) or key == "app":
                yield value, key
            yield from _spots(part)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            if isinstance(part, int):
                yield value, index
            else:
                yield from _spots(part)


class PlainChecker(Checker):
    """The checker with nothing remembered about equality, both sides computed before they are compared."""

    def _remember(self, left: Expr, right: Expr, answer: bool) -> bool:
        del left, right
        return answer

    def _unfold_by_height(self, a: Expr, b: Expr) -> tuple[bool | None, Expr, Expr]:
        offset = self._equal_offsets(a, b)
        if offset is not None:
            return offset, a, b
        c, d = self.whnf(a), self.whnf(b)
        return (True if c is d else self._quick(c, d)), c, d


@dataclass(frozen=True, slots=True)
class Original:
    """An accepted export: its declarations, and what a session knows before each of them."""

    items: list[Item]
    sessions: list[Session]


def original_of(data: bytes) -> Original:
    """Check an export once; call inside `run_deep`."""
    items = [item for item, _ in read_items(data, "original")]
    session = Session("original")
    sessions = []
    for item in items:
        sessions.append(_before(session, DEFAULT_STEPS))
        assert session.check(item, Place("original")).verdict == Accepted(), "an original is accepted"
    return Original(items, [*sessions, session])


def _before(session: Session, steps: int) -> Session:
    return session.continued(allowed=STANDARD, steps=steps)


def judge(original: Original, mutant: bytes) -> str:
    """What became of a mutant: a code, or the reason why it is right; call inside `run_deep`.

    Declarations before the first that differs are not checked again: they are the original's, in the same order. The
    first refusal ends the check.

    Raises:
        AssertionError: it was accepted and no reason is known.
    """
    with scope():
        try:
            items = [item for item, _ in read_items(mutant, "mutant")]
        except RequestError as malformed:
            return malformed.diagnostics[0].code
        first = 0
        while first < min(len(items), len(original.items)) and items[first] == original.items[first]:
            first += 1
        session = _before(original.sessions[first], STEPS)
        undecided = len(items) < len(original.items)
        for item in items[first:]:
            verdict = session.check(item, Place("mutant")).verdict
            if isinstance(verdict, Rejected):
                return verdict.reason.code
            if isinstance(verdict, Declined):
                assert INSIDE not in verdict.reason, verdict.reason
                undecided = True
            if session.steps > ALL_STEPS:
                return "not decided"
        return "not decided" if undecided else _reason(original, items, first)


def _reason(original: Original, items: list[Item], first: int) -> str:
    pairs = list(zip(original.items, items, strict=True))[first:]
    changed = [new for old, new in pairs if not _same_item(old, new)]
    if not changed:
        return "right: only names of binders, hints or unused parts changed"
    environment = original.sessions[first].environment.copy()
    for item in items[first:]:
        if isinstance(item, InductiveClaim):
            declare_claim(item, environment, Budget(PLAIN_STEPS))
            continue
        if any(item is other for other in changed) and isinstance(item, Definition | Theorem | Opaque):
            checker = PlainChecker(environment, Budget(PLAIN_STEPS))
            try:
                right = checker.equal(checker.infer(item.value), item.type)
            except Exhausted as exhausted:
                raise AssertionError(f"{item.name} is accepted, and without shortcuts: {exhausted}") from exhausted
            assert right, f"{item.name} is accepted and ill typed"
        declare(item, environment, Budget(PLAIN_STEPS))
        if isinstance(item, Theorem):
            assert not (isinstance(item.type, Const) and item.type.name == "False"), "a mutant proves False"
    if any(isinstance(item, Theorem) for item in changed):
        return "right: another theorem, checked again without shortcuts"
    if any(isinstance(item, InductiveClaim) for item in changed):
        return "right: another inductive type"
    return "right: another definition, checked again without shortcuts"


def _same_item(old: Item, new: Item) -> bool:
    if isinstance(old, InductiveClaim) and isinstance(new, InductiveClaim):
        pairs = zip((*old.types, *old.constructors), (*new.types, *new.constructors), strict=True)
        return all(_same_constant(x, y) for x, y in pairs)
    return isinstance(old, Constant) and isinstance(new, Constant) and _same_constant(old, new)


def _same_constant(old: Constant, new: Constant) -> bool:
    if (old.name, old.levels, type(old)) != (new.name, new.levels, type(new)) or not same(old.type, new.type):
        return False
    if isinstance(old, Definition | Theorem | Opaque) and isinstance(new, Definition | Theorem | Opaque):
        return same(old.value, new.value)
    return not isinstance(old, Quotient) or old == new


def outcomes(
    count: int, files: Sequence[Path], seed: int = SEED, progress: Callable[[int], object] = id
) -> Counter[str]:
    """How often each outcome occurred among `count` mutants, spread evenly over the exports.

    Args:
        count: how many mutants are made.
        files: the exports.
        seed: decides which mutants.
        progress: told after each mutant how many were judged.

    Raises:
        AssertionError: a mutant was accepted and no reason is known.
    """
    found: Counter[str] = Counter()

    def work(data: bytes, share: int, own_seed: int, name: str) -> None:
        original = original_of(data)
        for what, mutant in mutants(data, share, own_seed):
            try:
                found[judge(original, mutant)] += 1
            except (AssertionError, Refused, Exhausted) as wrong:
                raise AssertionError(f"{name}, {what}: {wrong}") from wrong
            progress(found.total())

    for number, file in enumerate(files):
        share = count // len(files) + (number < count % len(files))
        run_deep(partial(work, file.read_bytes(), share, seed + number, file.name))
    return found


def _show(done: int) -> None:
    if done % 50 == 0 and sys.stderr.isatty():
        sys.stderr.write(f"\r{done} mutants judged")


if __name__ == "__main__":
    for outcome, times in sorted(
        outcomes(
            int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, sorted(EXPORTS.glob("*.ndjson")), progress=_show
        ).items()
    ):
        print(f"{times:6} {outcome}")  # noqa: T201 - this is the program's output
