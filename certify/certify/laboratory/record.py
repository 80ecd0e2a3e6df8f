"""What the laboratory is asked for and what it answers: plans and records, as values.

Rules this module keeps:

- a `Plan` says everything that decides what a run does; equal plans of equal subjects give equal records,
  but for what `RunRecord.volatile` holds (times, memory, process ids);
- a record is data: it can be stored as canonical CBOR, and read back equal.

A *world* is what outlives one call: the node's working folder, its stores, and the state of its simulated upstreams.
A plan is a list of deliveries into one fresh world, each in a process of its own, so that what a node remembers in
memory is forgotten between two deliveries, as it is between two workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from certify_spec.diagnostics import Place


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything about the surroundings that the laboratory pins. Each field is one factor of determinism.

    Attributes:
        hash_seed: PYTHONHASHSEED.
        clock: the wall clock, frozen, in whole seconds since 1970; the monotonic clock always runs.
        random_seed: the seed of all entropy (`/dev/urandom`, `getrandom`).
        timezone: TZ.
        locale: LANG and LC_ALL.
        hostname: the machine's name.
        pid_offset: by how much the node's process id is above the usual one.
        cwd: name of the working folder below `/`.
        env: further environment variables.
        aslr: whether the address space is laid out at random, and small objects within it.
        cpu_count: processors that the node may use.
        threads: the interpreter's switch interval in seconds; below the usual 0.005, it is also the seed of short
            pauses in the node's threads.
        directory_order: the seed of the order in which the laboratory creates files.
        earlier_calls: calls with the same input that the process has made before; what they gave is not looked at.
    """

    hash_seed: int = 0
    clock: int = 1_767_225_600
    random_seed: int = 0
    timezone: str = "UTC"
    locale: str = "C.UTF-8"
    hostname: str = "laboratory"
    pid_offset: int = 0
    cwd: str = "work"
    env: tuple[tuple[str, str], ...] = ()
    aslr: bool = False
    cpu_count: int = 1
    threads: float = 0.005
    directory_order: int = 0
    earlier_calls: int = 0


def planted(variable: str) -> str:
    """The value that the laboratory gives to an environment variable that a manifest names."""
    return f"laboratory-{variable.lower()}"


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that the laboratory gives in an upstream's place.

    Attributes:
        kind: ``status`` (with `status`, `headers`, `body`), ``timeout`` (accepts and never answers), ``slow`` (a
            correct answer, one byte at a time, for at least `seconds`), ``malformed`` (status 200, a body that is not
            what it says it is), ``truncated`` (fewer bytes than announced; `body` gives them), ``reset_before``,
            ``reset_during``, ``reset_after`` (the connection is reset before the upstream sees the request, or after
            it has acted on it: half-way through its answer, or before it), ``redirect`` (to a host nobody declared),
            ``tls`` (a certificate of another host).
        requests: which requests of the run to this upstream, counting from 0, get it; empty for all.
    """

    upstream: str
    kind: Literal[
        "status",
        "timeout",
        "slow",
        "malformed",
        "truncated",
        "content_type",
        "reset_before",
        "reset_during",
        "reset_after",
        "redirect",
        "tls",
    ]
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    requests: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Interrupt:
    """What happens to a delivery at its `at`-th effectful system call, counting from 0.

    Taking a lock to write counts too: it is where two deliveries may pass each other.

    Attributes:
        at: the position; the call itself has not happened yet.
        action: ``crash`` kills the process there; ``preempt`` holds it there until the next delivery has finished (or
            cannot go on), and then lets both finish.
    """

    at: int
    action: Literal["crash", "preempt"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One call of the node.

    Attributes:
        input: its input as JSON text.
        interrupt: what happens to it on the way, if anything.
        later: whole seconds by which the wall clock is ahead of the environment's `clock`. It holds for Python's
            clocks; what native code asks of the system, and the upstreams, stay at the environment's.
    """

    input: bytes
    interrupt: Interrupt | None = None
    later: int = 0


class Observe(StrEnum):
    """How closely a run is watched. Each level adds to the one before, and costs more."""

    EFFECTS = "effects"
    """Audit events, system calls, upstream requests, capabilities."""
    CALLS = "calls"
    """And every call of a C function that reads the clock, entropy, the environment or the process: with its line."""
    LINES = "lines"
    """And the values of local variables at each line of the node's own files: to find where two runs part."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the laboratory shall run."""

    deliveries: tuple[Delivery, ...]
    environment: Environment = Environment()
    faults: tuple[Fault, ...] = ()
    observe: Observe = Observe.EFFECTS


class EventKind(StrEnum):
    """What an event is about. The names match the manifest's resource kinds where one covers it."""

    CONNECT = "connect"
    """A socket was connected: target is `host:port`, or a path."""
    RESOLVE = "resolve"
    """A host name was looked up."""
    REQUEST = "request"
    """An upstream received a request: target is `resource METHOD path`."""
    READ = "read"
    """A file outside the interpreter and the node's own folder was opened for reading."""
    WRITE = "write"
    """A file was opened for writing, created, renamed or removed."""
    DATABASE = "database"
    """A database was opened."""
    PROCESS = "process"
    """A process was started, or one was attempted."""
    CLOCK = "clock"
    RANDOM = "random"
    ENV = "env"
    HOST = "host"
    """Host name, process id, user, working folder, processor count, locale or time zone were read."""
    LISTING = "listing"
    """A folder was listed: its order is the file system's."""
    IDENTITY = "identity"
    """`id()` or the default `repr`: an address."""
    THREAD = "thread"
    IMPORT = "import"
    """A module was imported: target is its name."""
    NATIVE = "native"
    """Native code was loaded through ctypes or cffi."""
    CAPABILITY = "capability"
    """The node's context was used: target is `kind.name`, detail has `operation`, `mode`, `key`, `value`."""
    VIOLATION = "violation"
    """The sandbox denied something: detail has `limit`."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a run did.

    Attributes:
        kind: what it is about.
        target: of what: a path, a host, a function's dotted name.
        delivery: which delivery did it.
        detail: more, by name.
        place: the innermost line of the node's own files that led to it; None when none did.
        via: who saw it: ``audit``, ``kernel``, ``call``, ``context`` or ``upstream``.
        importing: whether it happened while the node's module was being imported.
    """

    kind: EventKind
    target: str
    delivery: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None
    via: str = "audit"
    importing: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that reached an upstream, and its answer.

    `acted` says whether the simulator saw it (a fault may answer in its place). `at` is when the request had been read,
    in seconds since the world was opened; it is never compared. A handshake that `tls` spoilt has no method.
    """

    resource: str
    delivery: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    status: int
    answer: bytes
    acted: bool
    fault: str = ""
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Returned:
    """The node returned; `output` is its value as canonical CBOR, `json` the same as JSON text."""

    output: bytes
    json: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """The node raised. `bases` are the class names of the exception and its bases; `frames` the node's own lines."""

    type: str
    message: str
    bases: tuple[str, ...]
    frames: tuple[Place, ...]
    rejected: bool = False
    """True when the input was refused by its type before the node was called."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """The process ended before it answered: by a planned crash, or by `signal`, or with `status`."""

    planned: bool
    signal: int = 0
    status: int = 0


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit ended the run: ``wall``, ``cpu`` or ``memory``."""

    limit: Literal["wall", "cpu", "memory"]


@dataclass(frozen=True, slots=True)
class Unencodable:
    """The node returned something that has no canonical form; `reason` says what."""

    reason: str


Outcome = Returned | Raised | Crashed | Exceeded | Unencodable


@dataclass(frozen=True, slots=True)
class Usage:
    """What one delivery used, as measured by the kernel; `at` is the node's line at which it was ended, if it was."""

    wall: float
    cpu: float
    memory: int
    at: Place | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the node that was reached, with its local variables' values; `thread` counts from the main one."""

    place: Place
    function: str
    values: Mapping[str, str]
    thread: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """What is left after the last delivery, in a form that can be compared.

    Attributes:
        files: digest of every file in the working folder by path, databases left out.
        databases: every table of every SQLite file, by path: its rows, sorted, each as text. Those of simulated
            upstreams are below ``upstream/``, as are their files.
        texts: content of those files that are UTF-8 text of at most 64 KiB, by path.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What happened.

    Attributes:
        outcomes: one for each delivery, in the plan's order.
        effectful_calls: number of effectful system calls of each delivery: the places where `Interrupt.at` can point.
        usage: of each delivery; never compared.
        steps: with `Observe.LINES`, of each delivery.
        stderr: the last 4 KiB of what the node wrote to standard output and standard error; never compared.
        modules: names of the modules that the run imported, beyond what the laboratory itself uses.
        incomplete: why this record does not tell everything, empty when it does. An incomplete record never passes a
            check.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    events: tuple[Event, ...]
    exchanges: tuple[Exchange, ...]
    world: World
    effectful_calls: tuple[int, ...]
    usage: tuple[Usage, ...] = ()
    steps: tuple[tuple[Step, ...], ...] = ()
    stderr: str = ""
    modules: tuple[str, ...] = ()
    incomplete: str = ""
