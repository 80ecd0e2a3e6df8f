"""Adapters to examine: the hand-written reference, and copies of it with something changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1] / "bench"


def reference(folder: Path, *, mode: str, changes: Iterable[tuple[str, str]] = ()) -> Path:
    """An adapter in a folder, for the reference with some of its text replaced; each text occurs exactly once."""
    text = (BENCH / "by_hand.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    adapter = folder / "peers" / "adapter.py"
    adapter.parent.mkdir()
    (folder / "by_hand.py").write_text(text, encoding="utf-8")
    told = (BENCH / "peers" / "handwritten.py").read_text(encoding="utf-8")
    adapter.write_text(f'{told}\n\nmodes = "{mode}"\n', encoding="utf-8")
    return adapter
