"""The node's modules are compiled once for all deliveries: from what stands in its files, and never at any price."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from certify.laboratory.inside import compiled


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that can be imported; the usual way to import comes back afterwards."""
    monkeypatch.setattr(SourceFileLoader, "get_code", SourceFileLoader.get_code)
    monkeypatch.setattr(dataclasses, "exec", exec, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "whole.py").write_text("VALUE = 'as read'\n")
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "latin.py").write_bytes(b"NAME = '\xff'\n")
    return tmp_path


def test_what_compiles_is_compiled(folder: Path) -> None:
    """A file that is no Python is left to the delivery that imports it; the others are ready."""
    codes = compiled.read(folder).files
    assert list(codes) == [str(folder / "parts" / "whole.py")]
    assert codes[str(folder / "parts" / "whole.py")].co_filename == str(folder / "parts" / "whole.py")


def test_imports_take_the_code_that_was_read(folder: Path) -> None:
    """Seeded: the file is changed afterwards, and the import does not notice; one that was not read is compiled."""
    codes = compiled.read(folder)
    (folder / "parts" / "whole.py").write_text("VALUE = 'changed'\n")
    (folder / "later.py").write_text("VALUE = 'later'\n")
    compiled.use(codes)
    importlib.invalidate_caches()
    try:
        assert importlib.import_module("parts.whole").VALUE == "as read"
        assert importlib.import_module("later").VALUE == "later"
        with pytest.raises(SyntaxError):
            importlib.import_module("broken")
    finally:
        for name in ("parts", "parts.whole", "later"):
            sys.modules.pop(name, None)


RECORDS = """
from dataclasses import dataclass, field

@dataclass(frozen=True)
class Order:
    id: str
    count: int = 1
    tags: list[str] = field(default_factory=list)

@dataclass(order=True, slots=True)
class Line:
    sku: str
"""


def defined(codes: compiled.Codes) -> tuple[list[str], object]:
    """The texts that were lacking when the module of data classes was imported, and what its classes do."""
    lacking = compiled.use(codes)
    sys.modules.pop("records", None)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module("records")
        order, line = module.Order("a"), module.Line("b")
        return list(lacking), (repr(order), order == module.Order("a"), repr(line), line < module.Line("c"))
    finally:
        sys.modules.pop("records", None)


def test_data_classes_take_the_code_that_was_compiled_from_equal_texts(folder: Path) -> None:
    """What the first delivery lacks is compiled once; seeded: a field more, and its class takes nothing that was kept.

    A data class of another module is not told of, and a text that is no Python is left out.
    """
    (folder / "records.py").write_text(RECORDS)
    lacking, usual = defined(compiled.read(folder))
    assert len(lacking) >= 8
    codes = compiled.read(folder, [*lacking, "def ("])
    assert set(codes.texts) == set(lacking)
    assert defined(codes) == ([], usual)
    (folder / "records.py").write_text(RECORDS.replace("    count: int = 1", "    count: int = 1\n    more: int = 2"))
    texts, (shown, *_others) = defined(compiled.Codes(compiled.read(folder).files, codes.texts))  # type: ignore[misc]
    assert (shown, bool(texts)) == ("Order(id='a', count=1, more=2, tags=[])", True)
    lacking = compiled.use(codes)
    dataclasses.make_dataclass("Elsewhere", ["field"])
    assert lacking == []


TIGHT = """
import sys
from pathlib import Path
from certify.laboratory.inside import compiled
compiled._MEMORY_BYTES = int(sys.argv[2])
print([Path(name).name for name in compiled.read(Path(sys.argv[1])).files])
"""


@pytest.mark.parametrize(("memory", "left"), [(1, True), (2**30, False)])
def test_what_takes_too_much_is_left(folder: Path, memory: int, left: bool) -> None:
    """Source that eats memory ends its own process and nothing else: every delivery meets it within its own limits.

    In an interpreter of its own, which has no freed memory to compile in.
    """
    (folder / "heavy.py").write_text("names = [" + ",".join(f"'name {n}'" for n in range(50_000)) + "]\n")
    ran = subprocess.run(
        [sys.executable, "-c", TIGHT, str(folder), str(memory)], capture_output=True, text=True, check=True, timeout=60
    )
    assert ("heavy.py" not in ran.stdout) == left, ran.stdout


PLUGIN = """
from pydantic.plugin import _loader
from certify.laboratory.inside import typed
typed.warm_up(plugins={})
print([type(each).__name__ for each in _loader.get_plugins()])
"""


@pytest.mark.parametrize(("there", "loaded"), [(True, "['Plugin']"), (False, "[]")])
def test_plugins_of_pydantic_are_loaded_where_there_are_any(tmp_path: Path, there: bool, loaded: str) -> None:
    """An installed plugin takes part in what the node's types mean; where none is known of, none is searched for."""
    described = tmp_path / "plugged-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[pydantic]\nplugged = plugged:plugin\n")
    (tmp_path / "plugged.py").write_text(
        "class Plugin:\n    def new_schema_validator(self, *arguments):\n        return None, None, None\n"
        "plugin = Plugin()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", PLUGIN.format(there)],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == loaded, ran.stderr
