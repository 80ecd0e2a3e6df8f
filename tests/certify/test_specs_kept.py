"""P-VERIFY: whole results are kept between runs, and never outlive what they rest on."""

from pathlib import Path

import pytest

from certify.specs.engine import Verified
from certify.specs.kept import Results, refined
from certify_spec.loader import Loader
from certify_verifier.verify import Settings
from specs_support import LOCK, VERDICTS, verified


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The file of the lock."""
    file = tmp_path / "lock.ct"
    file.write_text(LOCK, encoding="utf-8")
    return file


def proved() -> Verified:
    """The lock with everything proved."""
    return verified(VERDICTS["proved"], text=LOCK)


def test_a_proved_result_is_found_again(spec: Path, tmp_path: Path) -> None:
    """What is kept says the same as what was found: findings, obligations and who answered."""
    results = Results(tmp_path / "kept", Settings())
    results.keep(spec, proved(), ())
    found = results.find(spec, "lock.ct")
    assert found is not None
    assert [each.to_data() for each in found.explained] == [each.to_data() for each in proved().explained]
    assert (found.file, found.answers, list(found.obligations)) == (
        "lock.ct",
        proved().answers,
        [*proved().obligations],
    )
    titles = [obligation.title for obligation in proved().obligations.values()]
    assert [obligation.title for obligation in found.obligations.values()] == titles


@pytest.mark.parametrize("kind", [kind for kind in VERDICTS if kind != "proved"])
def test_only_proofs_are_kept(kind: str, tmp_path: Path) -> None:
    """A verdict with any reservation is found afresh each time."""
    Results(tmp_path / "kept", Settings()).keep(tmp_path / "lock.ct", verified(VERDICTS[kind]), ())
    assert not (tmp_path / "kept").exists()


def test_a_change_makes_the_result_unknown(spec: Path, tmp_path: Path) -> None:
    """Another text, another name, other settings: each is verified again."""
    results = Results(tmp_path / "kept", Settings())
    results.keep(spec, proved(), ())
    assert results.find(spec, "other.ct") is None
    assert Results(tmp_path / "kept", Settings(solver="both")).find(spec, "lock.ct") is None
    spec.write_text(LOCK + "\n", encoding="utf-8")
    assert results.find(spec, "lock.ct") is None


def test_a_change_of_what_is_refined_makes_the_result_unknown(tmp_path: Path) -> None:
    """P-REFINE: a proof of refinement does not outlive the abstract machine, however far above it is."""
    top, middle, low = (tmp_path / f"{name}.ct" for name in ("top", "middle", "low"))
    text = "machine {}\nvar n : Int = 0\naction up {{ n := n + 1 }}\ninvariant least : n >= 0\n"
    via = 'refines {0} from "{0}.ct" via {{ var n = n action up = up }}\n'
    top.write_text(text.format("top"), encoding="utf-8")
    middle.write_text(text.format("middle") + via.format("top"), encoding="utf-8")
    low.write_text(text.format("low") + via.format("middle"), encoding="utf-8")
    specification = Loader(tmp_path).load(low)
    files = [tmp_path / path for path in refined(specification)]
    assert [file.name for file in files] == ["middle.ct", "top.ct"]
    results = Results(tmp_path / "kept", Settings())
    results.keep(low, Verified(specification, (), {}, {}, 0.0), files)
    assert results.find(low, "low.ct") is not None
    top.write_text(text.format("top").replace("n + 1", "n + 2"), encoding="utf-8")
    assert results.find(low, "low.ct") is None


def test_a_damaged_entry_is_no_entry(spec: Path, tmp_path: Path) -> None:
    """Whatever stands in the folder, it is read as a result only if it is one, and never as anything but proved."""
    results = Results(tmp_path / "kept", Settings())
    results.keep(spec, proved(), ())
    [entry] = (tmp_path / "kept").rglob("*.json")
    whole = entry.read_text(encoding="utf-8")
    for damaged in ("", "{}", "[]", whole[:-9], whole.replace('"proved"', '"refuted"')):
        entry.write_text(damaged, encoding="utf-8")
        assert results.find(spec, "lock.ct") is None
