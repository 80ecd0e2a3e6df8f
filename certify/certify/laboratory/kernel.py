"""What the kernel tells: announced system calls of a node's process, as events, counts and interruptions.

Rules this module keeps:

- observation only reads the process's memory, which it may change behind our back; so nothing is *allowed* on what was
  read. What must not happen is prevented by the namespaces, or decided on registers alone (new processes);
- writes to pipes and event descriptors are the process talking to itself: passed on, not counted;
- an answer to a process that is gone is no error.

Source of the protocol: seccomp_unotify(2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import signal
import struct
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from certify.laboratory import filters
from certify.laboratory.record import Event, EventKind, Interrupt

_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_CONTINUE: Final = 1
_NOTIFICATION: Final = struct.Struct("=QIIiIQ6Q")
_ANSWER: Final = struct.Struct("=QqiI")
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_WRITE_LOCK: Final = struct.pack("=h", 1)
_AT_FDCWD: Final = 0xFFFFFF9C
_WORD: Final = 8
#: Folders that the node may write to; everything else is read-only.
WRITABLE: Final = ("/world", "/tmp", "/dev/shm", "/dev/null", "/dev/tty")  # noqa: S108 - inside the sandbox


#: A delivery that may start processes starts at most so many.
MOST_PROCESSES: Final = 256


class Entropy:
    """The pinned stream of one delivery: SHAKE-256 of the environment's seed and the delivery's number.

    The stream of a delivery with earlier calls in its process is `rewindable`: the last call gets the bytes that the
    first one got.
    """

    def __init__(self, seed: int, delivery: int, *, rewindable: bool = False) -> None:
        self._root = f"certify laboratory entropy {seed} {delivery}".encode()
        self._block = 0
        self._marked = 0
        self._rewindable = rewindable

    def take(self, count: int) -> bytes:
        """The next so many bytes."""
        self._block += 1
        return hashlib.shake_256(self._root + self._block.to_bytes(8, "little")).digest(count)

    def turn(self, flags: int) -> bool:
        """Mark the place in the stream, or go back to the mark, if that is what the flags of `getrandom` ask for."""
        if not self._rewindable or flags not in {filters.MARK_ENTROPY, filters.REWIND_ENTROPY}:
            return False
        if flags == filters.MARK_ENTROPY:
            self._marked = self._block
        self._block = self._marked
        return True


@dataclass(slots=True)
class Watch:
    """The watch over one delivery's process.

    Attributes:
        descriptor: the notification descriptor.
        may_start_processes: whether the manifest declares a `process` resource.
        protected: process ids inside the sandbox that no signal may reach.
        process: the id, outside the sandbox, of the process or of its thread that announced a call last; 0 before.
        own: the process's id inside the sandbox, which it may signal; 0 when it is not known.
        started: processes that it has started or tried to start.
        counted: effectful calls so far.
        held: the identifier of the call at which the process is held, if it is.
        crashed: whether the planned crash has happened.
        entropy: what the process gets when it asks for random bytes.
        processors: how many processors it is told that it may use: the first ones, whichever it really runs on.
    """

    descriptor: int
    delivery: int
    interrupt: Interrupt | None
    may_start_processes: bool
    entropy: Entropy
    protected: frozenset[int] = frozenset({1})
    own: int = 0
    processors: int = 1
    process: int = 0
    started: int = 0
    counted: int = 0
    held: int | None = None
    crashed: bool = False
    events: list[Event] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def close(self) -> None:
        """Let go of the process."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def serve(self) -> None:
        """Take one announced call, record it, and answer it, hold it, or kill the process there."""
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self.descriptor, _RECEIVE, buffer)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINTR}:
                return
            raise
        identifier, pid, _flags, number, _arch, _pointer, *arguments = _NOTIFICATION.unpack(buffer)
        self.process = pid
        call = filters.numbers().get(number, f"system call {number}")
        if call == "getrandom":
            self._provide_entropy(identifier, pid, arguments)
            return
        if call == "sched_getaffinity":
            self._tell_processors(identifier, pid, arguments)
            return
        if not self._effectful(call, pid, arguments):
            self._answer(identifier)
            return
        position, self.counted = self.counted, self.counted + 1
        if self.interrupt is not None and position == self.interrupt.at:
            if self.interrupt.action == "crash":
                self.crashed = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            else:
                self.held = identifier
            return
        self._let(identifier, call, pid, arguments)

    def _let(self, identifier: int, call: str, pid: int, arguments: list[int]) -> None:
        denied = self._record(call, pid, arguments)
        self._answer(identifier, errno.EPERM if denied else 0)

    def _provide_entropy(self, identifier: int, pid: int, arguments: list[int]) -> None:
        """Answer a call for entropy from the pinned stream: `os.urandom`, OpenSSL and native code alike."""
        if self.entropy.turn(arguments[2]):
            self._answer(identifier, value=0)
            return
        self._note(EventKind.RANDOM, "getrandom", "getrandom")
        self._give(identifier, pid, self.entropy.take(min(arguments[1], 2**20)), arguments[0])

    def _tell_processors(self, identifier: int, pid: int, arguments: list[int]) -> None:
        """Answer a call for the set of processors: sched_setaffinity(2)."""
        if arguments[1] % _WORD or not arguments[1]:
            self._answer(identifier, errno.EINVAL)
            return
        first = (1 << self.processors) - 1
        self._give(identifier, pid, first.to_bytes(_WORD, sys.byteorder), arguments[2])

    def _give(self, identifier: int, pid: int, given: bytes, pointer: int) -> None:
        """Answer a call with bytes for the process's memory, and their number."""
        try:
            memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        except OSError:
            self._answer(identifier, errno.ENOSYS)
            return
        try:
            os.pwrite(memory, given, pointer)
        except (OSError, OverflowError):
            self._answer(identifier, errno.EFAULT)
        else:
            self._answer(identifier, value=len(given))
        finally:
            os.close(memory)

    def release(self) -> None:
        """Let a held process go on."""
        if self.held is not None:
            identifier, self.held = self.held, None
            self._answer(identifier)

    def _answer(self, identifier: int, error: int = 0, value: int | None = None) -> None:
        answer = _ANSWER.pack(identifier, value or 0, -error, 0 if error or value is not None else _CONTINUE)
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.descriptor, _SEND, bytearray(answer))

    def _effectful(self, call: str, pid: int, arguments: list[int]) -> bool:
        if call == "fcntl":
            return _memory(pid, arguments[2], 2) == _WRITE_LOCK
        if call in filters.DESCRIPTOR_CALLS or call in filters.SEND_CALLS:
            target = _link(f"/proc/{pid}/fd/{arguments[0]}")
            return not target.startswith(("pipe:", "anon_inode:", "/memfd:", "/dev/null"))
        return True

    def _record(self, call: str, pid: int, arguments: list[int]) -> bool:
        """Note the call; whether it is denied."""
        if call in filters.PROCESS_CALLS:
            program = _text(pid, arguments[0 if call == "execve" else 1]) if call.startswith("execve") else call
            self._note(EventKind.PROCESS, program, call)
            self.started += 1
            denied = not self.may_start_processes or self.started > MOST_PROCESSES
            if denied:
                self._note(EventKind.VIOLATION, program, call, limit="process")
            return denied
        if call in filters.SIGNAL_CALLS:
            return self._signal(call, arguments)
        if call == "connect":
            self._address(pid, call, arguments[1], arguments[2])
        elif call == "sendto" and arguments[4]:
            self._address(pid, call, arguments[4], arguments[5])
        elif call in {"open", "openat", *filters.PATH_CALLS}:
            self._path(pid, call, arguments)
        return False

    def _signal(self, call: str, arguments: list[int]) -> bool:
        """Note a signal; whether it is denied: everybody but a child process that the node may have is out of reach."""
        target = struct.unpack("=i", struct.pack("=I", arguments[0] & 0xFFFFFFFF))[0]
        if (
            arguments[1] == 0
            or target == self.own
            or (self.may_start_processes and target > 0 and target not in self.protected)
        ):
            return False
        self._note(EventKind.VIOLATION, f"signal {arguments[1]}", call, limit="signal")
        return True

    def _address(self, pid: int, call: str, pointer: int, length: int) -> None:
        raw = _memory(pid, pointer, min(length & 0xFFFFFFFF, 128))
        target, loopback = describe_address(raw)
        if not target:
            return
        self._note(EventKind.CONNECT, target, call)
        if not loopback:
            self._note(EventKind.VIOLATION, target, call, limit="network")

    def _path(self, pid: int, call: str, arguments: list[int]) -> None:
        folder, position = (None, 0) if call == "open" else (0, 1) if call == "openat" else filters.PATH_CALLS[call]
        path = _text(pid, arguments[position])
        if not path.startswith("/"):
            descriptor = None if folder is None else arguments[folder] & 0xFFFFFFFF
            base = "cwd" if descriptor is None or descriptor == _AT_FDCWD else f"fd/{descriptor}"
            path = os.path.normpath(f"{_link(f'/proc/{pid}/{base}')}/{path}")
        path = os.path.normpath(path)
        if path in {"/dev/null", "/dev/tty"}:
            return
        self._note(EventKind.WRITE, path, call)
        if not any(path == folder or path.startswith(folder + "/") for folder in WRITABLE):
            self._note(EventKind.VIOLATION, path, call, limit="file system")

    def _note(self, kind: EventKind, target: str, call: str, **detail: Any) -> None:
        if (kind, target) not in self._seen:
            self._seen.add((kind, target))
            detail["call"] = call
            self.events.append(Event(kind, target, self.delivery, detail, via="kernel"))


def _memory(pid: int, pointer: int, length: int) -> bytes:
    try:
        descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, length, pointer)
    except (OSError, OverflowError):
        return b""
    finally:
        os.close(descriptor)


def _text(pid: int, pointer: int) -> str:
    """The path at this address: read to the end of its page first, since the next may not be mapped."""
    first = 4096 - pointer % 4096
    raw = _memory(pid, pointer, first)
    if b"\0" not in raw:
        raw += _memory(pid, pointer + first, 4096)
    return raw.split(b"\0", 1)[0].decode(errors="surrogateescape").encode(errors="replace").decode(errors="replace")


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def describe_address(raw: bytes) -> tuple[str, bool]:
    """The address in a `sockaddr` as text (``host:port`` or a path), and whether it stays on the sandbox's loopback."""
    if len(raw) < 2:
        return "", True
    (family,) = struct.unpack_from("=H", raw)
    if family == _AF_INET and len(raw) >= 8:
        (port,) = struct.unpack_from(">H", raw, 2)
        octets = raw[4:8]
        return f"{'.'.join(map(str, octets))}:{port}", octets[0] in {127, 0}
    if family == _AF_INET6 and len(raw) >= 24:
        import ipaddress

        (port,) = struct.unpack_from(">H", raw, 2)
        address = ipaddress.IPv6Address(raw[8:24])
        mapped = address.ipv4_mapped
        return f"[{address}]:{port}", address.is_loopback or (mapped is not None and mapped.is_loopback)
    if family == _AF_UNIX:
        return f"unix:{raw[2:].lstrip(bytes(1)).split(bytes(1), 1)[0].decode(errors='replace')}", True
    return "", True
