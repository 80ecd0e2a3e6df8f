"""Machines emitted as Lean: they are what the specifications say, and the theorems notice when those change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from certify_spec.datatypes import EnumType, MapType, Scalar, SetType, SortType, Type
from certify_spec.diagnostics import RequestError
from certify_spec.evaluate import State
from certify_spec.interpreter import Event, Interpreter, Trace, first_world, simulate
from certify_spec.loader import load, load_text
from certify_spec.model import Specification
from certify_spec.values import Element, Table, Tagged, Value
from certify_verifier.lean import STANDARD_AXIOMS, Accepted, LeanReport, Rejected, check_package, verdict_name
from certify_verifier.lean.emit import FOLDER, SHIPPED, emit, fresh
from certify_verifier.lean.emit.generated import stale
from certify_verifier.lean.session import DEFAULT_STEPS, Session, run_deep
from certify_verifier.lean.source import check_in, prelude

ROOT = Path(__file__).parents[3]
LEAN = ROOT / "lean"
SPECS = ROOT / "spec" / "certify_spec"
LIBRARY = ("Arithmetic", "Truth", "Whole", "Sets")


@cache
def library() -> Session:
    """What the files declare that emitted machines rest on, checked once."""

    def check() -> Session:
        session = prelude().continued(allowed=STANDARD_AXIOMS, steps=DEFAULT_STEPS)
        for name in LIBRARY:
            text = without_imports((LEAN / "Certify" / f"{name}.lean").read_text())
            assert check_in(session, name, text).verdict == Accepted()
        return session

    prelude()
    return run_deep(check, keep=True)


def check_over_library(*texts: str) -> list[LeanReport]:
    """Reports on texts, each of which sees the library and the texts before it."""
    before = library()

    def check() -> list[LeanReport]:
        session = before.continued(allowed=STANDARD_AXIOMS, steps=DEFAULT_STEPS)
        return [check_in(session, f"text {number}", without_imports(text)) for number, text in enumerate(texts)]

    return run_deep(check)


def without_imports(text: str) -> str:
    """A Lean text as it stands when everything it imports stands above it."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("import "))


def proofs_until(theorems: str, machine: str, last: str) -> str:
    """A file of theorems up to the last that matters."""
    proofs = (LEAN / "Certify" / f"{theorems}.lean").read_text()
    end = proofs.index("\n\n", proofs.index(f"theorem {last} "))
    return f"{proofs[:end]}\n\nend Certify.{machine}\n"


@pytest.mark.parametrize("source", SHIPPED)
def test_shipped_machines_are_what_the_specifications_give(source: str) -> None:
    """C-PATTERNS: the Lean files of the shipped machines are, byte for byte, what their specifications give now."""
    specification = load(SPECS / source)
    shipped = LEAN / FOLDER / f"{specification.name}.lean"
    assert emit(specification, source) == shipped.read_text(encoding="utf-8")


CHANGES = [
    ("Retry", "RetryMachine", "retry", "and tries[c] < attempts and affordable", "and affordable", "retry_has_tries"),
    ("Retry", "RetryMachine", "retry", "tries[c] := tries[c] + 1", "tries[c] := tries[c] + 2", "event_bounds_tries"),
    (
        "CircuitBreaker",
        "BreakerMachine",
        "circuit_breaker",
        "probes + successes < permitted_probes {",
        "probes + successes <= permitted_probes {",
        "probe_too_keeps_order",
    ),
    (
        "CircuitBreaker",
        "BreakerMachine",
        "circuit_breaker",
        "if call_era[c] == era and mode == half_open {",
        "if mode == half_open {",
        "cancel_keeps_order",
    ),
    (
        "CircuitBreaker",
        "BreakerMachine",
        "circuit_breaker",
        "when stage[c] == outside and mode == closed {",
        "when stage[c] == outside {",
        "machine_one_way_only",
    ),
    (
        "Bulkhead",
        "BulkheadMachine",
        "bulkhead",
        "  free := free + 1\n  busy := remove",
        "  busy := remove",
        "event_keeps_permits",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "theorems", "spec", "old", "new", "broken"), CHANGES, ids=lambda x: x[-24:].strip()
)
def test_a_changed_specification_breaks_the_proofs(
    machine: str, theorems: str, spec: str, old: str, new: str, broken: str
) -> None:
    """A seeded bug in a specification, emitted again, leaves the theorem that speaks of it without a proof."""
    text = (SPECS / "patterns" / f"{spec}.ct").read_text()
    assert text.count(old) >= 1
    changed = emit(load_text(text.replace(old, new), f"{spec}.ct"), f"patterns/{spec}.ct")
    reports = check_over_library(changed, proofs_until(theorems, machine, broken))
    refused = {entry.name for report in reports for entry in report.entries if isinstance(entry.verdict, Rejected)}
    assert f"Certify.{machine}.{broken}" in refused
    assert reports[0].verdict == Accepted()


def test_a_changed_machine_written_again_is_no_stale_one(tmp_path: Path) -> None:
    """A machine that was emitted again from a changed specification is in order as a file: only proofs can object."""
    (tmp_path / "Certify" / "Machines").mkdir(parents=True)
    (tmp_path / "patterns").mkdir()
    text = (SPECS / "patterns" / "retry.ct").read_text()
    (tmp_path / "patterns" / "retry.ct").write_text(text.replace("tries[c] := tries[c] + 1", "tries[c] := 0"))
    written = fresh("patterns/retry.ct", tmp_path)
    assert written != (LEAN / FOLDER / "Retry.lean").read_text()
    assert stale(written, "Certify/Machines/Retry.lean", tmp_path) is None


def test_a_stale_machine_is_reported(tmp_path: Path) -> None:
    """A changed specification whose machine was not emitted again is an error, at the first line that differs."""
    shutil.copytree(LEAN, tmp_path / "lean", ignore=shutil.ignore_patterns("*Machine.lean"))
    folder = tmp_path / "lean"
    root = folder / "Certify.lean"
    root.write_text("import Certify.Machines.Bulkhead\n")
    (folder / "patterns").mkdir()
    text = (SPECS / "patterns" / "bulkhead.ct").read_text()
    (folder / "patterns" / "bulkhead.ct").write_text(text.replace("waiting < queue_limit", "waiting <= queue_limit"))
    report = check_package(folder, name="lean")
    stale = [diagnostic for diagnostic in report.diagnostics if diagnostic.code == "LEAN404"]
    assert [(d.place.file, d.place.line) for d in stale if d.place] == [("lean/Certify/Machines/Bulkhead.lean", 7)]


def test_a_machine_without_its_specification_is_reported(tmp_path: Path) -> None:
    """A generated file whose specification is gone is an error, not a file like any other."""
    folder = tmp_path / "Certify" / "Machines"
    folder.mkdir(parents=True)
    text = (LEAN / FOLDER / "Bulkhead.lean").read_text()
    (folder / "Bulkhead.lean").write_text(text.replace("patterns/bulkhead.ct", "gone.ct"))
    (tmp_path / "lakefile.toml").write_text('[[lean_lib]]\nname = "Certify.Machines.Bulkhead"\n')
    report = check_package(tmp_path, name="p")
    assert "LEAN404" in [diagnostic.code for diagnostic in report.diagnostics]


# --- the same machine -------------------------------------------------------------------------------------------------


class Reading:
    """Values of the interpreter as Lean terms; a sort of three is the type `Three`."""

    def term(self, value: Value, kind: Type) -> str:
        """A value as a term."""
        match value, kind:
            case bool(), _:
                return "true" if value else "false"
            case int(), _:
                return f"(Int.ofNat {value})" if value >= 0 else f"(Int.negSucc {-value - 1})"
            case Element(_, index), _:
                return f"Three.c{index}"
            case Tagged(case, None), EnumType(name):
                return f"{name}.{case}_" if case in ("open", "until") else f"{name}.{case}"
            case _:
                raise AssertionError(f"{value} of {kind}")

    def tests(self, state: str, name: str, value: Value, kind: Type) -> Iterator[str]:
        """Equations that say what a state variable is."""
        field = f"{state}.{name}_" if name == "until" else f"{state}.{name}"
        match kind:
            case MapType((SortType(),), inner):
                assert isinstance(value, Table)
                for (key,), held in value.items():
                    yield f"{field} {self.term(key, kind.keys[0])} = {self.term(held, inner)}"
            case MapType((Scalar(),), inner):
                assert isinstance(value, Table)
                for number in range(4):
                    yield f"{field} (Int.ofNat {number}) = {self.term(value[number,], inner)}"
            case SetType():
                assert isinstance(value, frozenset)
                yield f"{field}.size = Int.ofNat {len(value)}"
                for number in range(3):
                    inside = Element("Call", number) in value
                    yield f"{field}.has Three.c{number} = {'true' if inside else 'false'}"
            case _:
                yield f"{field} = {self.term(value, kind)}"


THREE = """
inductive Three where
  | c0 : Three
  | c1 : Three
  | c2 : Three

def Three.same : Three → Three → Bool
  | Three.c0, Three.c0 => true
  | Three.c1, Three.c1 => true
  | Three.c2, Three.c2 => true
  | _, _ => false

theorem Three.refl : ∀ a : Three, Three.same a a = true
  | Three.c0 => rfl
  | Three.c1 => rfl
  | Three.c2 => rfl

theorem Three.known : ∀ a b : Three, Three.same a b = true → a = b
  | Three.c0, Three.c0, _ => rfl
  | Three.c1, Three.c1, _ => rfl
  | Three.c2, Three.c2, _ => rfl
  | Three.c0, Three.c1, h => never h
  | Three.c0, Three.c2, h => never h
  | Three.c1, Three.c0, h => never h
  | Three.c1, Three.c2, h => never h
  | Three.c2, Three.c0, h => never h
  | Three.c2, Three.c1, h => never h

def three : Alike Three := ⟨Three.same, Three.refl, Three.known⟩
"""


def replayed(specification: Specification, trace: Trace) -> str:
    """Lean text that runs a trace and says of every step whether each event may happen, and at the end what is what."""
    read = Reading()
    parameters = [read.term(trace.world.functions[name], f.result) for name, f in specification.functions.items()]
    lines = ["namespace Certify", THREE, "end Certify", f"namespace Certify.{specification.name}"]
    lines.append(f"def params : Params := ⟨{', '.join(parameters)}⟩")
    lines.append("def s0 : State Three := initial params")
    machine = Interpreter(specification, trace.world)
    state, chosen = trace.start, list(trace.steps)
    for number, (event, after) in enumerate(chosen):
        lines += guards(specification, machine, state, number)
        kinds = specification.actions[event.action].parameters
        given = [read.term(value, kind) for value, (_, kind) in zip(event.arguments, kinds, strict=True)]
        lines.append(f"def s{number + 1} : State Three := {event.action}_next three params s{number} {' '.join(given)}")
        state = after
    for name, variable in specification.variables.items():
        for test in read.tests(f"s{len(chosen)}", name, state[name], variable.type):
            lines.append(f"example : {test} := rfl")
    return "\n\n".join([*lines, f"end Certify.{specification.name}"])


def guards(specification: Specification, machine: Interpreter, state: State, number: int) -> Iterator[str]:
    """What may happen to the first call in a state, as equations."""
    for action in specification.actions.values():
        kinds = [kind for _, kind in action.parameters]
        if kinds == [SortType("Call")] and action.name != "grant":
            may = machine.can(state, Event(action.name, (Element("Call", 0),)))
            call = f"{action.name}_allowed three params s{number} Three.c0"
            yield f"example : {call} = {'true' if may else 'false'} := rfl"


def trace_of(specification: Specification, seed: int, steps: int) -> Trace:
    """A random run with three calls."""
    world = first_world(specification)
    return simulate(specification, type(world)({"Call": 3}, world.functions, world.ranges), steps, seed).trace


@pytest.mark.parametrize("source", SHIPPED)
def test_emitted_machines_run_as_the_interpreter_does(source: str) -> None:
    """On random traces the emitted machine allows the same events and reaches the same states as the interpreter."""
    specification = load(SPECS / source)
    reports = check_over_library(emit(specification, source), replayed(specification, trace_of(specification, 3, 12)))
    assert [verdict_name(report.verdict) for report in reports] == ["accepted"] * len(reports), reports[-1]
    assert len(reports[-1].entries) > 40


def test_a_wrong_replay_is_refused() -> None:
    """The comparison can fail: a run that is said to end in another state is refused."""
    specification = load(SPECS / "patterns" / "bulkhead.ct")
    text = replayed(specification, trace_of(specification, 3, 6))
    wrong = text.replace(".free = (Int.ofNat ", ".free = (Int.ofNat 1", 1)
    assert wrong != text
    machine, replay = check_over_library(emit(specification, "patterns/bulkhead.ct"), wrong)
    assert machine.verdict == Accepted()
    assert isinstance(replay.verdict, Rejected)


# --- the border -------------------------------------------------------------------------------------------------------


MACHINE = """machine Small
param limit : Int where limit >= -2 and limit != 0
sort Node
enum Colour { red, open }
var level : Int = 0
var shade : Map[Node -> Colour] = all red
var seen : Set[Node] = empty
var table : Map[Int -> Bool] = [i in Int : i mod 2 == 0]
define half : Int = max(level, limit) div -2
define anybody : Bool = exists n in seen: shade[n] is open
action paint(n: Node, colour: Colour) when shade[n] != colour and not (n in seen) or level == limit {
  shade[n] := colour
  seen := insert(seen, n)
  if colour is open { level := min(level + 1, half) } else { table[level] := table[level + 1] iff true }
}
action wait(m: Int) when anybody and m in { level } { level := -m }
invariant bounded : forall i in 0 .. level: table[i] or i < size(seen)
"""


def test_other_machines_are_emitted_and_accepted() -> None:
    """A machine that is no pattern, over most of the language, is emitted as Lean that the kernel accepts."""
    text = MACHINE.replace(" and m in { level }", " and m < level").replace("level := -m", "level := 0 - m")
    text = text.replace("limit >= -2", "limit >= 0 - 2").replace("div -2", "div 2")
    specification = load_text(text.replace("[i in Int : i mod 2 == 0]", "all false"), "small.ct")
    emitted = emit(specification, "small.ct")
    reports = check_over_library(emitted)
    assert reports[-1].verdict == Accepted(), reports[-1]
    assert "Colour.open_" in emitted


def test_names_that_lean_takes_are_told_apart() -> None:
    """A specification may call its parts as Lean or the emitted file does; two that would become one are refused."""
    text = "machine Odd\nvar next : Int = 0\ndefine run : Int = next + 1\naction open when run > 0 { next := run }\n"
    emitted = emit(load_text(text, "odd.ct"), "odd.ct")
    reports = check_over_library(emitted)
    assert reports[-1].verdict == Accepted(), reports[-1]
    twice = f"{text}define run_ : Int = 2\n"
    with pytest.raises(RequestError, match="run_"):
        emit(load_text(twice, "odd.ct"), "odd.ct")


REFUSED = [
    ("record Pair { a : Int }\nvar x : Pair = Pair(a = 1)", "Pair"),
    ("var x : Option[Int] = none", "Option"),
    ("function f(i: Int) : Int\nvar x : Int = 0", "function"),
    ("var x : Int\ninit start : x == 1", "init"),
    ("var x : Int in 0 .. 3", "start with any value"),
    ("var next : Int = 0\nvar next_ : Int = 0", "next_"),
]


@pytest.mark.parametrize(("body", "word"), REFUSED, ids=[word for _, word in REFUSED])
def test_what_has_no_translation_is_refused(body: str, word: str) -> None:
    """What Lean files cannot say yet is refused with its place in the specification; nothing is left out."""
    specification = load_text(f"machine Odd\n{body}\naction stay when true {{ }}\n", "odd.ct")
    with pytest.raises(RequestError) as caught:
        emit(specification, "odd.ct")
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.code == "LEAN410"
    assert word in diagnostic.message
    assert diagnostic.place is not None
    assert diagnostic.place.file == "odd.ct"
