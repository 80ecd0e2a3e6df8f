"""The tutorial's commands against reality: each prints what the page shows, times aside."""

import re
from pathlib import Path

import pytest

from certify.cli.app import run

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(ct|console)[^\n]*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def transcripts() -> list[tuple[str, str, str]]:
    """For each command of the page: the specification above it, its arguments, and what it prints."""
    found: list[tuple[str, str, str]] = []
    specification = ""
    for language, text in BLOCKS:
        if language == "ct":
            specification = text
        else:
            command, _, printed = text.partition("\n")
            found.append((specification, command.removeprefix("$ certify "), printed))
    return found


def without_times(text: str) -> list[list[str]]:
    """The words of each line that is not empty; times, which differ from run to run, are all alike."""
    return [line.split() for line in re.sub(r"[\d.]+ m?s\b", "T", text).splitlines() if line.strip()]


def test_the_page_has_its_commands() -> None:
    """The reader runs a machine, proves it, and breaks it."""
    assert [command.split()[0] for _, command, _ in transcripts()] == ["simulate", "verify", "verify"]


@pytest.mark.parametrize(("specification", "command", "printed"), transcripts(), ids=["runs", "is proved", "is broken"])
def test_a_command_prints_what_the_page_shows(
    specification: str,
    command: str,
    printed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On the machine above it, each command prints the lines of the page, and its exit status tells the verdict."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("CERTIFY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "carpark.ct").write_text(specification, encoding="utf-8")
    status = run(command.split())
    said = capsys.readouterr()
    assert without_times(said.out + said.err) == without_times(printed)
    assert status == (1 if "refuted" in printed else 0)
