"""The page on verifying is true: its commands run, print what it shows, and exit as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from certify.cli.app import run
from certify.specs import rules
from certify.specs.explain import Standing, standing
from certify_spec.diagnostics import Rule
from specs_support import VERDICTS

PAGE = (Path(__file__).parents[2] / "docs" / "verifying.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def compared(text: str) -> list[str]:
    """What does not depend on the machine or on a solver's choice among shortest runs."""
    lines = (re.sub(r"[\d.]+ m?s\b", "some time", line).split() for line in text.splitlines())
    return [" ".join(line) for line in lines if line and not re.match(r"\d+$|stage\[|held: ", line[0] + " ")]


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of a table, by their first cell without backticks."""
    table = PAGE.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = ([cell.strip() for cell in row.strip("|").split(" | ")] for row in table)
    return {cell[0].strip("`"): cell[1:] for cell in cells}


def test_the_commands_print_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The walk-through refutes the lock, proves the repaired one, and runs it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CERTIFY_CACHE", str(tmp_path / "cache"))
    [lock] = blocks("ct")
    repaired = lock.replace("when stage[c] == waiting", "when stage[c] == waiting and not held")
    assert "`when stage[c] == waiting and not held`" in PAGE
    Path("lock.ct").write_text(lock, encoding="utf-8")
    Path("run.txt").write_text(blocks("text")[0], encoding="utf-8")
    statuses = []
    for block in blocks("console"):
        for command, shown in re.findall(r"^\$ certify (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            statuses.append(run([*command.split(), *(["--jobs", "2"] if command.startswith("verify") else [])]))
            printed = capsys.readouterr().out
            if shown:
                assert compared(printed) == compared(shown)
            Path("lock.ct").write_text(repaired, encoding="utf-8")
    assert statuses == [1, 0, 0, 0, 0, 0, 0]
    assert {path.name for path in tmp_path.iterdir()} >= {"lock.html", "obligations"}


def test_the_page_lists_exactly_the_declared_codes() -> None:
    """Every code of verification is on the page with its meaning, and none besides."""
    declared = {r.code: [r.meaning, r.advice] for r in vars(rules).values() if isinstance(r, Rule)}
    assert rows("code | meaning | what now") == declared


def test_the_page_tells_each_verdict_with_its_exit_status() -> None:
    """The table of verdicts has each of the six, and the status that it leads to."""
    expected = {Standing.HELD: "0", Standing.BROKEN: "1", Standing.OPEN: "3"}
    told = {word: cells[-1] for word, cells in rows("verdict | says | exit status").items()}
    assert told == {word: expected[standing(verdict)] for word, verdict in VERDICTS.items()}
