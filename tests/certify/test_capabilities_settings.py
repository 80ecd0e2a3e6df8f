"""What a context is built from: grants, settings and keys out of a manifest."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from certify import capabilities
from certify.capabilities import Grant, Settings, StoreError, call_key, manifest_grants, real_context, settings_for
from certify.key import idempotency_key
from certify.manifest.model import Manifest

MANIFEST = """
schema = 1
[node]
id = "shop/charge"
version = "1.0.0"
entry = "node:run"
effects = "effectful"
determinism = "best_effort"
[[resource]]
name = "orders"
kind = "db"
mode = "write"
path = "data/orders.db"
[[resource]]
name = "token"
kind = "secrets"
variables = ["TOKEN", "OTHER"]
[[resource]]
name = "zone"
kind = "env"
variables = ["TZ"]
[idempotency]
flow = "billing"
partition = "customer.id"
key = ["invoice", "lines[].sku"]
retention = "2h"
[budget]
wall = "1s"
cpu = "1s"
memory = "64MiB"
tokens = 7
money_micros = 9
[[fixture]]
name = "one"
input = "one.json"
"""
INPUT: dict[str, Any] = {"invoice": "I-1", "customer": {"id": 42}, "lines": [{"sku": "a"}, {"sku": "b"}], "note": "x"}


@pytest.fixture
def manifest() -> Manifest:
    """A manifest with a database, secrets, a direct use and a key."""
    return Manifest.model_validate(tomllib.loads(MANIFEST))


def test_grants_are_those_of_the_manifest(manifest: Manifest) -> None:
    """Each capability that a manifest declares is a grant; direct uses are none (C-EFFECTS)."""
    assert (Grant("db", "orders", "write"), Grant("secrets", "token", "read", ("TOKEN", "OTHER"))) == manifest_grants(
        manifest
    )


def test_settings_follow_the_manifest(manifest: Manifest, tmp_path: Path) -> None:
    """Paths, limits and retention come from the manifest; an upstream may be moved."""
    settings = settings_for(manifest, folder=tmp_path, key=b"k", upstreams={"api": "http://127.0.0.1:1"})
    expected = Settings(
        folder=tmp_path,
        grants=manifest_grants(manifest),
        upstreams={"api": "http://127.0.0.1:1"},
        paths={"orders": "data/orders.db"},
        tokens=7,
        money_micros=9,
        key=b"k",
        retention=7200.0,
    )
    assert expected == settings


def test_key_is_that_of_the_manifests_fields(manifest: Manifest) -> None:
    """The key covers flow, node, partition and the chosen fields, and nothing else (C-KEY)."""
    fields = {"invoice": "I-1", "lines[].sku": ["a", "b"]}
    assert idempotency_key("billing", "shop/charge", "42", fields) == call_key(manifest, INPUT)
    assert call_key(manifest, INPUT) == call_key(manifest, INPUT | {"note": "y"})
    assert call_key(manifest, INPUT) != call_key(manifest, INPUT | {"invoice": "I-2"})


def test_missing_key_field_is_an_error(manifest: Manifest) -> None:
    """A key is never made of a field that is not there (C-KEY)."""
    with pytest.raises(LookupError, match="invoice"):
        call_key(manifest, {"customer": {"id": 1}, "lines": []})


def test_manifest_without_idempotency_has_no_key(manifest: Manifest) -> None:
    """Without `[idempotency]` there is no key."""
    assert call_key(manifest.model_copy(update={"idempotency": None}), INPUT) == b""


@pytest.mark.parametrize("path", ["../outside.db", "/etc/passwd", "link/x.db"])
def test_paths_stay_in_the_working_folder(tmp_path: Path, path: str) -> None:
    """A store's path that leads out of the working folder, over a link too, is refused at once (C-SANDBOX)."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "link").symlink_to(tmp_path)
    with pytest.raises(StoreError, match="leaves the working folder"):
        real_context(Settings(folder=work, grants=(Grant("db", "d", "write"),), paths={"d": path}))


def test_database_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    """Mode read opens a database that is there and never creates one."""
    with real_context(Settings(folder=tmp_path, grants=(Grant("db", "d"),))) as ctx:
        with pytest.raises(StoreError):
            ctx.db("d").query("SELECT 1")
        assert list(tmp_path.iterdir()) == []


def test_naming_the_context_stays_light() -> None:
    """A node that imports `Context` for its signature loads neither httpx nor SQLite nor pydantic."""
    code = (
        "import sys; from certify.capabilities import Context, Response, UpstreamTimeout; "
        "print(sorted({'httpx', 'sqlite3', 'pydantic', 'blake3', 'cbor2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    """The package offers what it lists, and refuses what it does not."""
    assert capabilities.__all__ == sorted(capabilities.__all__)
    assert [name for name in capabilities.__all__ if not hasattr(capabilities, name)] == []
    with pytest.raises(AttributeError, match="nonsense"):
        capabilities.nonsense  # noqa: B018 - the access is the test
