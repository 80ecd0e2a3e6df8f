"""Reading files: what cannot be read, and what refines what."""

from pathlib import Path

import pytest

from certify_spec.diagnostics import RequestError
from certify_spec.loader import MAX_BYTES, Loader, load

COUNTER = "machine Counter\nvar count : Int = 0\naction up { count := count + 1 }\ninvariant x : count >= 0\n"
DOUBLE = """machine Double
var a : Int = 0
action both { a := a + 2 }
invariant x : a >= 0
refines Counter from "counter.ct" via {
  var count = a div 2
  action both = up
}
"""


def said(path: Path) -> list[str]:
    """The codes with which a file is refused."""
    with pytest.raises(RequestError) as refusal:
        Loader(path.parent).load(path)
    return [diagnostic.code for diagnostic in refusal.value.diagnostics]


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is SPEC001."""
    assert said(tmp_path / "missing.ct") == ["SPEC001"]


def test_a_folder(tmp_path: Path) -> None:
    """A folder is no file: SPEC001."""
    assert said(tmp_path) == ["SPEC001"]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A file that is not UTF-8 is SPEC002."""
    (tmp_path / "a.ct").write_bytes(b"machine M\n\xff\xfe")
    assert said(tmp_path / "a.ct") == ["SPEC002"]


def test_a_huge_file(tmp_path: Path) -> None:
    """A file beyond the bound is SPEC003, before anything parses it."""
    (tmp_path / "a.ct").write_bytes(b"-" * (MAX_BYTES + 1))
    assert said(tmp_path / "a.ct") == ["SPEC003"]


def test_a_refinement_is_resolved(tmp_path: Path) -> None:
    """The abstract machine is read from the path beside the concrete one."""
    (tmp_path / "counter.ct").write_text(COUNTER)
    (tmp_path / "double.ct").write_text(DOUBLE)
    (refined,) = load(tmp_path / "double.ct").refinements
    assert (refined.abstract.name, [mapped.abstract for mapped in refined.actions]) == ("Counter", ["up"])


def test_a_broken_abstract_machine_is_told(tmp_path: Path) -> None:
    """What is wrong with the abstract machine is reported with its own place."""
    (tmp_path / "counter.ct").write_text(COUNTER.replace(": Int", ": Number"))
    (tmp_path / "double.ct").write_text(DOUBLE)
    with pytest.raises(RequestError) as refusal:
        Loader(tmp_path).load(tmp_path / "double.ct")
    assert {(d.code, d.place.file) for d in refusal.value.diagnostics if d.place} == {
        ("SPEC203", "counter.ct"),
        ("SPEC210", "double.ct"),
    }


def test_a_circle_is_refused(tmp_path: Path) -> None:
    """Two machines that refine each other are refused."""
    (tmp_path / "counter.ct").write_text(DOUBLE.replace("counter.ct", "double.ct"))
    (tmp_path / "double.ct").write_text(DOUBLE)
    assert "SPEC004" in said(tmp_path / "double.ct")


def test_an_unmapped_variable_is_refused(tmp_path: Path) -> None:
    """A refinement says what each abstract variable is."""
    (tmp_path / "counter.ct").write_text(COUNTER)
    (tmp_path / "double.ct").write_text(DOUBLE.replace("  var count = a div 2\n", ""))
    assert said(tmp_path / "double.ct") == ["SPEC210"]
