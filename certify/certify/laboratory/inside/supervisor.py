"""The supervisor, the parent of all that runs in the sandbox. It never runs a line of the node's code itself.

It answers the laboratory's messages one by one:

- ``world``: empty the world, start the upstreams, remember the plan's parts;
- ``start``: have a process forked for one delivery; ``finished`` is sent when it ends;
- ``close``: stop the upstreams and send the world's description and the exchanges;
- ``preload``: import modules and compile texts, so that later deliveries begin with them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import mmap
import os
import resource
import select
import signal
import socket
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Never

import cbor2

from certify.laboratory.channel import Channel, ChannelClosed
from certify.laboratory.inside import call, clock, compiled, typed, world
from certify.laboratory.inside.modules import Loaded
from certify.laboratory.inside.nursery import Nursery
from certify.laboratory.inside.tape import Tape

_PR_SET_DUMPABLE: Final = 4
_NODE: Final = Path("/node")
_FAILED: Final = 70
_STDERR_KEPT: Final = 4096
_TRACE_KEPT: Final = 16384
_LAST_WORDS_SECONDS: Final = 0.25
_FOREVER_SECONDS: Final = 86_400.0
_DYING_SECONDS: Final = 10.0
_REAPING_SECONDS: Final = 0.001
_OUTPUT_LIMIT: Final = 8 * 2**20


@dataclass(slots=True)
class _Running:
    """One delivery that has been started."""

    delivery: int
    pid: int
    pidfd: int
    tape: Tape
    output: int
    trace: int
    deadline: float
    began: float
    exceeded: bool = False


class Supervisor:
    """Serves the laboratory until it hangs up."""

    def __init__(self, channel: Channel, watch: socket.socket) -> None:
        self._channel = channel
        self._watch = watch
        self._sockets: dict[str, socket.socket] = {}
        self._running: dict[int, _Running] = {}
        self._hello: dict[str, Any] = {}
        self._world: dict[str, Any] = {}
        self._upstream: tuple[int, Tape] | None = None
        self._current = mmap.mmap(-1, 8)
        self._greeted_with: frozenset[str] = frozenset()
        self._loaded = Loaded()
        self._preloaded: frozenset[str] = frozenset()
        self._mounted = world.mounted()
        self._nursery: Nursery | None = None
        self._codes = compiled.Codes()

    def run(self) -> None:
        """Serve."""
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        self._greet()
        while True:
            waiting = [self._channel.fileno(), *(running.pidfd for running in self._running.values())]
            now = time.monotonic()
            timeout = min([max(0.0, r.deadline - now) for r in self._running.values()], default=None)
            ready, _, _ = select.select(waiting, [], [], timeout)
            for running in list(self._running.values()):
                if running.pidfd in ready:
                    self._reap(running)
                elif time.monotonic() >= running.deadline:
                    self._end(running)
            if self._channel.fileno() in ready:
                self._serve()

    def _greet(self) -> None:
        """Take the laboratory's settings, listen, import what the node will import, and say that all is ready."""
        hello = self._channel.receive()
        assert hello is not None
        self._hello = hello
        for description in hello["upstreams"]:
            from certify.laboratory.inside import upstream

            upstream.certified(description["name"], description["scheme"], description["host"])
            # asyncio sends at once only through sockets that name their protocol
            listener = socket.socket(proto=socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((description["address"], description["port"]))
            listener.listen(128)
            self._sockets[description["name"]] = listener
        typed.warm_up(plugins=hello["plugins"])
        clock.freeze(hello["clock"])
        self._greeted_with = Loaded().names
        self._preload(hello["preload"], hello["texts"])

    def _preload(self, names: list[str], texts: list[str]) -> None:
        """Import and compile what the node will, and have deliveries forked from what has it."""
        if self._nursery is not None:
            self._nursery.close()
        self._codes = compiled.read(_NODE, texts)
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        provide = sys.modules.get("certify.laboratory.inside.provide")
        if provide is not None:  # the node takes a context
            provide.declared(self._hello["manifest"])
        self._loaded = Loaded()
        self._preloaded = self._loaded.names - self._greeted_with
        gc.collect()
        gc.freeze()
        self._nursery = Nursery(self._live, self._forget)
        gc.enable()
        self._nursery.rehearse()
        self._channel.send({"t": "ready", "protected": [os.getpid(), self._nursery.pid]})

    def _serve(self) -> None:
        message = self._channel.receive()
        assert message is not None
        match message["t"]:
            case "world":
                self._open_world(message)
                self._channel.send({"t": "world"})
            case "start":
                self._start(message)
            case "close":
                self._channel.send(self._close_world())
            case "preload":
                self._preload(message["preload"], message["texts"])
            case other:
                raise ChannelClosed(f"no message is called {other!r}")

    # -- worlds -------------------------------------------------------------------------------------------------------

    def _open_world(self, message: dict[str, Any]) -> None:
        self._world = message
        names = [upstream["name"] for upstream in self._hello["upstreams"]]
        world.fresh(call.work_folder(message["environment"]), names, self._mounted)
        self._current[:] = bytes(8)
        if not self._hello["upstreams"]:
            return
        tape = Tape()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            self._channel.close()
            self._watch.close()
            _redirect(os.open(os.devnull, os.O_WRONLY))
            call.drop_capabilities(ctypes.CDLL(None, use_errno=True))
            with contextlib.suppress(BaseException):
                from certify.laboratory.inside import upstream

                compiled.use(self._codes)
                upstream.run(
                    self._hello["upstreams"], self._sockets, message["faults"], Tape.opened(tape.descriptor),
                    self._loaded, lambda: int.from_bytes(self._current[:], "little"), lambda: os.close(write),
                )  # fmt: skip
            os._exit(1)
        os.close(write)
        os.read(read, 1)
        os.close(read)
        self._upstream = (pid, tape)

    def _close_world(self) -> dict[str, Any]:
        account: list[dict[str, Any]] = []
        lost = 0
        self._kill_strays()
        if self._upstream is not None:
            pid, tape = self._upstream
            os.waitpid(pid, 0)
            account, lost = list(tape), tape.lost
            tape.close()
            self._upstream = None
        described = world.describe(call.work_folder(self._world["environment"]))
        return {"t": "closed", "world": described, "account": account, "lost": lost}

    # -- deliveries ---------------------------------------------------------------------------------------------------

    def _start(self, message: dict[str, Any]) -> None:
        self._current[:] = int(message["delivery"]).to_bytes(8, "little")
        assert self._nursery is not None
        tape = Tape()
        output, order, trace = (os.memfd_create(name) for name in ("output", "order", "trace"))
        with os.fdopen(os.dup(order), "wb") as file:
            cbor2.dump(self._world | message, file)
        began = time.monotonic()
        number = int(self._world["environment"]["pid_offset"]) + int(message["delivery"])
        pid = self._nursery.bear(number, [tape.descriptor, output, order, trace])
        os.close(order)
        running = _Running(
            message["delivery"], pid, os.pidfd_open(pid), tape, output, trace, began + message["limits"]["wall"], began
        )
        self._running[message["delivery"]] = running

    def _live(self, descriptors: list[int]) -> Never:
        """A delivery's whole life, in its own process."""
        tape_descriptor, output, order, trace = descriptors
        if stat.S_ISCHR(os.fstat(order).st_mode):
            os._exit(0)  # a rehearsal
        tape = Tape.opened(tape_descriptor)
        try:
            os.setsid()
            _redirect(output)
            os.lseek(order, 0, os.SEEK_SET)
            with os.fdopen(order, "rb") as file:
                request = self._hello | cbor2.load(file)
            os.close(output)
            request["preloaded"], request["loaded"] = self._preloaded, self._loaded
            request["codes"] = self._codes
            request["work"] = str(call.work_folder(request["environment"]))
            call.run(request, tape, self._watch, trace)
        except BaseException as error:
            with contextlib.suppress(BaseException):
                tape.append({"t": "trouble", "what": f"laboratory: {error!r}"})
            os._exit(_FAILED)
        os._exit(0)

    def _forget(self) -> None:
        """What a process that serves the node must not have: the supervisor's own ends."""
        self._channel.close()
        for listener in self._sockets.values():
            listener.close()

    def _kill_strays(self) -> None:
        """Kill what the node left behind: everything in the sandbox but its init, this process and the nursery.

        Nothing of it can start another process by now: nobody answers its announcements any more.
        """
        assert self._nursery is not None
        kept = {1, os.getpid(), self._nursery.pid}
        deadline = time.monotonic() + _DYING_SECONDS
        while time.monotonic() < deadline:
            strays = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and int(p.name) not in kept]
            if self._upstream is not None and strays == [self._upstream[0]]:
                os.kill(self._upstream[0], signal.SIGKILL)  # it stays until it is waited for
                return
            if not strays:
                return
            for pid in strays:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_REAPING_SECONDS)

    def _end(self, running: _Running) -> None:
        """End what is over its time: first it may say where it is, a moment later it is killed."""
        if running.exceeded:
            running.deadline = time.monotonic() + _FOREVER_SECONDS
            _kill_session(running.pid)
            return
        running.exceeded = True
        running.deadline = time.monotonic() + _LAST_WORDS_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, call.LAST_WORDS)

    def _reap(self, running: _Running) -> None:
        del self._running[running.delivery]
        _kill_session(running.pid)
        _pid, status, used = os.wait4(running.pid, 0)
        os.close(running.pidfd)
        said, trace = _tail(running.output, _STDERR_KEPT), _tail(running.trace, _TRACE_KEPT)
        self._channel.send(
            {
                "t": "finished",
                "delivery": running.delivery,
                "records": list(running.tape),
                "lost": running.tape.lost,
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
                "status": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
                "exceeded": running.exceeded,
                "wall": time.monotonic() - running.began,
                "cpu": used.ru_utime + used.ru_stime,
                "memory": used.ru_maxrss * 1024,
                "output": said,
                "trace": trace,
            }
        )
        running.tape.close()


def _tail(descriptor: int, length: int) -> bytes:
    """The last bytes of a file in memory, which is closed."""
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, length, max(0, size - length))
    os.close(descriptor)
    return data


def _redirect(output: int) -> None:
    os.dup2(output, 1)
    os.dup2(output, 2)


def _kill_session(pid: int) -> None:
    """Kill a delivery's process and whatever it started: its process group is its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Serve on the two descriptors named on the command line."""
    control, watch = (socket.socket(fileno=int(text)) for text in sys.argv[1:3])
    for end in (control, watch):
        end.set_inheritable(False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ChannelClosed):
        Supervisor(Channel(control), watch).run()
