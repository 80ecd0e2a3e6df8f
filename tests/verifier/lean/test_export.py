"""The export reader: real exports are accepted, everything else is refused with line and column."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certify_spec.diagnostics import RequestError
from certify_verifier.lean import (
    STANDARD_AXIOMS,
    Accepted,
    Declined,
    LeanReport,
    Rejected,
    check_export,
    check_export_bytes,
    session,
)

EXPORTS = sorted((Path(__file__).parent / "data" / "export").glob("*.ndjson"))
META: dict[str, Any] = {
    "meta": {
        "exporter": {"name": "lean4export", "version": "3.1.0"},
        "format": {"version": "3.1.0"},
        "lean": {"githash": "", "version": "4.27.0"},
    }
}


def export(*items: dict[str, Any]) -> bytes:
    """An export with these items."""
    return "\n".join(json.dumps(item, ensure_ascii=False) for item in (META, *items)).encode() + b"\n"


def name(index: int, text: str, pre: int = 0) -> dict[str, Any]:
    """A name."""
    return {"in": index, "str": {"pre": pre, "str": text}}


def inductive(index: int, *constructors: int, type_: int = 0) -> dict[str, Any]:
    """A type without parameters whose recursor is left to the caller."""
    return {
        "name": index,
        "levelParams": [],
        "type": type_,
        "numParams": 0,
        "numIndices": 0,
        "all": [index],
        "ctors": list(constructors),
        "numNested": 0,
        "isRec": False,
        "isUnsafe": False,
        "isReflexive": False,
    }


def axiom(index: int, type_: int, *, unsafe: bool = False) -> dict[str, Any]:
    """An axiom."""
    return {"axiom": {"name": index, "levelParams": [], "type": type_, "isUnsafe": unsafe}}


def theorem(index: int, type_: int, value: int) -> dict[str, Any]:
    """A theorem."""
    return {"thm": {"name": index, "levelParams": [], "type": type_, "value": value, "all": [index]}}


PROP = {"ie": 0, "sort": 0}


def code_and_place(report: LeanReport) -> tuple[str, str]:
    """The code and place of a rejection."""
    assert isinstance(report.verdict, Rejected)
    return report.verdict.reason.code, str(report.verdict.reason.place)


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_real_exports_are_accepted(path: Path) -> None:
    """Every declaration that a real Lean exported is accepted, and theorems rest on standard axioms only."""
    report = check_export(path)
    assert report.verdict == Accepted()
    assert all(entry.verdict == Accepted() for entry in report.entries)
    assert report.theorems
    assert set(report.axioms) <= STANDARD_AXIOMS


def test_axioms_are_listed_for_each_theorem() -> None:
    """Only function extensionality and what uses it rest on the quotient's axiom."""
    report = check_export(next(path for path in EXPORTS if path.stem == "OkState"))
    resting = {entry.name for entry in report.theorems if entry.axioms}
    assert resting == {"funext", "S.right_id"}
    assert report.axioms == ("Quot.sound",)


def test_an_axiom_that_is_not_allowed_refuses_its_theorems() -> None:
    """A proof by a made-up axiom is refused, and so is everything after it that uses it."""
    const = {"const": {"name": 1, "us": []}, "ie": 1}
    report = check_export_bytes(
        export(name(1, "P"), name(2, "h"), name(3, "t"), PROP, axiom(1, 0), const, axiom(2, 1),
               {"const": {"name": 2, "us": []}, "ie": 2}, theorem(3, 1, 2)),
        "x",
    )  # fmt: skip
    assert code_and_place(report)[0] == "LEAN243"
    assert [entry.axioms for entry in report.theorems] == [("P", "h")]


def test_sorry_refuses() -> None:
    """A proof by `sorryAx` is refused with its own code, even when that axiom is allowed."""
    data = export(
        name(1, "sorryAx"), name(2, "t"), PROP, {"bvar": 0, "ie": 1},
        {"forallE": {"name": 2, "type": 0, "body": 1, "binderInfo": "default"}, "ie": 2},
        axiom(1, 2), {"const": {"name": 1, "us": []}, "ie": 3}, theorem(2, 2, 3),
    )  # fmt: skip
    report = check_export_bytes(data, "x", allowed=frozenset(("sorryAx",)))
    assert code_and_place(report)[0] == "LEAN244"


def test_unsafe_declarations_are_left_undecided() -> None:
    """An unsafe axiom proves nothing: the export is not accepted."""
    report = check_export_bytes(export(name(1, "x"), PROP, axiom(1, 0, unsafe=True)), "x")
    assert isinstance(report.verdict, Declined)


def test_a_spent_budget_leaves_undecided() -> None:
    """With too few steps nothing is accepted, and what rests on the undecided is undecided too."""
    report = check_export(EXPORTS[0], steps=2)
    assert isinstance(report.verdict, Declined)
    assert any(isinstance(e.verdict, Declined) and "rests on" in e.verdict.reason for e in report.entries)


def test_deep_terms_are_left_undecided() -> None:
    """A term nested very deep ends undecided, without a traceback."""
    depth = 110_000
    items = [name(1, "x"), PROP]
    items += [
        {"ie": i, "forallE": {"name": 0, "type": i - 1, "body": i - 1, "binderInfo": "default"}}
        for i in range(1, depth)
    ]
    report = check_export_bytes(export(*items, axiom(1, depth - 1)), "x")
    assert isinstance(report.verdict, Declined)


def test_universe_levels_shared_many_times_are_decided_quickly() -> None:
    """A level that doubles sixty times over is compared without being unfolded."""
    items = [name(1, "u"), {"il": 1, "param": 1}]
    for i in range(2, 122, 2):
        items += [{"il": i, "succ": i - 1}, {"il": i + 1, "imax": [i, i - 1]}]
    items += [name(2, "x"), {"ie": 0, "sort": 121}]
    body = {"axiom": {"name": 2, "levelParams": [1], "type": 0, "isUnsafe": False}}
    assert check_export_bytes(export(*items, body), "x").verdict == Accepted()


def test_numbers_and_names_are_told_apart() -> None:
    """A name with the component 0 and one with the text "0" are two names."""
    items = [name(1, "a"), {"in": 2, "num": {"pre": 1, "i": 0}}, name(3, "0", 1), PROP, axiom(2, 0), axiom(3, 0)]
    report = check_export_bytes(export(*items), "x")
    assert [entry.name for entry in report.entries] == ["a.0", "a.«0»"]
    assert report.verdict == Accepted()


def test_a_missing_file_is_a_wrong_request(tmp_path: Path) -> None:
    """A file that cannot be read is a wrong request, not a verdict."""
    with pytest.raises(RequestError):
        check_export(tmp_path / "nothing.ndjson")


def test_the_report_is_plain_data() -> None:
    """The report turns into text, numbers and lists that JSON can carry."""
    report = check_export(EXPORTS[0])
    data = json.loads(json.dumps(report.to_data()))
    assert data["verdict"] == "accepted"
    assert {entry["verdict"] for entry in data["declarations"]} == {"accepted"}


P = name(1, "p")
MALFORMED: list[tuple[str, bytes, str, str]] = [
    ("empty", b"", "LEAN101", "x:1:1"),
    ("no meta", b'{"in":1,"str":{"pre":0,"str":"a"}}\n', "LEAN102", "x:1:2"),
    ("other version", json.dumps(META).replace("3.1.0", "4.0.0").encode(), "LEAN102", ""),
    ("old text format", b"1 #NS 0 a\n", "LEAN101", "x:1:3"),
    ("nothing declared", export(), "LEAN109", "x:1:1"),
    ("truncated", export(P) + b'{"in":2,"str":{"pre":1', "LEAN101", "x:3:23"),
    ("two objects", export(P) + b'{"ie":0,"sort":0}{"ie":1,"sort":0}\n', "LEAN101", "x:3:18"),
    ("blank line", export(P) + b"\n" + b'{"ie":0,"sort":0}\n', "LEAN101", "x:3:1"),
    ("no object", export() + b"[1]\n", "LEAN101", "x:2:1"),
    ("not UTF-8", export() + b'{"in":1,"str":{"pre":0,"str":"\xff"}}\n', "LEAN101", "x:2:31"),
    ("lone surrogate", export() + b'{"in":1,"str":{"pre":0,"str":"\\ud800"}}\n', "LEAN104", "x:2:9"),
    ("unknown item", export({"lambda": 1}), "LEAN103", "x:2:1"),
    ("unknown item with index", export({"ie": 0, "foo": 1}), "LEAN103", "x:2:2"),
    ("two items in one", export(P, {"ie": 0, "sort": 0, "bvar": 1}), "LEAN103", "x:3:2"),
    ("unknown field", export({"in": 1, "str": {"pre": 0, "str": "a", "note": 1}}), "LEAN104", "x:2:41"),
    ("missing field", export({"in": 1, "str": {"pre": 0}}), "LEAN104", "x:2:11"),
    ("text for a number", export({"in": 1, "str": {"pre": "0", "str": "a"}}), "LEAN104", "x:2:19"),
    ("truth for a number", export({"in": 1, "str": {"pre": False, "str": "a"}}), "LEAN104", "x:2:19"),
    ("fraction", export() + b'{"in":1,"num":{"pre":0,"i":1.0}}\n', "LEAN104", "x:2:1"),
    ("negative", export({"in": 1, "num": {"pre": 0, "i": -1}}), "LEAN104", "x:2:29"),
    ("huge number", export() + b'{"in":1,"num":{"pre":0,"i":' + b"9" * 5000 + b"}}\n", "LEAN101", "x:2:1"),
    ("deep nesting", export() + b'{"in":' * 200_000 + b"\n", "LEAN101", "x:2:1"),
    ("key twice", export() + b'{"in":1,"in":1,"str":{"pre":0,"str":"a"}}\n', "LEAN107", "x:2:2"),
    ("dangling name", export({"in": 1, "str": {"pre": 1, "str": "a"}}), "LEAN105", "x:2:19"),
    ("dangling level", export({"ie": 0, "sort": 1}), "LEAN105", "x:2:11"),
    ("expression refers to itself", export({"ie": 0, "app": {"fn": 0, "arg": 0}}), "LEAN105", "x:2:19"),
    ("forward reference", export(P, PROP, axiom(2, 0), name(2, "q")), "LEAN105", "x:4:12"),
    ("index twice", export(P, name(1, "q")), "LEAN106", "x:3:2"),
    ("index skipped", export(name(2, "q")), "LEAN106", "x:2:2"),
    ("anonymous declaration", export(PROP, axiom(0, 0)), "LEAN104", "x:3:12"),
    ("number with a leading zero", export({"ie": 0, "natVal": "007"}), "LEAN104", "x:2:11"),
    ("number that is none", export({"ie": 0, "natVal": "٣"}), "LEAN104", "x:2:11"),
    ("number too long", export({"ie": 0, "natVal": "9" * 5000}), "LEAN108", "x:2:11"),
    ("three levels in a max", export({"il": 1, "max": [0, 0, 0]}), "LEAN104", "x:2:11"),
    ("unknown binder", export(PROP, {"ie": 1, "lam": {"name": 0, "type": 0, "body": 0, "binderInfo": "x"}}),
     "LEAN104", "x:3:52"),
    ("unknown hint", export(P, PROP, {"def": {"name": 1, "levelParams": [], "type": 0, "value": 0, "hints": "x",
                                              "safety": "safe", "all": [1]}}), "LEAN104", ""),
    ("list in version 3.1", export(P, PROP, {"axiom": [axiom(1, 0)["axiom"]]}), "LEAN104", ""),
    ("group without recursor", export(P, PROP, {"inductive": {"types": [inductive(1)], "ctors": [], "recs": []}}),
     "LEAN231", "x:4:1"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "data", "code", "place"), MALFORMED, ids=[m[0] for m in MALFORMED])
def test_malformed_exports_are_refused_with_their_place(what: str, data: bytes, code: str, place: str) -> None:
    """Whatever is not the format is refused with a code, a line and a column."""
    del what
    found = code_and_place(check_export_bytes(data, "x"))
    assert found[0] == code
    assert not place or found[1] == place


def edited(stem: str, change: Callable[[list[dict[str, Any]]], None]) -> LeanReport:
    """The report on a real export after an edit."""
    path = next(path for path in EXPORTS if path.stem == stem)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    return check_export_bytes("\n".join(map(json.dumps, lines)).encode(), "x")


def test_a_wrong_flag_on_an_inductive_type_is_refused() -> None:
    """A recursive type that is recorded as not recursive is refused."""

    def change(lines: list[dict[str, Any]]) -> None:
        next(line for line in lines if "inductive" in line)["inductive"]["types"][0]["isRec"] = False

    assert code_and_place(edited("OkList", change))[0] == "LEAN232"


def test_a_dropped_declaration_refuses_what_uses_it() -> None:
    """Without one of its definitions an export no longer checks."""

    def change(lines: list[dict[str, Any]]) -> None:
        lines.remove(next(line for line in lines if "def" in line))

    assert code_and_place(edited("OkIterate", change))[0] == "LEAN205"


def test_a_declaration_given_twice_is_refused() -> None:
    """The same theorem twice is refused as a duplicate."""

    def change(lines: list[dict[str, Any]]) -> None:
        lines.append(next(line for line in lines if "thm" in line))

    assert code_and_place(edited("OkLogic", change))[0] == "LEAN200"


def test_a_defect_of_the_checker_is_no_verdict_on_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the kernel itself fails, the export is left undecided, never accepted and never a traceback."""

    def fail(*_: object) -> None:
        raise AssertionError("seeded")

    monkeypatch.setattr(session, "declare", fail)
    report = check_export(EXPORTS[0])
    assert isinstance(report.verdict, Declined)
    assert "seeded" in report.verdict.reason
