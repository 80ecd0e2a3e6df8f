"""Which modules came since: what the bill of materials is made of (C-SBOM)."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

from certify.laboratory.inside import modules as modules_of
from certify.laboratory.inside.modules import Loaded


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """A process with three modules."""
    known = {name: ModuleType(name) for name in ("first", "second", "last")}
    monkeypatch.setattr(modules_of, "sys", SimpleNamespace(modules=known))  # the test's own process needs its modules
    return known


def test_nothing_new(modules: dict[str, ModuleType]) -> None:
    """Nothing came, and nothing is told; also when something went."""
    loaded = Loaded()
    assert loaded.since() == []
    del modules["second"]
    assert loaded.since() == []
    modules.clear()
    assert loaded.since() == []


@pytest.mark.parametrize("gone", [(), ("first",), ("last",), ("first", "second"), ("first", "second", "last")])
@pytest.mark.parametrize("back", [False, True])
def test_what_is_new_is_told_whatever_went(
    modules: dict[str, ModuleType], gone: tuple[str, ...], *, back: bool
) -> None:
    """Seeded: modules that are taken out would hide as many new ones from a count; some come back."""
    loaded = Loaded()
    taken = {name: modules.pop(name) for name in gone}
    modules.update({name: ModuleType(name) for name in ("beta", "alpha")})
    if back:
        modules.update(taken)
    assert loaded.since() == ["alpha", "beta"]
