"""A publisher killed at every step, and at random moments: the registry is as before, or complete."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from certify.registry.disk import Disk
from certify.registry.entries import Published
from certify.registry.registry import Registry
from certify.registry.verification import verify_log
from registry_support import NODE, signed_waiver, submission, ticking, waiver

BIG = 3 * (1 << 16)  # more than two of the pieces in which files are written
TESTS = Path(__file__).parent.parent


class Fatal:
    """Kills its process before the step with the given number, from 0."""

    def __init__(self, step: int) -> None:
        self._left = step

    def __call__(self, _what: str) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def killed(work: Callable[[Disk], object], step: int) -> bool:
    """Do the work in a child process that is killed before `step`; whether it got that far."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(Disk(Fatal(step)))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def publish(folder: Path, release: str) -> Callable[[Disk], object]:
    """Work that publishes one release."""

    def work(disk: Disk) -> None:
        with Registry.open(folder, clock=ticking(), disk=disk) as registry:
            registry.publish(submission(release=release, size=BIG))

    return work


def state(folder: Path) -> tuple[list[str], int, str | None]:
    """The releases, the number of log entries, and the newest checkpoint."""
    with Registry.open(folder) as registry:
        releases = [release.name for releases in registry.list_nodes().values() for release in releases]
        return releases, len(registry.log()), registry.checkpoint()


def test_a_publish_killed_at_every_step_is_whole_or_not_there(tmp_path: Path) -> None:
    """R-DURABLE: before each single step of files and database a kill leaves the registry as before or complete."""
    pristine = tmp_path / "pristine"
    with Registry.create(pristine, clock=ticking()) as registry:
        registry.publish(submission(release="1.0.0"))
    before = state(pristine)
    steps, outcomes, going = 0, set(), True
    while going:
        folder = Path(shutil.copytree(pristine, tmp_path / f"registry-{steps}"))
        going = killed(publish(folder, "1.1.0"), steps)
        found = state(folder)
        complete = found[0] == [*before[0], f"{NODE}@1.1.0"] and found[1] == 2
        assert complete or found == before, f"half-written at step {steps}: {found}"
        assert verify_log(folder).holds
        publish(folder, "1.1.0")(Disk())
        publish(folder, "1.2.0")(Disk())
        assert state(folder)[:2] == ([f"{NODE}@1.0.0", f"{NODE}@1.1.0", f"{NODE}@1.2.0"], 3)
        # Notes, too: whatever the dead publisher left has been used or removed.
        assert verify_log(folder).diagnostics == ()
        assert not list((folder / "incoming").iterdir())
        outcomes.add(complete)
        shutil.rmtree(folder)
        steps += 1
    assert outcomes == {True, False}
    assert steps > 35  # every file, folder, row and the commit


def test_what_a_dead_publisher_left_is_taken_back(tmp_path: Path) -> None:
    """R-DURABLE: blobs of a publish that was never repeated are removed by the next one, whichever it is."""
    folder = tmp_path / "registry"
    Registry.create(folder, clock=ticking()).close()
    seen = 0
    for step in range(20, 92, 6):
        if killed(publish(folder, f"9.9.{step}"), step):
            seen += len(verify_log(folder).diagnostics)
    publish(folder, "1.0.0")(Disk())
    assert verify_log(folder).diagnostics == ()
    assert seen > 0


def test_a_waiver_killed_at_every_step_is_whole_or_not_there(tmp_path: Path) -> None:
    """R-DURABLE: the same holds for waivers."""
    pristine = tmp_path / "pristine"
    Registry.create(pristine, clock=ticking()).close()

    def work(disk: Disk) -> None:
        with Registry.open(folder, clock=ticking(), disk=disk) as registry:
            registry.waive(*signed_waiver(waiver()))

    step, going = 0, True
    while going:
        folder = Path(shutil.copytree(pristine, tmp_path / f"registry-{step}"))
        going = killed(work, step)
        with Registry.open(folder) as registry:
            assert len(registry.waivers()) == len(registry.log())
        assert verify_log(folder).holds
        work(Disk())
        assert verify_log(folder).diagnostics == ()
        step += 1
    assert step > 10


def make(folder: Path) -> Callable[[Disk], object]:
    """Work that makes a registry."""
    return lambda disk: Registry.create(folder, clock=ticking(), disk=disk).close()


def test_a_making_killed_at_every_step_can_be_finished(tmp_path: Path) -> None:
    """R-DURABLE: a registry whose making was killed is made by asking again."""
    step, going = 0, True
    while going:
        folder = tmp_path / f"registry-{step}"
        going = killed(make(folder), step)
        with Registry.ensure(folder, clock=ticking()) as registry:
            registry.publish(submission())
        assert verify_log(folder).diagnostics == ()
        step += 1
    assert step > 10


VICTIM = """
import sys
from pathlib import Path
from certify.registry.entries import Published
from certify.registry.registry import Registry
from registry_support import submission, ticking
with Registry.open(Path(sys.argv[1]), clock=ticking()) as registry:
    start = len(registry.log())
    print("ready", flush=True)
    for number in range(start, start + 100_000):
        receipt = registry.publish(submission(release=f"1.0.{number}"))
        print(receipt.entry, receipt.release, flush=True)
"""


@pytest.mark.parametrize("seed", range(6))
def test_nothing_acknowledged_is_lost_by_a_kill_at_a_random_moment(tmp_path: Path, seed: int) -> None:
    """R-DURABLE: every receipt that left a publisher before SIGKILL is in the log at its place."""
    folder = tmp_path / "registry"
    Registry.create(folder, clock=ticking()).close()
    chance = random.Random(seed)
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        acknowledged = [victim.stdout.readline() for _ in range(chance.randint(1, 40))]
        # A spin of random length moves the kill to anywhere within a publish.
        for _ in range(chance.randint(0, 100_000)):
            pass
        victim.kill()
        acknowledged += [line for line in victim.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    assert victim.returncode == -signal.SIGKILL
    with Registry.open(folder, clock=ticking()) as registry:
        entries = registry.log()
        published = [(record.number, record.entry) for record in entries]
        logged = [f"{number} {entry.release}\n" for number, entry in published if isinstance(entry, Published)]
        assert logged[: len(acknowledged)] == acknowledged
        assert len(entries) - len(acknowledged) in {0, 1}
        assert verify_log(folder).holds
        registry.publish(submission(release="2.0.0"))
    assert verify_log(folder).diagnostics == ()
