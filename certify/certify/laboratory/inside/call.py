"""One delivery: the life of a process that calls the node once and ends.

Order matters here, and is the module's whole point: limits, then entropy, then the announcing filter, then the watch,
and only then the first line of the node's code.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import faulthandler
import inspect
import json
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Final

from certify.codec import EncodingError, encode_verbatim
from certify.laboratory import filters
from certify.laboratory.inside import clock, compiled, entropy, typed
from certify.laboratory.inside.tape import Tape
from certify.laboratory.inside.watching import Pauses, Watcher

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
#: The signal that asks a delivery where it is.
LAST_WORDS: Final = signal.SIGRTMAX
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_USUAL_SWITCH_INTERVAL: Final = 0.005
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def drop_capabilities(libc: ctypes.CDLL) -> None:
    """Give up the capabilities that the supervisor keeps."""
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, nothing = _CapabilityHeader(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(ctypes.byref(header), ctypes.byref(nothing)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def announce(libc: ctypes.CDLL, program: bytes, delivery: int) -> None:
    """Load the announcing filter and hand its descriptor to the laboratory.

    Sending a message is itself announced, but for this one descriptor. No second thread is needed: what a thread
    allocates would come in between, now here and now there, and addresses would not be pinned.
    """
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    buffer = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_char_p))
    number = _SECCOMP[os.uname().machine]
    descriptor = libc.syscall(number, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(described))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    with socket.socket(fileno=filters.HAND_OVER) as end:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
        end.sendmsg([delivery.to_bytes(4, "little")], [rights])
    os.close(descriptor)


def limit(limits: dict[str, Any]) -> None:
    """Set the kernel's limits on this process."""
    cpu = max(1, int(limits["cpu"] + 0.999))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 2))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file"], limits["file"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (filters.MOST_DESCRIPTORS, filters.MOST_DESCRIPTORS))


def run(request: dict[str, Any], tape: Tape, watch: socket.socket, trace: int) -> None:
    """Call the node once; what came of it is on the tape. Never returns to the supervisor's code."""
    environment = request["environment"]
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - stays open as long as the process
    os.dup2(sys.stdin.fileno(), 0)
    os.chdir(request["work"])
    os.environ.update(dict(environment["env"]) | {"TZ": environment["timezone"], "HOME": request["work"]})
    time.tzset()
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, _processors(environment["cpu_count"]))
    sys.setswitchinterval(environment["threads"])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    drop_capabilities(libc)
    entropy.seed(request["seed"])
    if request["later"]:
        clock.freeze(request["clock"] + request["later"])
    os.dup2(watch.fileno(), filters.HAND_OVER)
    watch.close()
    limit(request["limits"])
    faulthandler.enable(trace)
    faulthandler.register(LAST_WORDS, trace, all_threads=True)
    faulthandler.register(signal.SIGXCPU, trace, all_threads=False, chain=True)
    sys.path.insert(0, "/node")
    lacking = compiled.use(request["codes"])
    pauses = Pauses(environment["threads"]) if environment["threads"] < _USUAL_SWITCH_INTERVAL else None
    watcher = Watcher(tape, request["observe"], pauses)
    ballast = _ballast() if environment["aslr"] else None
    announce(libc, request["filter"], request["delivery"])
    watcher.start()
    try:
        outcome = _outcome(request, tape, watcher)
    finally:
        watcher.stop()
        del ballast
    tape.append(outcome, instead={"t": "unencodable", "reason": "what came of the call is too large for a record"})
    tape.append({"t": "modules", "names": sorted({*request["preloaded"], *request["loaded"].since()})})
    if "describe" in request:
        tape.append({"t": "texts", "texts": lacking}, instead={"t": "texts", "texts": []})
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()


def _processors(count: int) -> list[int]:
    """So many processors, beginning with the one on which the kernel has put this process: it knows what is idle."""
    usable = sorted(os.sched_getaffinity(0))
    here = ctypes.CDLL(None).sched_getcpu()
    first = usable.index(here) if here in usable else 0
    return [*usable[first:], *usable[:first]][:count]


def _ballast() -> list[object]:
    """Objects of every small size, in numbers of chance: they shift what comes after them.

    The kernel moves whole pages only, and the order of a set of objects depends on the lowest bits of their addresses.
    """
    dice = random.Random(time.perf_counter_ns())  # noqa: S311 - moves memory, protects nothing
    held: list[object] = []
    for size in range(0, 480, 16):
        row: list[object] = [bytes(size) for _ in range(dice.randrange(1, 64))]
        dice.shuffle(row)
        held += row[len(row) // 2 :]  # the others' places are free again, in another order
    held += [[] for _ in range(dice.randrange(1, 200))]
    held += [_Program() for _ in range(dice.randrange(1, 40))]
    return held


def _outcome(request: dict[str, Any], tape: Tape, watcher: Watcher) -> dict[str, Any]:
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    try:
        try:
            entry = typed.find(request["entry"], request["input_type"], request["output_type"], watcher.aside)
        finally:
            watcher.importing = False
        if "describe" in request:
            return {"t": "described", "signature": entry.describe()}
        if "read" in request:
            return _read(entry, request["read"], tape)
        try:
            value = entry.read(request["input"])
        except typed.Rejected as error:
            return _raised(error, rejected=True)
        context = _context(request, watcher) if entry.context is not None else None
        for _ in range(request["environment"]["earlier_calls"]):
            with watcher.aside(), entropy.drawn_again(), contextlib.suppress(Exception):
                _call(entry, entry.read(request["input"]), context)
        wall, cpu = time.perf_counter(), _cpu()
        try:
            result = _call(entry, value, context)
        finally:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            used = {"wall": time.perf_counter() - wall, "cpu": _cpu() - cpu, "memory": max(0, peak - base)}
            tape.append({"t": "used"} | used)
        _join_threads()
        data = entry.write(result)
        return {
            "t": "returned",
            "output": encode_verbatim(data),
            "json": json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        }
    except (typed.Misfit, EncodingError) as error:
        return {"t": "unencodable", "reason": str(error)}
    except typed.EntryError as error:
        return {"t": "no-entry", "reason": str(error), "where": list(error.where) if error.where else None}
    except MemoryError as error:
        return {"t": "exceeded", "limit": "memory", "place": next(iter(_frames(error)[-1:]), None)}
    except BaseException as error:
        return _raised(error)


def _read(entry: typed.Entry, texts: list[bytes], tape: Tape) -> dict[str, Any]:
    """Read inputs one after the other, and say of each whether its type refuses it."""
    for text in texts:
        refused = False
        try:
            entry.read(text)
        except MemoryError:
            raise
        except Exception:
            refused = True
        tape.append({"t": "read", "refused": refused})
    return {"t": "all-read"}


def _call(entry: typed.Entry, value: Any, context: Any) -> Any:
    result = entry.function(**entry.arguments(value, context))
    if entry.is_async or inspect.iscoroutine(result):
        import asyncio

        return asyncio.run(_awaited(result))
    return result


async def _awaited(result: Any) -> Any:
    return await result


def _join_threads() -> None:
    """Work that a node leaves in other threads belongs to the call: wait for it, as the interpreter's end would."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _context(request: dict[str, Any], watcher: Watcher) -> Any:
    from certify.laboratory.inside.provide import context

    with watcher.aside():
        return context(request, watcher)


def _frames(error: BaseException) -> list[list[Any]]:
    """The node's own lines on the way to an error, the outermost first."""
    return [
        [frame.filename.removeprefix("/node/"), frame.lineno or 0, (frame.colno or 0) + 1]
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith("/node/")
    ]


def _raised(error: BaseException, *, rejected: bool = False) -> dict[str, Any]:
    frames = _frames(error)
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith("/node/"):
        frames.append([error.filename.removeprefix("/node/"), error.lineno or 0, error.offset or 0])
    try:
        message = str(error)
    except BaseException as inner:  # whatever a class of the node's does when asked for its text
        message = f"(its text raises {type(inner).__name__})"
    return {
        "t": "raised",
        "type": type(error).__name__,
        "message": message.encode(errors="replace").decode()[:2000],
        "bases": [kind.__name__ for kind in type(error).__mro__ if kind is not object],
        "frames": frames,
        "rejected": rejected,
    }


def work_folder(environment: dict[str, Any]) -> Path:
    """The node's working folder for this environment."""
    return Path("/world", environment["cwd"])
