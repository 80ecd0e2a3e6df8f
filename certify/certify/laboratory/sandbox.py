"""The sandbox: what a node's process can see and reach, built with bubblewrap.

Rules this module keeps:

- every namespace is new: no network but a loopback of its own, no other process, no other user's files;
- the interpreter, its packages and the node's folder are there to read, two bounded memory file systems to write, and
  nothing
  else: not the user's home, not the signing keys, not the registry;
- entropy comes from the laboratory (`kernel`) and `/dev/urandom` is a seeded file; the wall clock is frozen for Python
  (time-machine) and shifted for native code (libfaketime, which cannot freeze it without breaking timed waits: see
  docs/adr/wall-clock.md); the hash seed, time zone, locale, host name and the rest from `Environment`;
- when the laboratory goes, everything in the sandbox goes with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from certify.codec import address
from certify.laboratory import filters
from certify.laboratory.channel import Channel
from certify.laboratory.reading import LaboratoryError
from certify.laboratory.record import Environment
from certify_spec.diagnostics import Diagnostic, RequestError, Rule

LAB001 = Rule(
    "LAB001",
    "The laboratory lacks a tool that it needs to sandbox a node.",
    "Install the tool, or run `make setup` as a user who may.",
)

#: Where things are inside the sandbox.
NODE: Final = "/node"
WORLD: Final = "/world"
LAB: Final = "/lab"

_FAKETIME_FOLDERS: Final = (
    "/usr/lib/*-linux-*/faketime",
    "/usr/lib/faketime",
    "/usr/lib64/faketime",
    "/usr/local/lib/faketime",
)
_ENTROPY_BYTES: Final = 4 * 2**20
_FIRST_DESCRIPTOR: Final = 300  # below it, Python keeps integers ready-made
_SCRATCH_BYTES: Final = 128 * 2**20
#: States of threads (proc(5)) that run, wait for a processor, or for a disk.
_WORKING: Final = frozenset("RD")


@dataclass(frozen=True, slots=True)
class Upstream:
    """One `http` resource as the sandbox plays it: host names and ports are the real ones, the address is loopback."""

    name: str
    scheme: str
    host: str
    port: int
    address: str
    simulator: str | None


@dataclass(frozen=True, slots=True)
class Layout:
    """What all sandboxes of one laboratory share: a folder with their configuration files, and the node's files.

    The node is run from a copy that holds the subject's files and nothing else: what is not in the subject's digest
    does not exist in the laboratory, and an edit while it works changes nothing.
    """

    folder: Path
    node: Path
    files: Mapping[str, str]
    upstreams: tuple[Upstream, ...]
    variables: tuple[tuple[str, str], ...] = ()

    def snapshot(self, order: int) -> Path:
        """The copy whose folders list in an order of their own: files are created in a shuffled order."""
        with _SNAPSHOTS:
            target = self.folder / f"node-{order}"
            if not target.exists():
                partial = self.folder / f"node-{order}.partial"
                for name in random.Random(order).sample(sorted(self.files), len(self.files)):  # noqa: S311 - an order, no secret
                    path = partial / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self.node / name, path)
                    if address(path.read_bytes()) != self.files[name]:
                        raise LaboratoryError(f"{name} has changed since it was read; certify again")
                partial.mkdir(parents=True, exist_ok=True)
                partial.rename(target)
            return target


_SNAPSHOTS: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ready:
    """What a sandbox has at hand before any delivery: modules that are imported, and texts that are compiled."""

    modules: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def to_data(self) -> dict[str, list[str]]:
        """As the supervisor is told."""
        return {"preload": list(self.modules), "texts": list(self.texts)}


def _tool(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RequestError(
            Diagnostic(
                LAB001,
                f"`{name}` is not installed",
                fix=f"install it (Debian: apt-get install {package}) and try again",
            )
        )
    return path


def faketime_library() -> str:
    """The path of libfaketime's multi-threaded library.

    Raises:
        RequestError: it is not installed.
    """
    for pattern in _FAKETIME_FOLDERS:
        for folder in sorted(Path("/").glob(pattern[1:])):
            for name in ("libfaketimeMT.so.1", "libfaketime.so.1"):
                if (folder / name).exists():
                    return str(folder / name)
    raise RequestError(
        Diagnostic(
            LAB001,
            "`libfaketime` is not installed",
            fix="install it (Debian: apt-get install libfaketime) and try again",
        )
    )


def write_entropy(path: Path, seed: int) -> None:
    """Fill a file with the SHAKE-256 stream of the seed: the sandbox's whole supply of entropy."""
    path.write_bytes(_stream(seed))


@functools.lru_cache(maxsize=8)
def _stream(seed: int) -> bytes:
    return hashlib.shake_256(f"certify laboratory entropy {seed}".encode()).digest(_ENTROPY_BYTES)


def write_configuration(layout: Layout) -> None:
    """Write the few files of `/etc` that the sandbox has."""
    etc = layout.folder / "etc"
    etc.mkdir(parents=True, exist_ok=True)
    hosts = ["127.0.0.1 localhost"] + [f"{u.address} {u.host}" for u in layout.upstreams if u.address != u.host]
    (etc / "hosts").write_text("\n".join(hosts) + "\n")
    (etc / "nsswitch.conf").write_text("hosts: files\npasswd: files\ngroup: files\n")
    (etc / "resolv.conf").write_text("")
    (etc / "passwd").write_text("node:x:0:0:node:/world:/bin/false\n")
    (etc / "group").write_text("node:x:0:\n")
    (etc / "machine-id").write_text("0" * 32 + "\n")


def _root_binds() -> list[str]:
    """The read-only root: /usr and the loader's cache; top-level links are repeated."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("lib", "lib32", "lib64", "bin", "sbin"):
        path = Path("/") / name
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    if Path("/etc/ld.so.cache").exists():
        arguments += ["--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    return arguments


def _python_binds() -> list[str]:
    """The interpreter, its packages, and this toolkit where it is installed from a source tree."""
    import certify
    import certify_spec

    roots = [Path(sys.base_prefix), Path(sys.prefix)]
    roots += [Path(next(iter(module.__path__))).parent for module in (certify, certify_spec)]
    arguments: list[str] = []
    bound: list[Path] = [Path("/usr")]
    for root in roots:
        if not any(root.is_relative_to(known) for known in bound):
            arguments += ["--ro-bind", str(root), str(root)]
            bound.append(root)
    return arguments


def _environment(environment: Environment) -> dict[str, str]:
    """The whole environment of the sandbox: nothing is inherited."""
    return {
        "PATH": "/usr/bin:/bin",
        "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own, empty for every world
        "LANG": environment.locale,
        "LC_ALL": environment.locale,
        "PYTHONHASHSEED": str(environment.hash_seed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "SSL_CERT_FILE": f"{LAB}/authority.pem",
        "REQUESTS_CA_BUNDLE": f"{LAB}/authority.pem",
        "CURL_CA_BUNDLE": f"{LAB}/authority.pem",
        "LD_PRELOAD": faketime_library(),
        "FAKETIME": f"{environment.clock - int(time.time()):+d}s",
        "TZDIR": "/usr/share/zoneinfo",
        "NO_FAKE_STAT": "1",
    }


_BORN: Final = Environment()


def of_sandbox(environment: Environment) -> Environment:
    """The part of an environment that a sandbox is born with; every delivery sets the rest for itself."""
    return replace(
        environment,
        timezone=_BORN.timezone,
        random_seed=_BORN.random_seed,
        pid_offset=_BORN.pid_offset,
        cwd=_BORN.cwd,
        env=(),
        cpu_count=_BORN.cpu_count,
        threads=_BORN.threads,
        earlier_calls=_BORN.earlier_calls,
    )


def _numbered(descriptor: int) -> int:
    """The descriptor again, with a number of three digits: the command line decides addresses inside, by its length."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)


class Sandbox:
    """A running sandbox with its supervisor inside, ready for runs.

    Attributes:
        protected: process ids inside that no signal may reach.
        ready: what it has at hand before any delivery.
    """

    def __init__(self, layout: Layout, environment: Environment) -> None:
        self.environment = environment
        self.protected: frozenset[int] = frozenset({1})
        self.ready = Ready()
        command = self._prepared(layout, environment)
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            here, there = socket.socketpair()
            watch_here, watch_there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            base = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the stack
            for end in (there, watch_there, base):
                theirs.enter_context(end)
            for end in (here, watch_here):
                ours.enter_context(end)
            base.write(filters.base())
            base.seek(0)
            numbers = [_numbered(end.fileno()) for end in (there, watch_there, base)]
            for number in numbers:
                theirs.callback(os.close, number)
            descriptors = (numbers[0], numbers[1], numbers[2])
            self._process = subprocess.Popen(
                command(*descriptors),
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin"},
                start_new_session=True,
            )
            ours.pop_all()
        self.channel = Channel(here)
        self.watch = watch_here

    def _prepared(self, layout: Layout, environment: Environment) -> Callable[[int, int, int], list[str]]:
        """Make the files that the sandbox binds; gives the command for the descriptors that it will inherit."""
        layout.snapshot(environment.directory_order)
        descriptor, name = tempfile.mkstemp(prefix="processors-", dir=layout.folder)
        os.close(descriptor)
        self._processors = Path(name)
        self._entropy = Path(name.replace("processors-", "entropy-"))
        self._seed: int | None = None
        self.surround(environment)
        return lambda control, watch, base: self._command(layout, environment, (control, watch, base))

    def surround(self, environment: Environment) -> None:
        """Show the next plan its number of processors and its `/dev/urandom`: the files behind them are ours."""
        count = environment.cpu_count
        self._processors.write_text("0\n" if count == 1 else f"0-{count - 1}\n")
        if self._seed != environment.random_seed:
            self._seed = environment.random_seed
            write_entropy(self._entropy, environment.random_seed)

    def _command(self, layout: Layout, environment: Environment, descriptors: tuple[int, int, int]) -> list[str]:
        control, watch, base = descriptors
        command = [_tool("bwrap", "bubblewrap"), "--unshare-all", "--die-with-parent", "--clearenv"]
        command += ["--hostname", environment.hostname, "--uid", "0", "--gid", "0"]
        # user 0 of a namespace that maps nobody else: the two capabilities left let the supervisor listen at ports
        # below 1024 and choose process ids; every delivery gives them up
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_NET_BIND_SERVICE"]
        command += ["--cap-add", "CAP_CHECKPOINT_RESTORE"]
        command += _root_binds()
        for folder in (WORLD, "/tmp"):  # noqa: S108 - the sandbox's own
            command += ["--size", str(_SCRATCH_BYTES), "--tmpfs", folder]
        command += _python_binds()  # after the scratch folders: the interpreter may lie below /tmp
        for name in ("hosts", "nsswitch.conf", "resolv.conf", "passwd", "group", "machine-id"):
            command += ["--ro-bind", str(layout.folder / "etc" / name), f"/etc/{name}"]
        command += ["--proc", "/proc", "--dev", "/dev"]
        command += ["--ro-bind", str(self._entropy), "/dev/urandom"]
        for name in ("online", "possible", "present"):
            command += ["--ro-bind", str(self._processors), f"/sys/devices/system/cpu/{name}"]
        command += ["--ro-bind", str(layout.folder / "lab"), LAB]
        command += ["--ro-bind", str(layout.snapshot(environment.directory_order)), NODE, "--chdir", WORLD]
        for name, value in sorted((dict(layout.variables) | _environment(environment)).items()):
            command += ["--setenv", name, value]
        command += ["--seccomp", str(base), "--"]
        if not environment.aslr:
            command += [_tool("setarch", "util-linux"), "-R"]
        python = [sys.executable, "-s", "-P", "-m", "certify.laboratory.inside", str(control), str(watch)]
        return command + python

    def output(self) -> str:
        """What the sandbox's own start-up printed, once it has ended: for error messages."""
        stream = self._process.stdout
        return stream.read(8192).decode(errors="replace").strip() if stream else ""

    def alive(self) -> bool:
        """Whether the sandbox still runs."""
        return self._process.poll() is None

    def working(self) -> bool:
        """Whether anything in the sandbox wants a processor or waits for a disk: if nothing does, all of it waits."""
        waiting = [self._process.pid]
        while waiting:
            for thread in Path(f"/proc/{waiting.pop()}/task").glob("*"):
                with contextlib.suppress(OSError):
                    if (thread / "stat").read_text().rpartition(")")[2].split()[0] in _WORKING:
                        return True
                    waiting += map(int, (thread / "children").read_text().split())
        return False

    def kill(self) -> None:
        """End the sandbox and everything in it; what it printed can still be read."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the sandbox and let go of it."""
        self.channel.close()
        self.watch.close()
        self.kill()
        for file in (self._processors, self._entropy):
            file.unlink(missing_ok=True)
        if self._process.stdout:
            self._process.stdout.close()
