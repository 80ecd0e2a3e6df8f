"""The page on verifying against reality."""

import re
from pathlib import Path

from certify_spec.diagnostics import rules
from certify_verifier import reporting  # noqa: F401 -- declares the codes

PAGE = (Path(__file__).parents[2] / "docs" / "verifying.md").read_text(encoding="utf-8")


def test_every_code_is_explained_once() -> None:
    """The page lists exactly the codes of the verifier, with their meanings."""
    told = dict(re.findall(r"^\| `(VER\d+)` \| (.*) \|$", PAGE, re.MULTILINE))
    meant = {c: f"{r.meaning} {r.advice}".strip() for c, r in rules().items() if c.startswith("VER")}
    assert told == meant
