"""The pages on idempotency keys and evidence say what is so (C-KEY, C-SBOM)."""

import contextlib
import io
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.exceptions import VerificationError

from certify import codec
from certify.evidence import bundle, dependencies, dsse, errors, keys, sbom, statement
from certify_spec.diagnostics import Rule

DOCS = Path(__file__).parents[2] / "docs"
KEY_PAGE = (DOCS / "idempotency-key.md").read_text(encoding="utf-8")
EVIDENCE_PAGE = (DOCS / "evidence.md").read_text(encoding="utf-8")


def block(page: str, language: str) -> str:
    """The page's only code block in that language."""
    [content] = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return str(content)


def rows(page: str, heading: str) -> dict[str, str]:
    """The rows of the table with that heading: first cell to second."""
    table = page.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return dict(re.findall(r"^\| (.*?) \| (.*?) \|$", table, re.MULTILINE))


def output(program: str) -> str:
    """What the program prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "page", "exec"), {})
    return printed.getvalue()


def test_the_example_prints_what_the_page_says() -> None:
    """C-KEY: the program on the page gives the key on the page."""
    assert block(KEY_PAGE, "text") == output(block(KEY_PAGE, "python"))


def test_the_page_counts_vectors_and_depth_right() -> None:
    """C-KEY: the number of vectors and the depth limit are those of the file and of the codec."""
    vectors = json.loads((DOCS / "vectors" / "idempotency-key.json").read_text(encoding="utf-8"))["vectors"]
    assert f"has {len(vectors)} vectors" in KEY_PAGE
    assert f"more than {codec.MAX_DEPTH} containers" in KEY_PAGE


def test_the_page_lists_every_member_of_the_evidence() -> None:
    """The table names the members that evidence has, and no others."""
    listed = {name for cell in rows(EVIDENCE_PAGE, "member") for name in re.findall(r"`(\w+)`", cell)}
    assert {"schema", *(field.name for field in fields(bundle.Evidence))} == listed


def test_the_page_lists_every_member_of_the_predicate() -> None:
    """C-SBOM: the table names the members that the predicate has, and no others."""
    digests = statement.Digests.of(b"")
    made = statement.Statement("n@1", digests, digests, digests, digests.blake3, "passed", {}, (), "2026-01-01T00:00Z")
    listed = {cell.strip("`") for cell in rows(EVIDENCE_PAGE, "member of the predicate") if cell.startswith("`")}
    assert made.to_data()["predicate"].keys() == listed


def test_the_page_lists_exactly_the_declared_codes() -> None:
    """C-SBOM: every code of the evidence is on the page with its meaning, and none besides."""
    declared = {
        rule.code: rule.meaning
        for module in (dependencies, errors, keys, sbom)
        for rule in vars(module).values()
        if isinstance(rule, Rule)
    }
    listed = {code: meaning for code, meaning in rows(EVIDENCE_PAGE, "code").items() if code[-3:].isdigit()}
    assert declared == listed


def test_the_page_shows_how_another_tool_checks_the_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C-SBOM: the program on the page prints the signer of a true envelope, and fails on a forged one."""
    monkeypatch.chdir(tmp_path)
    public = keys.new_key(tmp_path).public
    envelope = dsse.sign(statement.PAYLOAD_TYPE, b"{}", keys.load_key(tmp_path))
    Path("statement.dsse.json").write_bytes(envelope)
    assert f"{public.key_id}\n" == output(block(EVIDENCE_PAGE, "python"))
    eve = keys.KeyPair(Ed25519PrivateKey.generate())
    Path("statement.dsse.json").write_bytes(dsse.sign(statement.PAYLOAD_TYPE, b"{}", eve))
    with pytest.raises(VerificationError, match="do not match threshold"):
        output(block(EVIDENCE_PAGE, "python"))
