"""The laboratory: runs plans and gives records.

Rules this module keeps:

- one sandbox runs one plan at a time; sandboxes with equal environments are used again, and the turnstile says how many
  at once are busy;
- a sandbox that dies or stops answering is ended and its run is recorded as what happened, never lost and never passed;
- a failure of the laboratory itself raises `LaboratoryError`: it is no verdict about the node.
"""

from __future__ import annotations

import array
import compileall
import contextlib
import fcntl
import functools
import itertools
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import certify
import certify_spec
from certify.laboratory import filters, reading
from certify.laboratory.certificates import issue
from certify.laboratory.channel import ChannelClosed
from certify.laboratory.inside.nursery import FIRST_PID
from certify.laboratory.kernel import Entropy, Watch
from certify.laboratory.reading import LaboratoryError
from certify.laboratory.record import Delivery, Environment, Plan, RunRecord, planted
from certify.laboratory.sandbox import Layout, Ready, Sandbox, Upstream, of_sandbox, write_configuration
from certify.laboratory.turnstile import Turnstile
from certify.manifest.model import Manifest, ResourceKind
from certify.subject import Signature, Subject

_START_SECONDS: Final = 30.0
_GRACE_SECONDS: Final = 5.0
_REHEARSAL_SECONDS: Final = 2.0
_PREEMPT_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.025
_LONGEST_PREEMPT_SECONDS: Final = 10.0
_IDLE_SANDBOXES: Final = 4
_FIRST_ADDRESS: Final = 2
_BATCH: Final = 8
_PREFIX: Final = "certify-"
_IN_USE: Final = "in-use"
_USUAL: Final = of_sandbox(Environment())
#: What a delivery is for, if not to call the node.
_Ask = Mapping[str, Any]
_CALL: Final[_Ask] = {}
_MEMORY: Final = "/dev/shm"  # noqa: S108 - a private folder below it; its folders list in creation order


@dataclass(frozen=True, slots=True)
class Limits:
    """What one delivery may use at the most.

    Attributes:
        wall: seconds.
        cpu: seconds of processor time, rounded up to whole ones by the kernel.
        memory: bytes of address space.
        file: bytes of one file.
    """

    wall: float = 20.0
    cpu: float = 20.0
    memory: int = 2 * 2**30
    file: int = 64 * 2**20

    @classmethod
    def of(cls, manifest: Manifest) -> Limits:
        """Limits generous enough that a node within its budget never meets them."""
        budget = manifest.budget
        return cls(
            wall=min(600.0, max(5.0, 4 * budget.wall)),
            cpu=min(600.0, max(5.0, 4 * budget.cpu)),
            memory=2**30 + 2 * budget.memory,
        )


def _claim(folder: Path) -> int:
    """Mark a folder as in use for as long as this process lives, or closes the descriptor."""
    descriptor = os.open(folder / _IN_USE, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def sweep(place: Path) -> None:
    """Remove what laboratories have left that were killed: their sandboxes died with them, their files did not."""
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder / _IN_USE, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


class Laboratory:
    """Runs one subject. Use it as a context manager; when it closes, nothing of it is left running.

    At most `jobs` sandboxes are busy at once, or as many as the machine has room for (see `Turnstile`), and `idle` are
    kept for plans with equal surroundings, or as many as were busy at once. With an input as
    `rehearsal`, the node is called once before anything else, and every later run begins with what was imported then:
    that may halve what a run takes.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        limits: Limits | None = None,
        jobs: int | None = None,
        idle: int = _IDLE_SANDBOXES,
        rehearsal: bytes | None = None,
    ) -> None:
        self._subject = subject
        self._rehearsal = rehearsal
        self._limits = limits or Limits.of(subject.manifest)
        self._most_idle = idle
        self._memory: dict[Plan, RunRecord] = {}
        self._turnstile = Turnstile(jobs, subject.manifest.budget.memory)
        self._lock = threading.Lock()
        self._idle: deque[Sandbox] = deque()
        self._coming: deque[Future[None]] = deque()
        self._busy: set[Sandbox] = set()
        self._closed = False
        self._described: Future[Signature] | None = None
        self._ready = Ready()
        self.runs = 0
        place = Path(_MEMORY if os.access(_MEMORY, os.W_OK) else tempfile.gettempdir())
        sweep(place)
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        self._in_use = _claim(self._folder)
        try:
            self._layout = self._prepare()
        except BaseException:
            self._remove()
            raise
        for package in (certify, certify_spec):  # the sandbox cannot write what it compiles
            compileall.compile_dir(next(iter(package.__path__)), quiet=2)
        self._executor = ThreadPoolExecutor(self._turnstile.most, thread_name_prefix="laboratory")

    # -- life ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every sandbox and remove the laboratory's files."""
        with self._lock:
            self._closed = True
            sandboxes = [*self._idle, *self._busy]
            self._idle.clear()
        for sandbox in sandboxes:
            sandbox.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._in_use)

    def _prepare(self) -> Layout:
        upstreams = tuple(_upstreams(self._subject.manifest))
        lab = self._folder / "lab"
        lab.mkdir()
        hosts = tuple(sorted({u.host for u in upstreams if u.scheme == "https"}))
        # also for upstreams without TLS: a client reads its authorities before it knows whom it will ask
        certificates = issue((*hosts, "wrong.invalid"))
        (lab / "authority.pem").write_bytes(certificates.authority)
        for host, chain in certificates.hosts.items():
            (lab / f"{host}.pem").write_bytes(chain)
        for file in lab.iterdir():
            file.chmod(0o644)
        variables = {
            name: planted(name)
            for resource in self._subject.manifest.resource
            if resource.kind in {ResourceKind.ENV, ResourceKind.SECRETS}
            for name in resource.variables
        }
        layout = Layout(
            self._folder, self._subject.root.resolve(), dict(self._subject.files), upstreams, tuple(variables.items())
        )
        write_configuration(layout)
        return layout

    @property
    def at_once(self) -> int:
        """How many runs were made at once, at the most."""
        return self._turnstile.peak

    # -- what checks ask for -------------------------------------------------------------------------------------------

    def signature(self) -> Signature:
        """The entry point's signature, found by importing the node once in the sandbox.

        Raises:
            RequestError: the entry point cannot be imported or used.
            LaboratoryError: the sandbox did not work.
        """
        return self.describe().result()

    def describe(self) -> Future[Signature]:
        """As `signature`, without waiting for it."""
        with self._lock:
            known = self._described
            if known is None or (known.done() and known.exception() is not None):
                # a sandbox dies with the thread that started it, and these threads live as long as the laboratory
                known = self._described = self._executor.submit(self._describe)
            return known

    def stock(self) -> None:
        """Have as many sandboxes started as will be busy at once, without waiting for them."""
        for _ in range(min(self._turnstile.limit, self._most_idle) - 1):
            # as `describe`: by a thread that lives as long as they do
            self._coming.append(self._executor.submit(self._put_by))

    def _put_by(self) -> None:
        """Start a sandbox that nobody waits for, and keep it for who comes."""
        with contextlib.suppress(LaboratoryError):  # who needs one will start another, and hear what is wrong
            self._give_back(self._started(_USUAL), healthy=True)

    def _describe(self) -> Signature:
        reply = self._raw(Plan((Delivery(b"null"),)), {"describe": True})[0]
        signature, modules = reading.signature(reply, self._subject)
        if signature.context:
            modules = (*modules, *self._context_modules())
        if signature.is_async:
            modules = (*modules, "asyncio")
        if self._rehearsal is not None:
            modules = (*modules, *self._rehearsed(self._rehearsal))
        self._ready = Ready(tuple(dict.fromkeys(modules)), reading.texts(reply))
        return signature

    def _rehearsed(self, text: bytes) -> tuple[str, ...]:
        """What the node and its simulators import only when they are at work; what the call does is not looked at."""
        shortly = replace(self._limits, wall=min(self._limits.wall, _REHEARSAL_SECONDS))
        return reading.imported(self._raw(Plan((Delivery(text),)), limits=shortly)[0], self._subject)

    def refuses(self, texts: Sequence[bytes]) -> list[bool]:
        """Which of these inputs the entry point's type refuses. One process reads them all, and calls nothing.

        What it did not come to, because one of them ended it, is not called refused: a run will tell.
        """
        self.signature()
        ask = {"read": list(texts)}
        reply = self._executor.submit(lambda: self._raw(Plan((Delivery(b"null"),)), ask)[0]).result()
        refused = [bool(record["refused"]) for record in reply.records("read")]
        return refused + [False] * (len(texts) - len(refused))

    def _is_up_to_date(self, sandbox: Sandbox) -> bool:
        """Whether the sandbox has at hand what the node uses: one that started earlier is told so now."""
        wanted = self._ready
        if sandbox.ready == wanted:
            return True
        try:
            sandbox.channel.send({"t": "preload", **wanted.to_data()})
            ready = self._is_ready(sandbox)
        except ChannelClosed:
            return False
        sandbox.ready = wanted
        return ready

    @staticmethod
    def _is_ready(sandbox: Sandbox) -> bool:
        """Whether the sandbox says in time that deliveries can be made."""
        ready = sandbox.channel.receive(_START_SECONDS)
        if ready is None:
            return False
        sandbox.protected = frozenset({1, *map(int, ready["protected"])})
        return True

    def _context_modules(self) -> Iterator[str]:
        """What a context will import, imported beforehand like everything else."""
        kinds = {resource.kind for resource in self._subject.manifest.resource}
        yield "certify.laboratory.inside.provide"
        if ResourceKind.HTTP in kinds:
            yield from ("certify.capabilities.upstreams", "httpx")
        if kinds & {ResourceKind.DB, ResourceKind.KV, ResourceKind.DEDUPE}:
            yield from ("certify.capabilities.databases", "certify.capabilities.stores")
        if ResourceKind.BLOB in kinds:
            yield "certify.capabilities.blobs"

    def run(self, plan: Plan) -> RunRecord:
        """Run one plan in a fresh world.

        Raises:
            LaboratoryError: the sandbox did not work.
            RequestError: the node cannot be imported or has no usable entry point.
        """
        self.signature()
        return self._executor.submit(self._record, plan).result()

    def run_all(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        """Run independent plans, several at a time; records come in the order of the plans."""
        self.signature()
        waiting: deque[Future[list[RunRecord]]] = deque()
        try:
            for batch in _batches(plans):
                waiting.append(self._executor.submit(lambda each: [self._record(plan) for plan in each], batch))
                if len(waiting) >= 2 * self._turnstile.limit:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def run_in_turn(self, plans: Iterable[Plan]) -> list[RunRecord]:
        """Run plans one after the other, those in a row with equal surroundings in one sandbox: it pins addresses."""
        self.signature()
        return self._executor.submit(self._in_turn, list(plans)).result()

    def remembered(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        """As `run_all`, but a plan that was asked for in this way before is not run again: its record is given again.

        Equal plans of one subject give equal records, so this is sound wherever a record is judged for what it holds.
        It is not for those who repeat a plan to see whether the records are equal, or to measure.
        """
        wanted = list(plans)
        missing = [plan for plan in dict.fromkeys(wanted) if plan not in self._memory]
        fresh = self.run_all(missing)
        for plan in wanted:
            while plan not in self._memory:
                record = next(fresh)
                self._memory[record.plan] = record
            yield self._memory[plan]

    # -- running ------------------------------------------------------------------------------------------------------

    def _record(self, plan: Plan) -> RunRecord:
        replies = self._raw(plan)
        return reading.record(plan, replies, self._subject)

    def _raw(self, plan: Plan, ask: _Ask = _CALL, *, limits: Limits | None = None) -> list[reading.Reply]:
        with self._turnstile.turn():
            sandbox = self._take(of_sandbox(plan.environment))
            healthy = False
            try:
                replies, healthy = self._drive(sandbox, plan, ask, limits=limits)
                return replies
            finally:
                self._give_back(sandbox, healthy=healthy)

    def _in_turn(self, plans: list[Plan]) -> list[RunRecord]:
        with self._turnstile.turn():
            return self._one_by_one(plans)

    def _one_by_one(self, plans: list[Plan]) -> list[RunRecord]:
        records: list[RunRecord] = []
        while len(records) < len(plans):
            environment = of_sandbox(plans[len(records)].environment)
            sandbox = self._take(environment)
            healthy = True
            try:
                while healthy and len(records) < len(plans):
                    plan = plans[len(records)]
                    if of_sandbox(plan.environment) != environment:
                        break
                    healthy = False
                    replies, healthy = self._drive(sandbox, plan)
                    records.append(reading.record(plan, replies, self._subject))
            finally:
                self._give_back(sandbox, healthy=healthy)
        return records

    def _drive(
        self,
        sandbox: Sandbox,
        plan: Plan,
        ask: _Ask = _CALL,
        *,
        limits: Limits | None = None,
    ) -> tuple[list[reading.Reply], bool]:
        """Run a plan in a sandbox; gives the account, and whether the sandbox can be used again."""
        try:
            run = _Run(sandbox, self._subject, limits or self._limits, plan, ask)
            replies = run.drive()
        except ChannelClosed as error:
            said = ""
            with contextlib.suppress(Exception):
                sandbox.kill()
                said = sandbox.output()
            raise LaboratoryError(f"the sandbox stopped answering ({error}){': ' + said if said else ''}") from error
        with self._lock:
            self.runs += 1
        return replies, run.healthy

    def _take(self, environment: Environment) -> Sandbox:
        while (sandbox := self._found(environment)) is not None:
            if self._is_up_to_date(sandbox):
                return sandbox
            self._give_back(sandbox, healthy=False)
        if environment == _USUAL:
            with contextlib.suppress(IndexError):
                self._coming.popleft().result()
                return self._take(environment)
        return self._started(environment)

    def _found(self, environment: Environment) -> Sandbox | None:
        with self._lock:
            if self._closed:
                raise LaboratoryError("the laboratory is closed")
            for sandbox in self._idle:
                if sandbox.environment == environment and sandbox.alive():
                    self._idle.remove(sandbox)
                    self._busy.add(sandbox)
                    return sandbox
        return None

    def _started(self, environment: Environment) -> Sandbox:
        sandbox = Sandbox(self._layout, environment)
        sandbox.ready = self._ready
        with self._lock:
            self._busy.add(sandbox)
        self._greet(sandbox)
        return sandbox

    def _greet(self, sandbox: Sandbox) -> None:
        manifest = self._subject.manifest
        try:
            sandbox.channel.send(
                {
                    "t": "hello",
                    "upstreams": [asdict(upstream) for upstream in self._layout.upstreams],
                    "clock": sandbox.environment.clock,
                    **sandbox.ready.to_data(),
                    "plugins": _has_pydantic_plugins(),
                    "filter": filters.watched(),
                    "entry": manifest.node.entry,
                    "input_type": manifest.input.type,
                    "output_type": manifest.output.type,
                    "manifest": self._subject.manifest_file,
                }
            )
            ready, cause = self._is_ready(sandbox), f"nothing heard for {_START_SECONDS:.0f} s"
        except ChannelClosed as error:
            ready, cause = False, str(error)
        if not ready:
            sandbox.kill()
            said = sandbox.output()
            self._give_back(sandbox, healthy=False)
            raise LaboratoryError(f"the sandbox did not start ({cause}){': ' + said if said else ''}")

    def _give_back(self, sandbox: Sandbox, *, healthy: bool) -> None:
        surplus: Sandbox | None = None
        with self._lock:
            self._busy.discard(sandbox)
            if healthy and not self._closed:
                self._idle.appendleft(sandbox)
                if len(self._idle) > max(self._most_idle, self._turnstile.peak):
                    surplus = next((each for each in reversed(self._idle) if each.environment != _USUAL), sandbox)
                    self._idle.remove(surplus)
            else:
                surplus = sandbox
        if surplus is not None:
            surplus.close()


class _Run:
    """Drives one plan through one sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        subject: Subject,
        limits: Limits,
        plan: Plan,
        ask: _Ask,
    ) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._plan = plan
        self._ask = ask
        self._processes = any(r.kind is ResourceKind.PROCESS for r in subject.manifest.resource)
        self._watches: dict[int, Watch] = {}
        self._replies: dict[int, dict[str, Any]] = {}
        self.healthy = False

    def drive(self) -> list[reading.Reply]:
        """Open a world, make the deliveries, close the world."""
        environment = asdict(self._plan.environment) | {"env": [list(pair) for pair in self._plan.environment.env]}
        faults = [asdict(fault) for fault in self._plan.faults]
        self._sandbox.surround(self._plan.environment)
        self._sandbox.channel.send({"t": "world", "environment": environment, "faults": faults})
        self._expect("world")
        pending = list(range(len(self._plan.deliveries)))
        held: int | None = None
        while pending:
            position = pending.pop(0)
            self._start(position)
            self._until(lambda p=position: p in self._replies or self._is_held(p), held=held)  # type: ignore[misc]  # the default binds the loop's value
            if held is not None:
                with self._suspended(position):
                    self._release(held)
                    self._until(lambda h=held: h in self._replies, held=held)  # type: ignore[misc]  # likewise
                self._until(lambda p=position, h=held: p in self._replies and h in self._replies)  # type: ignore[misc]  # likewise
                held = None
            elif self._is_held(position):
                held = position
        if held is not None:
            self._release(held)
            self._until(lambda h=held: h in self._replies)  # type: ignore[misc]  # likewise
        self._sandbox.channel.send({"t": "close"})
        closed = self._expect("closed")
        self.healthy = not any(reply.get("lost_supervisor") for reply in self._replies.values())
        return [
            reading.Reply(self._replies[i], self._watches.get(i), closed) for i in range(len(self._plan.deliveries))
        ]

    @contextlib.contextmanager
    def _suspended(self, position: int) -> Iterator[None]:
        """Stop a delivery that waits for the held one, so that which of the two goes on first is not up to the machine.

        Unless the other one then waits for it: it goes on when this ends.
        """
        watch = self._watches.get(position)
        process = watch.process if watch is not None and position not in self._replies else 0
        _signal(process, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(process, signal.SIGCONT)

    def _is_held(self, position: int) -> bool:
        watch = self._watches.get(position)
        return watch is not None and watch.held is not None

    def _release(self, position: int) -> None:
        watch = self._watches.get(position)
        if watch is not None:
            watch.interrupt = None
            watch.release()

    def _start(self, position: int) -> None:
        delivery = self._plan.deliveries[position]
        self._sandbox.channel.send(
            {
                "t": "start",
                "delivery": position,
                "input": delivery.input,
                "later": delivery.later,
                "seed": Entropy(self._plan.environment.random_seed, position).take(64),
                "observe": self._plan.observe.value,
                "limits": asdict(self._limits),
                **self._ask,
            }
        )

    def _expect(self, kind: str) -> dict[str, Any]:
        message = self._sandbox.channel.receive(_START_SECONDS)
        if message is None or message.get("t") != kind:
            raise ChannelClosed(f"expected {kind!r}")
        return message

    def _until(self, done: Callable[[], bool], *, held: int | None = None) -> None:
        """Serve the kernel's announcements and the supervisor's messages until `done`.

        While another delivery is held, this one gets a moment only: it may be waiting for what the held one has locked.
        The moment is time in which everything waits: on a busy machine, what only wants a processor has not had it.
        """
        began = time.monotonic()
        deadline = began + self._limits.wall * 2 + _GRACE_SECONDS
        waited = 0.0
        while not done():
            now = time.monotonic()
            if waited >= _PREEMPT_SECONDS or (held is not None and now - began >= _LONGEST_PREEMPT_SECONDS):
                return
            if now >= deadline:
                raise ChannelClosed("a delivery outlived its limit")
            watched = {w.descriptor: w for w in self._watches.values() if w.descriptor >= 0 and w.held is None}
            sources = [self._sandbox.channel.fileno(), self._sandbox.watch.fileno(), *watched]
            ready, _, _ = select.select(sources, [], [], _LOOK_SECONDS if held is not None else deadline - now)
            if held is not None and not ready and not self._sandbox.working():
                waited += _LOOK_SECONDS
            for source in ready:
                if source in watched:
                    self._serve(watched[source])
            if self._sandbox.watch.fileno() in ready:
                self._adopt()
            if self._sandbox.channel.fileno() in ready:
                message = self._sandbox.channel.receive()
                assert message is not None
                self._replies[int(message["delivery"])] = message
                self._drain(int(message["delivery"]))

    def _serve(self, watch: Watch) -> None:
        with contextlib.suppress(OSError):
            if _readable(watch.descriptor):
                watch.serve()
            else:
                watch.close()

    def _drain(self, position: int) -> None:
        """The process has ended: nothing more can come from its watch."""
        if position not in self._watches:
            while _readable(self._sandbox.watch.fileno()):
                self._adopt()
        if position in self._watches:
            self._watches[position].close()

    def _adopt(self) -> None:
        """Take the notification descriptor of a process that has just been started."""
        message, ancillary, _flags, _address = self._sandbox.watch.recvmsg(4, socket.CMSG_SPACE(4))
        descriptors = array.array("i")
        for _level, _kind, data in ancillary:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        if not message or not descriptors:
            raise ChannelClosed("the sandbox hung up")
        position = int.from_bytes(message, "little")
        if position in self._watches or position >= len(self._plan.deliveries):
            for descriptor in descriptors:
                os.close(descriptor)
            return
        self._watches[position] = Watch(
            descriptors[0],
            position,
            self._plan.deliveries[position].interrupt,
            self._processes,
            Entropy(self._plan.environment.random_seed, position, rewindable=self._plan.environment.earlier_calls > 0),
            self._sandbox.protected,
            FIRST_PID + self._plan.environment.pid_offset + position,
            self._plan.environment.cpu_count,
        )


@functools.cache
def _has_pydantic_plugins() -> bool:
    """Whether an installed package extends pydantic. What a sandbox sees is installed here, too."""
    return bool(metadata.entry_points(group="pydantic"))


def _signal(process: int, number: signal.Signals) -> None:
    if process:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _batches(plans: Iterable[Plan]) -> Iterator[tuple[Plan, ...]]:
    """What one worker does at a time: single plans, but for plans in a row that need the same unusual sandbox.

    To start a sandbox takes as long as several runs, so that two workers would only make two where one is enough.
    """
    for environment, group in itertools.groupby(plans, key=lambda plan: of_sandbox(plan.environment)):
        size = 1 if environment == _USUAL else _BATCH
        while batch := tuple(itertools.islice(group, size)):
            yield batch


def _readable(descriptor: int) -> bool:
    """Whether there is something to take: a notification descriptor whose process has gone only hangs up."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return any(events & select.POLLIN for _fd, events in poll.poll(0))


def _upstreams(manifest: Manifest) -> Iterator[Upstream]:
    """The manifest's `http` resources, each at a loopback address of its own."""
    for number, resource in enumerate(r for r in manifest.resource if r.kind is ResourceKind.HTTP):
        parts = urlsplit(resource.url or "")
        host = parts.hostname or ""
        numeric = host.replace(".", "").isdigit()
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = host if numeric and host.startswith("127.") else f"127.1.0.{number + _FIRST_ADDRESS}"
        if host == "localhost":
            address = "127.0.0.1"
        yield Upstream(resource.name, parts.scheme, host, port, address, resource.simulator)
