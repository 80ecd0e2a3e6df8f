"""System-call filters, built here as BPF programs and loaded in the sandbox.

Two programs:

- `base()` holds for everything in the sandbox: kernel interfaces that no node needs are refused.
- `watched()` holds for the node's process alone: `clone3` does not exist, so that `clone`'s flags can be judged; every
  effectful system call is announced to the laboratory before it happens, and so is every call for entropy and for the
  processors it may use, which the laboratory answers itself. It observes with it, counts with it, and interrupts with
  it; *denying* is the namespaces' work, except for new processes, whose arguments are registers and cannot be changed
  behind the laboratory's back.
"""

from __future__ import annotations

import errno
import os
import tempfile
from functools import cache
from typing import Final

#: System calls that create or change files by name: positions of the folder's descriptor (or None) and of the path.
PATH_CALLS: Final[dict[str, tuple[int | None, int]]] = {
    "creat": (None, 0),
    "rename": (None, 1),
    "renameat": (2, 3),
    "renameat2": (2, 3),
    "unlink": (None, 0),
    "unlinkat": (0, 1),
    "mkdir": (None, 0),
    "mkdirat": (0, 1),
    "rmdir": (None, 0),
    "link": (None, 1),
    "linkat": (2, 3),
    "symlink": (None, 1),
    "symlinkat": (1, 2),
    "truncate": (None, 0),
    "chmod": (None, 0),
    "fchmodat": (0, 1),
    "mknod": (None, 0),
    "mknodat": (0, 1),
}
#: System calls on an open descriptor that change what others can see.
DESCRIPTOR_CALLS: Final = (
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "sendfile",
    "copy_file_range",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
)
#: System calls that send to a socket.
SEND_CALLS: Final = ("sendto", "sendmsg", "sendmmsg")
#: System calls that take a lock on a file. Taking one to write is where two processes may pass each other: it is
#: counted, though it changes nothing.
LOCK_CALLS: Final = ("fcntl", "flock")
#: Commands of fcntl that take or give back a lock: F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW.
_LOCK_COMMANDS: Final = (6, 7, 37, 38)
_LOCK_EXCLUSIVE: Final = 2
#: System calls that start a process.
PROCESS_CALLS: Final = ("fork", "vfork", "clone", "execve", "execveat")
#: Calls that never reach the kernel: what they ask for is pinned.
ANSWERED_CALLS: Final = ("getrandom", "sched_getaffinity")
#: Signals to others.
SIGNAL_CALLS: Final = ("kill", "pidfd_send_signal")

#: The descriptor through which a delivery hands its watch over, once the filter holds. It is above the limit on
#: descriptors that the delivery then lives under, so nothing the node opens can have this number.
HAND_OVER: Final = 600
#: Flags of a `getrandom` for no bytes: an earlier call's end goes back in the stream of entropy to where it began.
MARK_ENTROPY: Final = 0x40000000
REWIND_ENTROPY: Final = 0x20000000
MOST_DESCRIPTORS: Final = 512
_CLONE_THREAD: Final = 0x10000
_REFUSED: Final = (
    "bpf", "keyctl", "add_key", "request_key", "mount", "umount2", "pivot_root", "unshare", "setns", "ptrace",
    "process_vm_readv", "process_vm_writev", "kexec_load", "init_module", "finit_module", "delete_module",
    "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "open_by_handle_at",
    "swapon", "swapoff", "reboot", "acct", "quotactl",
)  # fmt: skip


def _export(build: object) -> bytes:
    with tempfile.TemporaryFile() as file:
        build.export_bpf(file)  # type: ignore[attr-defined]  # pyseccomp ships no types
        file.seek(0)
        return file.read()


@cache
def base() -> bytes:
    """The BPF program for the whole sandbox."""
    import pyseccomp

    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for call in _REFUSED:
        program.add_rule(pyseccomp.ERRNO(errno.EPERM), call)
    return _export(program)


@cache
def watched() -> bytes:
    """The BPF program for the node's process: announces its effectful system calls."""
    import pyseccomp

    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    program.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    for call in (
        *PATH_CALLS,
        *SIGNAL_CALLS,
        "connect",
        "execve",
        "execveat",
        "fork",
        "vfork",
        *ANSWERED_CALLS,
    ):
        program.add_rule(pyseccomp.NOTIFY, call)
    for call in SEND_CALLS:
        program.add_rule(pyseccomp.NOTIFY, call, pyseccomp.Arg(0, pyseccomp.NE, HAND_OVER))
    for call in DESCRIPTOR_CALLS:
        program.add_rule(pyseccomp.NOTIFY, call, pyseccomp.Arg(0, pyseccomp.GT, 2))
    for command in _LOCK_COMMANDS:
        program.add_rule(pyseccomp.NOTIFY, "fcntl", pyseccomp.Arg(1, pyseccomp.EQ, command))
    program.add_rule(pyseccomp.NOTIFY, "flock", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _LOCK_EXCLUSIVE, _LOCK_EXCLUSIVE))
    program.add_rule(pyseccomp.NOTIFY, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, 0))
    for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC):
        program.add_rule(pyseccomp.NOTIFY, "openat", pyseccomp.Arg(2, pyseccomp.MASKED_EQ, flag, flag))
        program.add_rule(pyseccomp.NOTIFY, "open", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, flag, flag))
    return _export(program)


@cache
def numbers() -> dict[int, str]:
    """Names of the announced system calls by number, on this machine's architecture."""
    import pyseccomp

    names = (
        *PATH_CALLS,
        *DESCRIPTOR_CALLS,
        *SEND_CALLS,
        *PROCESS_CALLS,
        *SIGNAL_CALLS,
        *LOCK_CALLS,
        "connect",
        "open",
        "openat",
        *ANSWERED_CALLS,
    )
    return {pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name): name for name in names}
