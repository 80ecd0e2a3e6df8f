"""The nursery: the process that deliveries are forked from. Its memory does not change from one to the next.

Rules this module keeps:

- what differs between two deliveries reaches the new process through descriptors, after it was forked: two deliveries
  of one plan begin with the same memory, byte for byte, and so with the same addresses;
- a delivery gets the process id that it is told, so that ids are as pinned as everything else;
- a delivery is a child of the nursery's parent, which waits for it.

Source of the call: clone(2).
"""

from __future__ import annotations

import ctypes
import gc
import os
import socket
from collections.abc import Callable
from typing import Final, Never

_CLONE3: Final = 435
_CLONE_PARENT: Final = 0x8000
_CLONE_CHILD_CLEARTID: Final = 0x200000
_CLONE_CHILD_SETTID: Final = 0x1000000
_PR_GET_TID_ADDRESS: Final = 40
FIRST_PID: Final = 20_000
_REHEARSALS: Final = 3
_NUMBER: Final = 8
_GIFTS: Final = 4


class _CloneArguments(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid",
            "set_tid_size", "cgroup",
        )
    )  # fmt: skip


class _Sibling:
    """Forks a process that has the caller's parent, and the wished-for process id."""

    def __init__(self) -> None:
        self._python = ctypes.pythonapi
        self._libc = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock: the child has it from the start
        self._wished = (ctypes.c_int32 * 1)()
        own = ctypes.c_void_p()
        ctypes.CDLL(None).prctl(_PR_GET_TID_ADDRESS, ctypes.byref(own), 0, 0, 0)
        flags = _CLONE_PARENT | ((_CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID) if own.value else 0)
        self._arguments = _CloneArguments(
            flags=flags,
            child_tid=own.value or 0,  # where the C library keeps the thread's id
            set_tid=ctypes.addressof(self._wished),
            set_tid_size=1,
        )
        self._size = ctypes.sizeof(self._arguments)
        self._pointer = ctypes.byref(self._arguments)

    def fork(self, pid: int) -> int:
        """As `os.fork`; any process id when the wished one is taken or may not be had.

        Raises:
            OSError: there is no process to be had.
        """
        self._wished[0] = pid
        self._arguments.set_tid_size = 1
        born = self._clone()
        if born < 0:
            self._arguments.set_tid_size = 0
            born = self._clone()
        if born < 0:
            raise OSError(ctypes.get_errno(), "clone3")
        return born

    def _clone(self) -> int:
        self._python.PyOS_BeforeFork()
        born = int(self._libc.syscall(_CLONE3, self._pointer, self._size))
        if born == 0:
            self._python.PyOS_AfterFork_Child()
        else:
            self._python.PyOS_AfterFork_Parent()
        return born


def serve(orders: int, live: Callable[[], Never]) -> Never:
    """Fork a process for each order, which calls `live`; until nobody orders."""
    sibling = _Sibling()
    gc.disable()  # when it collects depends on how many orders there were
    while _serve(orders, sibling, live):
        pass
    os._exit(0)


def _serve(orders: int, sibling: _Sibling, live: Callable[[], Never]) -> bool:
    """Serve one order; false when there are no more. What it allocates is given back when it returns."""
    message = os.read(orders, _NUMBER)
    if not message:
        return False
    pid = sibling.fork(int.from_bytes(message, "little"))
    if pid == 0:
        os.close(orders)
        gc.collect()  # and so the count begins anew
        gc.enable()
        live()
    os.write(orders, pid.to_bytes(_NUMBER, "little"))
    return True


class Nursery:
    """The supervisor's side of the nursery."""

    def __init__(self, live: Callable[[list[int]], Never], prepare: Callable[[], None]) -> None:
        self._orders, orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._gifts, gifts = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def unpack() -> Never:
            _message, descriptors, _flags, _address = socket.recv_fds(gifts, _NUMBER, _GIFTS)
            gifts.close()
            live(descriptors)

        self.pid = os.fork()
        if self.pid == 0:
            self._orders.close()
            self._gifts.close()
            prepare()
            serve(orders.detach(), unpack)
        orders.close()
        gifts.close()

    def bear(self, number: int, descriptors: list[int]) -> int:
        """A new child process that lives with these descriptors; its process id is `number` above the first.

        Raises:
            OSError: the nursery is gone.
        """
        socket.send_fds(self._gifts, [b"gift"], descriptors)
        self._orders.send((FIRST_PID + number).to_bytes(_NUMBER, "little"))
        answer = self._orders.recv(_NUMBER)
        if not answer:
            raise OSError("the nursery is gone")
        return int.from_bytes(answer, "little")

    def close(self) -> None:
        """End the nursery; there must be no delivery."""
        self._orders.close()
        self._gifts.close()
        os.waitpid(self.pid, 0)

    def rehearse(self) -> None:
        """Bear a few that end at once: what a first time allocates is allocated before it matters."""
        for _ in range(_REHEARSALS):
            nothing = [os.open(os.devnull, os.O_RDONLY) for _ in range(_GIFTS)]
            os.waitpid(self.bear(0, nothing), 0)
            for descriptor in nothing:
                os.close(descriptor)
