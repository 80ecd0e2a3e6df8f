"""The service killed under load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """R-DURABLE: killed under load: nothing acknowledged is lost, nothing is half there, the log holds.

    The campaign runs in a process of its own, because it forks; `python bench/registry_kill.py` is the whole of it.
    """
    command = [sys.executable, str(ROOT / "bench" / "registry_kill.py"), "--kills", "6", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 kills" in done.stdout
