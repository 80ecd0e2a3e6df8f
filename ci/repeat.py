"""No false alarm, and no miss: the examples are certified over and over, and the wrong ones refused, as a user does it.

Run: ``.venv/bin/python ci/repeat.py [TIMES] [NAME…]``. Every accepted example is checked TIMES times (20 if not given)
and must pass each time without an error; every refused variant is published once and must be refused with exit status
1 by the check, in the file, at the line that its `refusal.toml` names, with nothing published. NAMEs choose examples.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CERTIFY = Path(sys.executable).with_name("certify")
_LONGEST = 900


def certify(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], float]:
    """Run the command in an empty folder: its exit status, what it said, and its seconds."""
    with tempfile.TemporaryDirectory() as empty:
        command = [str(CERTIFY), *arguments, str(folder / "node.toml"), "--json"]
        environment = os.environ | {"CERTIFY_HOME": f"{empty}/keys"}
        start = time.monotonic()
        ended = subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST
        )
        seconds = time.monotonic() - start
    try:
        return ended.returncode, json.loads(ended.stdout), seconds
    except ValueError:
        return ended.returncode, {"verdict": f"no answer: {ended.stderr.strip()[-300:]}", "results": []}, seconds


def errors(said: dict[str, Any]) -> list[tuple[str, str, int, str, str]]:
    """Check, file, line, code and message of every finding that refuses."""
    return [
        (result["check"], (found.get("place") or {}).get("file", ""), (found.get("place") or {}).get("line", 0),
         found["code"], found["message"])
        for result in said["results"]
        for found in result.get("findings", ())
        if found["severity"] == "error"
    ]  # fmt: skip


def alarms(folder: Path, times: int) -> int:
    """How many of so many checks of an accepted example were not passed."""
    wrong = 0
    for turn in range(1, times + 1):
        status, said, seconds = certify(folder, "check")
        held = status == 0 and said["verdict"] == "passed" and not errors(said)
        wrong += not held
        print(f"{folder.name:40} {turn:3}/{times} {said['verdict']:14} {seconds:6.1f} s", flush=True)
        if not held:
            undecided = [each["verdict"] for each in said["results"] if each["verdict"].get("verdict") == "unknown"]
            print(f"    FALSE ALARM: {errors(said) or undecided or said['verdict']}", flush=True)
    return wrong


def missed(folder: Path) -> int:
    """Whether a refused variant was not refused as it says."""
    expect = tomllib.loads((folder / "refusal.toml").read_text(encoding="utf-8"))["expect"]
    status, said, seconds = certify(folder, "publish")
    named = (expect["check"], expect["file"], expect["line"])
    right = status == 1 and not said.get("published") and named in {each[:3] for each in errors(said)}
    where = f"{named[0]} {named[1]}:{named[2]}"
    print(
        f"{'/'.join(folder.parts[-3:]):40} {'refused' if right else 'MISSED':8} {where:40} {seconds:6.1f} s", flush=True
    )
    if not right:
        print(f"    exit status {status}, verdict {said['verdict']}: {errors(said)}", flush=True)
    return not right


def main() -> int:
    """Refused ones first: they take no repetition."""
    words = sys.argv[1:]
    times = int(words.pop(0)) if words and words[0].isdigit() else 20
    accepted = [file.parent for file in sorted(EXAMPLES.glob("*/node.toml")) if not words or file.parent.name in words]
    refused = [
        file.parent
        for file in sorted(EXAMPLES.glob("*/refused/*/refusal.toml"))
        if not words or file.parts[-4] in words
    ]
    missing = sum(missed(folder) for folder in refused)
    wrong = sum(alarms(folder, times) for folder in accepted)
    print(
        f"{missing} of {len(refused)} refused variants missed; {wrong} false alarms in {times * len(accepted)} checks"
    )
    return 1 if missing or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
