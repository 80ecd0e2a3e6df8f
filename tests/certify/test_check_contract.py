"""C-CONTRACT in parts: inputs from schemas, shrinking, the matrix, and the judging of single runs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from certify.checks import contract_rules as rules
from certify.checks.contract_judging import expectation, is_part, judge
from certify.checks.contract_matrix import Bed, Case, matrix
from certify.checks.contract_places import Lines
from certify.checks.contract_sources import Sources
from certify.checks.fuzz_edges import boundaries, invalid, shown
from certify.checks.fuzzing import draws, ended, text_of
from certify.checks.shrinking import shrink, simpler
from certify.evidence.verdict import Failed, Passed, Unknown
from certify.laboratory.record import (
    Delivery,
    Exceeded,
    Exchange,
    Fault,
    Outcome,
    Plan,
    Raised,
    Returned,
    RunRecord,
    Step,
    Usage,
    World,
)
from certify.manifest.model import Answer, Resource
from certify_spec.diagnostics import Place
from contract_bench import checked, told, write_asking
from lab_support import write_node


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9)]


class Dog(BaseModel):
    kind: Literal["dog"]
    name: Annotated[str, Field(min_length=2, max_length=5)]


class Everything(BaseModel):
    model_config = {"extra": "forbid"}

    code: Annotated[str, Field(pattern=r"^[A-Z]{2}-[0-9]{1,4}$")]
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    share: Annotated[float, Field(gt=0, lt=1)]
    step: Annotated[int, Field(multiple_of=5, ge=0)]
    pair: tuple[int, str]
    tags: Annotated[set[str], Field(max_length=4)]
    counts: dict[str, int]
    inner: Everything | None = None
    maybe: Annotated[int, Field(le=3)] | None = None


SCHEMA = TypeAdapter(Everything).json_schema()
EXAMPLE = {
    "code": "AB-1",
    "pet": {"kind": "cat", "lives": 9},
    "share": 0.5,
    "step": 5,
    "pair": [1, "x"],
    "tags": ["a"],
    "counts": {"a": 1},
    "inner": None,
    "maybe": None,
}


def _taken(text: bytes) -> bool:
    try:
        Everything.model_validate_json(text)
    except ValidationError:
        return False
    return True


# -- inputs ------------------------------------------------------------------------------------------------------------


def test_inputs_do_not_depend_on_what_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """C-CONTRACT: Hypothesis would read constants from the source of every imported module; here it is not asked to."""
    from hypothesis.internal.conjecture import providers

    def read_the_modules() -> None:
        raise AssertionError("the process's own modules were read")

    monkeypatch.setattr(providers, "_get_local_constants", read_the_modules)
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    assert len(draws(schema, 40, 1)) > 20


def test_drawn_values_are_valid() -> None:
    """C-CONTRACT: what is drawn from a schema has the schema, and its type takes it."""
    values = draws(SCHEMA, 40, 7)
    validator = Draft202012Validator(SCHEMA)
    assert len(values) >= 20
    assert [value for value in values if not validator.is_valid(value) or not _taken(text_of(value).encode())] == []


def test_draws_are_the_same_for_the_same_number() -> None:
    """C-CONTRACT: the inputs are fixed by the subject's digest."""
    assert draws(SCHEMA, 12, 7) == draws(SCHEMA, 12, 7)
    assert draws(SCHEMA, 12, 7) != draws(SCHEMA, 12, 8)


def test_boundaries_are_valid_and_reach_every_bound() -> None:
    """C-CONTRACT: every extreme is taken by the type, and the bounds of each place are among them."""
    trials = list(boundaries(SCHEMA, [EXAMPLE], 7))
    what = {trial.what for trial in trials}
    assert [trial.what for trial in trials if not _taken(trial.text)] == []
    assert {"pet.lives = 1", "maybe = 3", "tags = []", "step = 0", "counts.a = 0"} <= what
    assert any(json.loads(trial.text)["inner"] is not None for trial in trials)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, ""),
        ({"type": "string", "maxLength": 7}, "x" * 7),
        ({"type": "string"}, "\u00b2"),
        ({"type": "string", "format": "date"}, "2024-02-29"),
        ({"type": "integer"}, -(2**63)),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "number"}, -0.0),
        ({"type": "array", "items": {"type": "null"}}, [None] * 1_100),
        ({"type": ["integer", "null"]}, None),
    ],
)
def test_boundary_is_tried(schema: dict[str, Any], value: Any) -> None:
    """C-CONTRACT: values that are known to break programs are tried where the schema is open."""
    assert text_of(value).encode() in {trial.text for trial in boundaries(schema, ["seed"], 1)}


def test_invalid_inputs_are_refused_by_the_type() -> None:
    """C-CONTRACT: an input that is called invalid is taken by no type with that schema."""
    trials = list(invalid(SCHEMA, EXAMPLE))
    what = {trial.what for trial in trials}
    assert [trial.what for trial in trials if _taken(trial.text)] == []
    assert {
        "code is missing",
        "pet.lives is above its maximum",
        "pet.kind is none of the values listed",
        "certify-unexpected is a field that the type forbids",
        "broken JSON",
    } <= what


def test_a_type_that_takes_everything_has_no_wrong_values() -> None:
    """C-CONTRACT: nothing is called invalid that an open schema allows; broken JSON still is."""
    assert {trial.what for trial in invalid({}, {"a": 1})} == {
        "no input at all",
        "broken JSON",
        "text that is not UTF-8",
        "half of a surrogate pair",
    }


@pytest.mark.parametrize(
    ("pattern", "meant"), [("^a$", r"^a\Z"), (r"a\$", r"a\$"), (r"a\\$", r"a\\\Z"), ("a", "a"), ("$", r"\Z")]
)
def test_pattern_end_means_the_end(pattern: str, meant: str) -> None:
    """C-CONTRACT: a final `$` allows no line feed, as in pydantic; an escaped one is a dollar sign."""
    assert ended(pattern) == meant


def test_schema_that_nothing_meets_gives_nothing() -> None:
    """C-CONTRACT: bounds that nothing meets, or a pattern that Python cannot read, give no inputs and no crash."""
    assert draws({"type": "integer", "minimum": 3, "maximum": 2}, 5, 1) == []
    assert draws({"type": "string", "pattern": r"\p{L}+["}, 5, 1) == []


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=6), lambda s: st.lists(s, max_size=3)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_shrinking_ends_at_something_simplest(value: Any) -> None:
    """C-CONTRACT: a value for which everything fails shrinks to one that nothing simpler stands for."""
    smallest = shrink(value, lambda values: [True] * len(values), most=10_000)
    assert list(simpler(smallest)) == []


def test_shrinking_keeps_the_failure_and_its_bound() -> None:
    """C-CONTRACT: the smallest list that holds a number above 9 is found; no more is tried than allowed."""
    tried: list[Any] = []

    def fails(values: Any) -> list[bool]:
        tried.extend(values)
        return [isinstance(value, list) and any(isinstance(n, int) and n > 9 for n in value) for value in values]

    assert shrink([1, 2, 300, 4], fails, most=200) == [10]
    tried.clear()
    shrink([1, 2, 300, 4], fails, most=5)
    assert len(tried) == 5


def test_places_read_as_people_write_them() -> None:
    """C-CONTRACT: a path is written as in the manifest."""
    assert (shown(("lines", 0, "sku")), shown(())) == ("lines[0].sku", "the input")


# -- judging -----------------------------------------------------------------------------------------------------------

RESOURCE = Resource.model_validate(
    {
        "name": "shop",
        "kind": "http",
        "url": "https://shop.example",
        "idempotency_header": "Key",
        "answers": {
            "401": {"outcome": "error", "error": "Refused", "attempts": 1},
            "404": {"outcome": "value", "output": {"found": False}},
            "4xx": {"outcome": "error"},
            "429": {"outcome": "error", "attempts": 3, "within": "4s"},
            "5xx": {"outcome": "error", "attempts": 3, "within": "4s"},
            "timeout": {"outcome": "error"},
            "malformed": {"outcome": "error"},
            "slow": {"outcome": "value", "within": "2s"},
        },
    }
)
SOURCES = Sources(frozenset({"Busy", "Refused"}), {}, frozenset({"Refused"}))
BUSY = Raised("Busy", "", ("Busy", "Exception", "BaseException"), (Place("node.py", 9),))


def _exchange(
    at: float = 0.0, status: int = 500, key: str = "k", *, acted: bool = False, fault: str = "status"
) -> Exchange:
    return Exchange("shop", 0, "POST", "/p", (("key", key),), b"", status, b'{"cents": 1}', acted, fault, at)


def _record(outcome: Outcome, *exchanges: Exchange, wall: float = 0.1) -> RunRecord:
    usage = (Usage(wall, 0.1, 0),)
    return RunRecord(Plan((Delivery(b"{}"),)), (outcome,), (), exchanges, World(), (0,), usage)


def _value(value: Any) -> Returned:
    return Returned(b"", json.dumps(value).encode())


CLEAN = _record(_value({"cents": 1}), _exchange(status=200, acted=True, fault=""))
BED = Bed(RESOURCE, "fixture `one`", b"{}", CLEAN)


def _case(answer: str, **changes: Any) -> Case:
    expected = Answer.model_validate(RESOURCE.answers[answer].model_dump(exclude_none=True) | {"within": "4s"})
    fault = Fault("shop", "status", 500, requests=changes.pop("requests", ()))
    return Case(BED, answer, answer, fault, expected, **changes)


def _codes(case: Case, record: RunRecord) -> list[str]:
    return sorted(flaw.rule.code for flaw in judge(case, record, SOURCES, 4.0))


SEVERAL = (_exchange(0.0), _exchange(1.2), _exchange(2.4))


@pytest.mark.parametrize(
    ("case", "record", "codes"),
    [
        (_case("5xx"), _record(BUSY, *SEVERAL), []),
        (_case("5xx"), _record(_value(1), *SEVERAL), ["CON010"]),
        (_case("5xx"), _record(_value(1), *SEVERAL[:2], _exchange(2.4, 200, acted=True)), ["CON011"]),
        (_case("5xx"), _record(BUSY, *SEVERAL[:2]), ["CON016"]),
        (_case("5xx"), _record(BUSY, *SEVERAL, _exchange(3.0)), ["CON015"]),
        (_case("5xx"), _record(BUSY, *SEVERAL, wall=5.2), ["CON017"]),
        (_case("5xx"), _record(BUSY, *SEVERAL, wall=4.8), []),
        (_case("5xx"), _record(Exceeded("wall"), *SEVERAL), ["CON017"]),
        (_case("5xx"), _record(Exceeded("memory"), *SEVERAL), ["CON003"]),
        (_case("5xx"), _record(Exceeded("wall"), *SEVERAL * 20), ["CON015"]),
        (_case("5xx"), _record(BUSY, _exchange(key="a"), _exchange(key="b"), _exchange(key="b")), ["CON021"]),
        (_case("5xx", requests=(0,)), _record(_value(1), _exchange(), _exchange(status=200, acted=True)), []),
        (_case("5xx", requests=(0,)), _record(BUSY, _exchange()), ["CON024"]),
        (_case("5xx", requests=(0,)), _record(_value(1), _exchange()), ["CON010"]),
        (_case("429", retry_after=1), _record(BUSY, *SEVERAL), []),
        (_case("429", retry_after=1), _record(BUSY, _exchange(0), _exchange(0.5), _exchange(2)), ["CON019"]),
        (
            _case("429", retry_after=1, dated=True),
            _record(BUSY, _exchange(0), _exchange(0.5), _exchange(2)),
            ["CON020"],
        ),
        (_case("429", retry_after=3_600), _record(BUSY, _exchange()), []),
        (_case("401"), _record(BUSY, _exchange()), ["CON012"]),
        (_case("404"), _record(_value({"found": False, "more": 1}), _exchange()), []),
        (_case("404"), _record(_value({"found": True}), _exchange()), ["CON014"]),
        (_case("404"), _record(BUSY, _exchange()), ["CON011"]),
    ],
)
def test_run_is_judged(case: Case, record: RunRecord, codes: list[str]) -> None:
    """C-CONTRACT: attempts, outcome, time, waits and keys are judged as declared."""
    assert _codes(case, record) == codes


def test_programming_error_is_one_even_where_an_error_is_declared() -> None:
    """C-CONTRACT: "any exception" does not mean Python's own KeyError; a class of the node's may be called so."""
    wrong = Raised(
        "KeyError", "'id'", ("KeyError", "LookupError", "Exception", "BaseException"), (Place("node.py", 3),)
    )
    case = _case("timeout")
    own = Sources(frozenset({"KeyError"}), {}, frozenset())
    record = _record(wrong, _exchange())
    assert _codes(case, record) == ["CON013"]
    assert [flaw.rule for flaw in judge(case, record, own, 4.0)] == []


def test_matrix_covers_every_declared_answer() -> None:
    """C-CONTRACT: each declared answer has cases; a status declared by itself is not one of its class."""
    cases = list(matrix(BED, 4.0))
    by_answer = {answer: [c.label for c in cases if c.answer == answer] for answer in RESOURCE.answers}
    assert {answer for answer, labels in by_answer.items() if not labels} == set()
    assert by_answer["4xx"] == ["403", "409", "422"]
    assert by_answer["5xx"] == ["500", "502", "503", "504", "503, once"]
    assert {c.answer for c in cases if c.expected is None} == {"malformed", "redirect", "tls", "reset"}
    second = next(matrix(Bed(RESOURCE, "", b"", CLEAN, 1), 4.0, reduced=True))
    assert second.fault.requests[:2] == (1, 2)


def test_expectation_reads_as_a_sentence() -> None:
    """C-CONTRACT: findings quote the manifest in words."""
    assert expectation(_case("429").expected or Answer(outcome="value")) == "raises, 3 attempts, within 4 s"


@pytest.mark.parametrize(
    ("expected", "value", "part"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": 1}, {}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, False),
        ({"a": None}, {}, False),
    ],
)
def test_output_part(expected: Any, value: Any, part: bool) -> None:
    """C-CONTRACT: a declared output is a part of the value; true is not one."""
    assert is_part(expected, value) is part


# -- the whole check ---------------------------------------------------------------------------------------------------

CORRECT = Path(__file__).parents[1] / "quality" / "contract_cases" / "correct.py.txt"
TYPES = """
    from typing import Literal

    from pydantic import BaseModel


    class Order(BaseModel):
        item: Literal["tea"]
"""


def test_upstream_that_nobody_asks_is_an_error(tmp_path: Path) -> None:
    """C-CONTRACT: an answer that is never given is never passed; the place is the manifest's."""
    code = TYPES + "\n\n    def node(order: Order) -> int:\n        return 1\n"
    result = checked(write_asking(tmp_path, code))
    assert isinstance(result.verdict, Failed)
    assert [(f.code, f.place.file if f.place else "") for f in result.findings] == [("CON030", "node.toml")]


def test_simulator_that_fails_decides_nothing(tmp_path: Path) -> None:
    """C-CONTRACT: a simulator that raises is not the node's fault: unknown, with the cause."""
    manifest = write_asking(tmp_path, CORRECT.read_text(encoding="utf-8"))
    (tmp_path / "shop.py").write_text("async def app(scope, receive, send):\n    raise OSError('broken')\n")
    result = checked(manifest)
    assert isinstance(result.verdict, Unknown), told(result)
    assert "simulator of shop" in result.verdict.reason


def test_node_without_upstreams_is_fuzzed_all_the_same(tmp_path: Path) -> None:
    """C-CONTRACT: what does not apply is said, and the inputs are tried."""
    code = "def node(number: int) -> str:\n    return str(number)\n"
    result = checked(write_node(tmp_path, code, 3))
    assert (result.verdict, told(result)) == (Passed(), [])
    assert result.measured["upstreams"] == "none declared: there is no answer to inject"
    assert (result.measured["inputs_returned"] >= 20, result.measured["inputs_invalid_refused"] >= 4) == (True, True)


def test_codes_are_declared_once() -> None:
    """C-CONTRACT: every code of the check begins with CON and has advice."""
    declared = [rule for rule in vars(rules).values() if isinstance(rule, type(rules.PROGRAMMING))]
    assert len({rule.code for rule in declared}) == len(declared)
    assert [rule.code for rule in declared if not rule.code.startswith("CON") or not rule.advice] == []


class _Busy:
    """A bench whose machine is so busy that the first run ends before the entry point returns."""

    def __init__(self, slow: int) -> None:
        self.subject = SimpleNamespace(manifest=SimpleNamespace(node=SimpleNamespace(entry="node:node")))
        self.laboratory = self
        self.slow = slow
        self.runs = 0

    def signature(self) -> SimpleNamespace:
        return SimpleNamespace(file="node.py", line=1)

    def run(self, _plan: Plan) -> SimpleNamespace:
        self.runs += 1
        values = {} if self.runs <= self.slow else {"return": "1"}
        return SimpleNamespace(steps=((Step(Place("node.py", 7), "node", values),),))


@pytest.mark.parametrize(("slow", "line", "runs"), [(0, 7, 1), (2, 7, 3), (9, 1, 3)])
def test_a_line_is_looked_for_again_when_a_busy_machine_hid_it(slow: int, line: int, runs: int) -> None:
    """C-CONTRACT: seeded: a time-out of the node's own ended the watched run, and the entry point was blamed."""
    bench = _Busy(slow)
    assert Lines(bench).returned(b"1") == Place("node.py", line)  # type: ignore[arg-type]  # what is used of a bench
    assert bench.runs == runs
