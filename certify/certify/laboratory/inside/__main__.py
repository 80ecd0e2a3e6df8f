"""The supervisor: the sandbox's first Python process. It never runs a line of the node's code itself.

It answers the laboratory's messages one by one:

- ``world``: empty the world, start the upstreams, remember the plan's parts;
- ``start``: fork a process for one delivery; ``finished`` is sent when it ends;
- ``close``: stop the upstreams and send the world's description and the exchanges.
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
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from certify.laboratory.channel import Channel, ChannelClosed
from certify.laboratory.inside import call, clock, typed, world
from certify.laboratory.inside.tape import Tape

_PR_SET_DUMPABLE: Final = 4
_STDERR_KEPT: Final = 4096
_OUTPUT_LIMIT: Final = 8 * 2**20


@dataclass(slots=True)
class _Running:
    """One delivery that has been started."""

    delivery: int
    pid: int
    pidfd: int
    tape: Tape
    output: int
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
        self._known_modules: set[str] = set()

    def run(self) -> None:
        """Serve."""
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        self._greet()
        while True:
            waiting = [self._channel.fileno(), *(running.pidfd for running in self._running.values())]
            now = time.monotonic()
            timeout = min([max(0.0, r.deadline - now) for r in self._running.values() if not r.exceeded], default=None)
            ready, _, _ = select.select(waiting, [], [], timeout)
            for running in list(self._running.values()):
                if running.pidfd in ready:
                    self._reap(running)
                elif time.monotonic() >= running.deadline and not running.exceeded:
                    running.exceeded = True
                    _kill_session(running.pid)
            if self._channel.fileno() in ready:
                self._serve()

    def _greet(self) -> None:
        """Take the laboratory's settings, listen, import what the node will import, and say that all is ready."""
        hello = self._channel.receive()
        assert hello is not None
        self._hello = hello
        if hello["upstreams"]:
            importlib.import_module("certify.laboratory.inside.upstream")
        for description in hello["upstreams"]:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((description["address"], description["port"]))
            listener.listen(128)
            self._sockets[description["name"]] = listener
        typed.warm_up()
        clock.freeze(hello["clock"])
        self._known_modules = set(sys.modules)
        for name in hello["preload"]:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()
        self._channel.send({"t": "ready", "pid": os.getpid()})

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
            case other:
                raise ChannelClosed(f"no message is called {other!r}")

    # -- worlds -------------------------------------------------------------------------------------------------------

    def _open_world(self, message: dict[str, Any]) -> None:
        self._world = message
        world.fresh(call.work_folder(message["environment"]), [u["name"] for u in self._hello["upstreams"]])
        self._current[:] = bytes(8)
        for _ in range(message["environment"]["pid_offset"]):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        if not self._hello["upstreams"]:
            return
        tape = Tape()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            self._forget()
            _redirect(os.open(os.devnull, os.O_WRONLY))
            call.drop_capabilities(ctypes.CDLL(None, use_errno=True))
            with contextlib.suppress(BaseException):
                from certify.laboratory.inside import upstream

                upstream.run(
                    self._hello["upstreams"], self._sockets, message["faults"], tape,
                    lambda: int.from_bytes(self._current[:], "little"), lambda: os.close(write),
                )  # fmt: skip
            os._exit(1)
        os.close(write)
        os.read(read, 1)
        os.close(read)
        self._upstream = (pid, tape)

    def _close_world(self) -> dict[str, Any]:
        account: list[dict[str, Any]] = []
        lost = 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # strays of the node: everything in the sandbox but its init and this process
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
        request = self._world | self._hello | message | {"work": str(call.work_folder(self._world["environment"]))}
        request["known_modules"] = self._known_modules
        tape = Tape()
        output = os.memfd_create("output")
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._child(request, tape, output)
        running = _Running(
            message["delivery"], pid, os.pidfd_open(pid), tape, output, began + request["limits"]["wall"], began
        )
        self._running[message["delivery"]] = running

    def _child(self, request: dict[str, Any], tape: Tape, output: int) -> None:
        try:
            os.setsid()
            _redirect(output)
            for listener in self._sockets.values():
                listener.close()
            self._channel.close()
            call.run(request, tape, self._watch, request["filter"])
        except BaseException as error:
            with contextlib.suppress(BaseException):
                tape.append({"t": "trouble", "what": f"laboratory: {error!r}"})
            os._exit(70)
        os._exit(0)

    def _forget(self) -> None:
        self._channel.close()
        self._watch.close()

    def _reap(self, running: _Running) -> None:
        del self._running[running.delivery]
        _kill_session(running.pid)
        _pid, status, used = os.wait4(running.pid, 0)
        os.close(running.pidfd)
        size = os.lseek(running.output, 0, os.SEEK_END)
        os.lseek(running.output, max(0, size - _STDERR_KEPT), os.SEEK_SET)
        said = os.read(running.output, _STDERR_KEPT)
        os.close(running.output)
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
            }
        )
        running.tape.close()


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


if __name__ == "__main__":
    main()
