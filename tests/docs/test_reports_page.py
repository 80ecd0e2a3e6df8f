"""Claims about the page `docs/reports.md`: its commands work, and it says what the code does."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.main import get_command

from certify import codec
from certify.cli.app import app, run
from certify.evidence import dsse
from certify.evidence.bundle import Evidence, statement_of
from certify.evidence.keys import KeyPair
from certify.evidence.statement import PAYLOAD_TYPE
from certify.evidence.verdict import CheckResult, Passed, name
from certify.registry.registry import Registry
from certify.registry.submission import Submission
from certify.report import FORMATS, json_view, markdown, render, sarif
from certify_spec.diagnostics import Rule
from report_support import evidence, results

PAGE = (Path(__file__).parents[2] / "docs/reports.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    part = PAGE.split(f"{heading}\n", 1)[1].split("\n## ", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if line[:1] == "|"][
        2:
    ]


def published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Evidence, dict[str, bytes]]:
    """A registry in the working folder with one release; its evidence and blobs."""
    monkeypatch.chdir(folder)
    made, blobs = evidence(tuple(CheckResult(each.check, Passed()) for each in results()))
    made = replace(made, waivers=())
    key = KeyPair(Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
    encoded, page = made.encode(), render(made, blobs, "html")
    submission = Submission(
        node=made.node,
        release=made.version,
        subject=made.subject,
        evidence=codec.address(encoded),
        envelope=dsse.sign(PAYLOAD_TYPE, statement_of(made, blobs[made.sbom]).to_json(), key),
        signer=key.public,
        blobs=blobs | {codec.address(data): data for data in (encoded, page)},
        artefacts={"report": codec.address(page), "sbom": made.sbom, "manifest": made.manifest, "policy": made.policy},
        verdicts={result.check: name(result.verdict) for result in made.results},
    )
    with Registry.ensure(Path(".certify/registry")) as registry:
        registry.publish(submission)
    return made, blobs


def test_the_commands_give_each_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """C-REPORT: every `certify report` of the page exits with 0 and gives the evidence in its form."""
    made, blobs = published(tmp_path, monkeypatch)
    commands = re.findall(r"^\$ certify (report .*)$", PAGE, re.MULTILINE)
    shown = []
    for command in commands:
        arguments = shlex.split(command.replace("shop/normalise-order@1.0.0", made.name))
        assert run(arguments) == 0
        form = arguments[arguments.index("--format") + 1]
        printed = capsysbinary.readouterr().out
        content = Path(arguments[-1]).read_bytes() if "--output" in arguments else printed
        assert content == render(made, blobs, form)
        shown.append(form)
    assert tuple(shown) == FORMATS


def test_the_options_of_the_gate_exist() -> None:
    """C-GATE: the command of the page's pipeline is one that the command line takes."""
    (command,) = re.findall(r"^certify (gate .*)$", PAGE, re.MULTILINE)
    gate: Any = get_command(app)
    options = {option for parameter in gate.commands["gate"].params for option in parameter.opts}
    assert {word for word in shlex.split(command) if word.startswith("--")} <= options


def test_the_forms_are_those_that_there_are() -> None:
    """C-REPORT: the first table lists the forms, in their order."""
    assert tuple(row[0].strip("`") for row in rows("# Reports")) == FORMATS


def test_the_members_of_the_json_form_are_those_that_it_has() -> None:
    """C-REPORT: the table of members is complete and in the document's own words."""
    document = json.loads(render(*evidence(), form="json"))
    assert sorted(row[0].strip("`") for row in rows("## The JSON form")) == sorted(document)
    assert f"`{json_view.SCHEMA}`" in PAGE


def test_names_and_limits_are_those_of_the_code() -> None:
    """C-REPORT: the fingerprint's name, the comment's limit and the codes of the log are the code's own."""
    assert f"`{sarif.FINGERPRINT}`" in PAGE
    assert f"{markdown.LONGEST:,} characters" in PAGE
    declared = {rule.code: rule.meaning for rule in vars(sarif).values() if isinstance(rule, Rule)}
    assert {code.strip("`"): meaning for code, meaning in rows("## Codes")} == declared
