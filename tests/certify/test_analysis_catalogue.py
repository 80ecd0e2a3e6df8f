"""The catalogue of effects: its entries are well formed and say what they should (C-EFFECTS)."""

from __future__ import annotations

import builtins
import importlib
import sys

import pytest

from certify.analysis import Kind, catalogue


def test_every_entry_has_a_reason() -> None:
    """Each entry says why it has its effect."""
    assert [pattern for pattern, entry in catalogue.entries().items() if not entry.reason] == []


def test_every_builtin_is_listed() -> None:
    """Every public name of `builtins` is listed, as pure, as an effect or as unknown."""
    names = [name for name in dir(builtins) if not name.startswith("_")]
    assert [name for name in names if f"builtins.{name}" not in catalogue.entries()] == []


def test_entries_of_the_standard_library_exist() -> None:
    """Functions listed by name in modules of this Python exist, so that no entry is a misspelling."""
    later = {"os.process_cpu_count", "uuid.uuid6", "uuid.uuid7", "glob.translate", "sys.exception", "os.startfile"}
    later |= {"socket.fromshare", "http.HTTPMethod", "os.lchmod"}
    missing = []
    for pattern in (pattern for pattern in catalogue.entries() if not pattern.endswith(".*")):
        name = pattern.partition("#")[0]
        module, _, attribute = name.rpartition(".")
        if name.split(".")[0] not in sys.stdlib_module_names or name in later or not module or module not in _LOADED:
            continue
        if not hasattr(importlib.import_module(module), attribute):
            missing.append(pattern)
    assert missing == []


_LOADED = {
    "os",
    "os.path",
    "time",
    "random",
    "uuid",
    "socket",
    "threading",
    "sqlite3",
    "asyncio",
    "logging",
    "sys",
    "pathlib",
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("time.time", Kind.CLOCK),
        ("time.clock_gettime_ns", Kind.CLOCK),
        ("datetime.datetime.now", Kind.CLOCK),
        ("random.SystemRandom.choice", Kind.RANDOM),
        ("pathlib.Path.write_text", Kind.FS),
        ("httpx.Client.post", Kind.NETWORK),
        ("numpy.random.normal", Kind.RANDOM),
        ("subprocess.check_output", Kind.PROCESS),
        ("logging.info", Kind.LOG),
        ("math.sin", None),
        ("json.dumps", None),
    ],
)
def test_lookup_finds_the_most_specific_entry(name: str, kind: Kind | None) -> None:
    """Names, methods of classes and whole modules are found; the most specific entry wins."""
    found = catalogue.lookup(name)
    assert found is not None
    assert found.kind is kind


@pytest.mark.parametrize(
    "name", ["leftpad.pad", "ctypes.CDLL", "pickle.loads", "importlib.import_module", "gc.get_objects"]
)
def test_what_is_not_listed_is_not_known(name: str) -> None:
    """Nothing is said of a name that is not listed."""
    assert catalogue.lookup(name) is None
