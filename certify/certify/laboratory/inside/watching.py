"""Watches a node from within its own process: audit events, calls of C functions, and lines.

Rules this module keeps:

- every event carries the innermost line of the node's own files that led to it, and the modules between that line and
  the event (`through`), so that a reader can tell a node's own reading of the clock from its HTTP library's;
- equal events from the same line are recorded once;
- the watch never changes what the node computes: an error inside it is recorded, not raised.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
import random
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final

import certify
from certify.laboratory.inside.tape import Tape

_NODE: Final = "/node/"
_STEP_LIMIT: Final = 50_000
_OWN: Final = ("certify.laboratory", "certify.capabilities")

#: Built-in functions by qualified name, with the event they mean. The name is `module.qualname`, or the qualname of a
#: method.
_BUILTINS: Final[dict[str, tuple[str, str]]] = {
    "time.time": ("clock", "time.time"),
    "time.time_ns": ("clock", "time.time_ns"),
    "time.monotonic": ("clock", "time.monotonic"),
    "time.monotonic_ns": ("clock", "time.monotonic_ns"),
    "time.perf_counter": ("clock", "time.perf_counter"),
    "time.perf_counter_ns": ("clock", "time.perf_counter_ns"),
    "time.process_time": ("clock", "time.process_time"),
    "time.process_time_ns": ("clock", "time.process_time_ns"),
    "time.thread_time": ("clock", "time.thread_time"),
    "time.thread_time_ns": ("clock", "time.thread_time_ns"),
    "time.clock_gettime": ("clock", "time.clock_gettime"),
    "time.clock_gettime_ns": ("clock", "time.clock_gettime_ns"),
    "time.localtime": ("clock", "time.localtime"),
    "time.gmtime": ("clock", "time.gmtime"),
    "time.ctime": ("clock", "time.ctime"),
    "time.strftime": ("clock", "time.strftime"),
    "datetime.now": ("clock", "datetime.now"),
    "datetime.utcnow": ("clock", "datetime.utcnow"),
    "datetime.today": ("clock", "datetime.today"),
    "date.today": ("clock", "date.today"),
    "posix.urandom": ("random", "os.urandom"),
    "posix.getrandom": ("random", "os.getrandom"),
    "posix.getpid": ("host", "os.getpid"),
    "posix.getppid": ("host", "os.getppid"),
    "posix.getuid": ("host", "os.getuid"),
    "posix.getlogin": ("host", "os.getlogin"),
    "posix.getcwd": ("host", "os.getcwd"),
    "posix.uname": ("host", "os.uname"),
    "posix.cpu_count": ("host", "os.cpu_count"),
    "posix.sched_getaffinity": ("host", "os.sched_getaffinity"),
    "posix.getloadavg": ("host", "os.getloadavg"),
    "_socket.gethostname": ("host", "socket.gethostname"),
    "_locale.setlocale": ("host", "locale.setlocale"),
    "_locale.localeconv": ("host", "locale.localeconv"),
    "_locale.nl_langinfo": ("host", "locale.nl_langinfo"),
    "_thread.start_new_thread": ("thread", "threading.Thread"),
    "builtins.id": ("identity", "id"),
    "builtins.hash": ("identity", "hash"),
}

_WRITE_EVENTS: Final = {
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "os.chown", "os.utime",
    "shutil.rmtree", "shutil.copyfile", "shutil.move", "tempfile.mkstemp", "tempfile.mkdtemp",
}  # fmt: skip
_PROCESS_EVENTS: Final = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
    "os.kill", "os.killpg",
}  # fmt: skip
_LISTING_EVENTS: Final = {"os.listdir", "os.scandir", "glob.glob", "os.walk"}
_NATIVE_EVENTS: Final = {"ctypes.dlopen", "ctypes.dlsym", "ctypes.cdata", "ctypes.call_function"}


def _text(value: object, limit: int = 400) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.encode(errors="replace").decode()[:limit]


#: Files that resolving a name, reading the time zone or verifying a certificate opens.
_QUIET_FILES: Final = (
    "/etc/localtime", "/etc/nsswitch.conf", "/etc/hosts", "/etc/resolv.conf", "/etc/host.conf", "/etc/gai.conf",
    "/lab/",
)  # fmt: skip


class Watcher:
    """Writes what the node does to a tape."""

    def __init__(self, tape: Tape, level: str, pauses: Pauses | None = None) -> None:
        self._tape = tape
        self._level = level
        self._pauses = pauses
        self._threads: dict[int, int] = {threading.get_ident(): 0}
        self._seen: set[tuple[str, str, str, int]] = set()
        self._active = False
        self._busy = threading.local()
        self._seeded: set[int] = set()
        self._steps = 0
        self.importing = True
        homes = {sys.prefix, sys.base_prefix, "/usr", "/lib", "/node", "/proc/self", *certify.__path__}
        self._quiet = (*(os.path.realpath(home).rstrip("/") + "/" for home in homes), *_QUIET_FILES)
        self._codes: dict[CodeType, Callable[[FrameType], None]] = {}
        self._random_seed_code = random.Random.seed.__code__
        environ = type(os.environ)
        for method in (environ.__getitem__, environ.__contains__, environ.__iter__):
            code = getattr(method, "__code__", None)
            if code is not None:
                self._codes[code] = self._environment_read

    # -- events -------------------------------------------------------------------------------------------------------

    def event(
        self, kind: str, target: str, frame: FrameType | None = None, *, each: bool = False, **detail: Any
    ) -> None:
        """Record one event with the line that led to it; equal ones once, unless `each` of them counts."""
        place, through = _where(frame if frame is not None else sys._getframe(1))
        if place is None and any(module.startswith("certify.laboratory") for module in through):
            return  # the laboratory's own work, not the node's
        if kind != "capability" and any(module.startswith("certify.capabilities") for module in through):
            return  # the context at work: its use is an event of its own, and the kernel sees what it does
        if kind == "identity" and through:
            return  # a library's bookkeeping; what it does with an address shows elsewhere
        via = detail.pop("via", "audit")
        key = (kind, target, place[0] if place else "", place[1] if place else 0)
        if key in self._seen and not each:
            return
        self._seen.add(key)
        self._tape.append(
            {
                "t": "event",
                "kind": kind,
                "target": target,
                "place": place,
                "detail": detail | {"through": through},
                "via": via,
                "importing": self.importing,
            }
        )

    def start(self) -> None:
        """Begin to watch. Audit hooks cannot be taken out again: the process must end with the call."""
        self._active = True
        vars(threading)["_sys"] = _Patient("sys")
        sys.addaudithook(self._audit)
        if self._level in {"calls", "lines"}:
            threading.setprofile(self._profile)
            sys.setprofile(self._profile)
        if self._level == "lines" or self._pauses:
            threading.settrace(self._trace)
        if self._level == "lines":
            sys.settrace(self._trace)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Look away from calls and lines: what is done meanwhile is the laboratory's work."""
        profile, trace = sys.getprofile(), sys.gettrace()
        sys.setprofile(None)
        sys.settrace(None)
        try:
            yield
        finally:
            sys.settrace(trace)
            sys.setprofile(profile)

    def stop(self) -> None:
        """Stop to watch."""
        self._active = False
        sys.setprofile(None)
        sys.settrace(None)

    def _audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if not self._active or getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            self._judge(name, arguments)
        except Exception as error:
            self._tape.append({"t": "trouble", "what": f"{name}: {error!r}"})
        finally:
            self._busy.now = False

    def _judge(self, name: str, arguments: tuple[Any, ...]) -> None:
        try:
            frame = sys._getframe(2)
        except ValueError:
            return  # the interpreter's own work: nobody's code is running
        if name == "open":
            self._open(arguments, frame)
        elif name == "import":
            self.event("import", _text(arguments[0]), frame)
        elif name == "socket.connect":
            self.event("connect", _address(arguments[1]), frame)
        elif name in {"socket.sendto", "socket.bind"}:
            self.event("connect", _address(arguments[1]), frame, call=name)
        elif name in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
            self.event("resolve", _text(arguments[0]), frame)
        elif name == "socket.gethostname":
            self.event("host", "socket.gethostname", frame)
        elif name in {"sqlite3.connect", "dbm.open"}:
            self.event("database", _text(arguments[0]), frame)
        elif name in _WRITE_EVENTS:
            self.event("write", _absolute(arguments[0] if arguments else name), frame, call=name)
        elif name in _PROCESS_EVENTS:
            self.event("process", _text(arguments[0] if arguments else name), frame, call=name)
        elif name in _LISTING_EVENTS:
            if not self._known(_absolute(arguments[0] if arguments and arguments[0] is not None else ".")):
                self.event(
                    "listing",
                    _absolute(arguments[0] if arguments and arguments[0] is not None else "."),
                    frame,
                    call=name,
                )
        elif name in _NATIVE_EVENTS:
            self.event(
                "native",
                _text(arguments[-1] if name == "ctypes.dlsym" else arguments[0] if arguments else name),
                frame,
                call=name,
            )
        elif name == "_thread.start_new_thread":
            self.event("thread", _text(getattr(arguments[0], "__qualname__", "thread")), frame)

    def _open(self, arguments: tuple[Any, ...], frame: FrameType) -> None:
        path, mode, flags = (*arguments, None, None)[:3]
        if isinstance(path, int):
            return
        name = _absolute(path)
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)) if isinstance(flags, int) else False
        if writes or (isinstance(mode, str) and any(sign in mode for sign in "wax+")):
            self.event("write", name, frame, call="open")
        elif name in {"/dev/urandom", "/dev/random"}:
            self.event("random", name, frame)
        elif not self._known(name):
            self.event("read", name, frame)

    def _known(self, path: str) -> bool:
        return path.startswith(self._quiet) or path in {"/dev/null", "/node", "/proc/self"}

    # -- calls of C functions ------------------------------------------------------------------------------------------

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if not self._active or getattr(self._busy, "now", False):
            return
        if event == "c_call":
            self._busy.now = True
            try:
                self._builtin(frame, argument)
            finally:
                self._busy.now = False
        elif event == "call":
            handler = self._codes.get(frame.f_code)
            if handler is not None:
                self._busy.now = True
                try:
                    handler(frame)
                finally:
                    self._busy.now = False
            elif frame.f_code is self._random_seed_code and frame.f_locals.get("a") is not None:
                self._seeded.add(id(frame.f_locals.get("self")))

    def _builtin(self, frame: FrameType, function: Any) -> None:
        owner = getattr(function, "__self__", None)
        if isinstance(owner, random.Random):
            if id(owner) not in self._seeded:
                self.event("random", f"random.{function.__name__}", frame, via="call")
            return
        module = getattr(function, "__module__", None)
        if module == "posix" and function.__name__ in {"_exit", "abort"}:
            self._tape.append({"t": "leaving", "place": _where(frame)[0]})
        known = _BUILTINS.get(f"{module}.{function.__qualname__}") or (
            _BUILTINS.get(function.__qualname__) if isinstance(owner, type) else None
        )
        if known is None and isinstance(owner, type) and function.__name__ in {"now", "utcnow", "today"}:
            known = next(
                (
                    _BUILTINS[f"{base.__name__}.{function.__name__}"]
                    for base in owner.__mro__
                    if f"{base.__name__}.{function.__name__}" in _BUILTINS
                ),
                None,
            )
        if known is not None:
            self.event(known[0], known[1], frame, via="call")

    def _environment_read(self, frame: FrameType) -> None:
        key = frame.f_locals.get("key", "*")
        self.event("env", _text(key), frame, via="call")

    # -- lines ---------------------------------------------------------------------------------------------------------

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if not self._active or event != "call":
            return None
        if not frame.f_code.co_filename.startswith(_NODE):
            if self._pauses and frame.f_code.co_name == "run":
                self._pauses.pause()
            if self._level == "lines" and frame.f_back and frame.f_back.f_code.co_filename.startswith(_NODE):
                self._arguments(frame, frame.f_back)
            return None
        return _Lines(self, frame).step if self._level == "lines" else self._pause

    def _pause(self, _frame: FrameType, _event: str, _argument: Any) -> Any:
        self.pause()
        return self._pause

    def pause(self) -> None:
        """Give other threads a turn, where the surroundings ask for it."""
        if self._pauses:
            self._pauses.pause()

    def _arguments(self, frame: FrameType, caller: FrameType) -> None:
        """Record what a line of the node hands to a library: it may never be in a variable of the node's own."""
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
        given = {f"{code.co_name}({name})": frame.f_locals.get(name) for name in code.co_varnames[:count]}
        plain = {name: canonical(value) for name, value in given.items() if isinstance(value, _PLAIN)}
        if plain:
            file = caller.f_code.co_filename.removeprefix(_NODE)
            self.line(file, caller.f_lineno, caller.f_code.co_qualname, plain)

    def line(self, file: str, line: int, function: str, values: dict[str, str]) -> None:
        """Record a line that was run, and the values that it changed."""
        if self._steps < _STEP_LIMIT:
            self._steps += 1
            thread = self._threads.setdefault(threading.get_ident(), len(self._threads))
            self._tape.append(
                {"t": "step", "file": file, "line": line, "function": function, "values": values, "thread": thread}
            )


class _Patient(ModuleType):
    """The module `sys` as `threading` sees it: threads that start at the same time wait for their turn to be watched.

    CPython refuses to install a trace or profile function while another thread is installing one, and the thread that
    is refused never runs.
    """

    settrace = staticmethod(lambda function: _insist(sys.settrace, function))
    setprofile = staticmethod(lambda function: _insist(sys.setprofile, function))

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


def _insist(install: Callable[[Any], None], function: Any) -> None:
    while True:
        try:
            return install(function)
        except RuntimeError:  # another thread is at it
            time.sleep(0)


class Pauses:
    """Short pauses in threads other than the main one, at places that a seed decides: they let races show."""

    def __init__(self, seed: float) -> None:
        self._seed = seed
        self._main = threading.main_thread().ident
        self._own = threading.local()

    def pause(self) -> None:
        """Wait for a moment, now and then."""
        if threading.get_ident() == self._main:
            return
        own = self._own
        if not hasattr(own, "left"):
            own.left, own.dice = _MOST_PAUSES, random.Random(f"{self._seed} {threading.current_thread().name}")  # noqa: S311 - a schedule, no secret
        if own.left and own.dice.random() < _PAUSE_CHANCE:
            own.left -= 1
            time.sleep(own.dice.random() * _LONGEST_PAUSE)


_MOST_PAUSES: Final = 40
_PAUSE_CHANCE: Final = 0.3
_LONGEST_PAUSE: Final = 0.002
_DEFINITIONS: Final = (type, ModuleType, FunctionType, BuiltinFunctionType)
#: What can be handed to a library and compared without looking into anybody's objects.
_PLAIN: Final = (str, bytes, int, float, list, tuple, dict, set, frozenset)


class _Lines:
    """Follows one call of one of the node's functions, line by line."""

    def __init__(self, watcher: Watcher, frame: FrameType) -> None:
        self._watcher = watcher
        self._path = frame.f_code.co_filename
        self._file = self._path.removeprefix(_NODE)
        self._function = frame.f_code.co_qualname
        self._line = frame.f_lineno
        self._returning = 0
        self._values: dict[str, str] = {}

    def step(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Called by the interpreter before each line, at an exception and at the return."""
        if event == "exception":
            self._watcher.line(self._file, frame.f_lineno, self._function, {"raised": canonical(argument[1])})
        elif event in {"line", "return"}:
            now = {
                name: canonical(value)
                for name, value in frame.f_locals.items()
                if not name.startswith("__") and not isinstance(value, _DEFINITIONS)
            }
            changed = {name: text for name, text in now.items() if self._values.get(name) != text}
            self._watcher.line(self._file, self._line, self._function, changed)
            if self._line in returns(self._path):
                self._returning = self._line
            if event == "return":
                # leaving a `with` goes back to its first line after the value to return has been computed
                self._watcher.line(
                    self._file, self._returning or self._line, self._function, {"return": canonical(argument)}
                )
            self._values, self._line = now, frame.f_lineno
            self._watcher.pause()
        return self.step


@functools.cache
def returns(path: str) -> frozenset[int]:
    """The lines of a file that belong to a `return`."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    return frozenset(
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Return)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    )


def canonical(value: object, depth: int = 4) -> str:
    """A text that is equal for equal values, whatever their addresses, and whatever the order of a set or map.

    Values of unknown types give the name of their type alone.
    """
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str | bytes):
        return _short(repr(value))
    if depth == 0:
        return type(value).__name__
    try:
        if isinstance(value, list | tuple):
            inner = ", ".join(canonical(item, depth - 1) for item in value[:200])
            return _short(f"({inner})" if isinstance(value, tuple) else f"[{inner}]")
        if isinstance(value, set | frozenset):
            return _short("{" + ", ".join(sorted(canonical(item, depth - 1) for item in value)) + "}")
        if isinstance(value, dict):
            pairs = sorted(
                f"{canonical(k, depth - 1)}: {canonical(v, depth - 1)}" for k, v in list(value.items())[:200]
            )
            return _short("{" + ", ".join(pairs) + "}")
        if isinstance(value, deque | array | KeysView | ValuesView | ItemsView):
            inner = ", ".join(sorted(canonical(item, depth - 1) for item in list(value)[:200]))
            return _short(f"{type(value).__name__}({inner})")
        if isinstance(value, bytearray | memoryview):
            return _short(repr(bytes(value)))
        if isinstance(value, BaseException):
            return _short(f"{type(value).__name__}({', '.join(canonical(item, depth - 1) for item in value.args)})")
        if isinstance(value, Enum):
            return str(value)
        if type(value).__module__.partition(".")[0] in _TOLD:
            return _short(f"{type(value).__name__}({value})")
        fields = getattr(value, "__dict__", None)
        if isinstance(fields, dict) and not callable(value) and _of_values(type(value)):
            inner = ", ".join(f"{k}={canonical(v, depth - 1)}" for k, v in sorted(fields.items()))
            return _short(f"{type(value).__name__}({inner})")
    except Exception:
        return type(value).__name__
    return type(value).__name__


#: Modules whose objects are told by their text.
_TOLD: Final = frozenset({"datetime", "decimal", "fractions", "uuid", "pathlib", "zoneinfo", "ipaddress"})


def _of_values(kind: type) -> bool:
    """Whether objects of this type are made of values: those of the node's own types, and records.

    Others have inner state that differs between runs without anybody seeing it, such as a future or a connection.
    """
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None) or ""
    return file.startswith(_NODE) or hasattr(kind, "__dataclass_fields__") or hasattr(kind, "model_fields")


def _short(text: str) -> str:
    if len(text) <= 160:
        return text
    import hashlib

    return f"{text[:120]}… #{hashlib.blake2b(text.encode(errors='replace'), digest_size=6).hexdigest()}"


def _where(frame: FrameType | None) -> tuple[list[Any] | None, list[str]]:
    """The innermost line of the node's own files below this frame, and the modules in between, innermost first."""
    through: list[str] = []
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_NODE):
            return [name.removeprefix(_NODE), frame.f_lineno, frame.f_code.co_qualname], through
        module = frame.f_globals.get("__name__", "?")
        if (
            isinstance(module, str)
            and module not in through
            and not module.startswith("importlib")
            and len(through) < 40
        ):
            through.append(module)
        frame = frame.f_back
    return None, through


def _absolute(path: object) -> str:
    if isinstance(path, int):
        return f"descriptor {path}"
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        return _text(path)
    return _text(os.path.normpath(Path.cwd() / text))


def _address(address: object) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        return f"{_text(address[0])}:{address[1]}"
    return f"unix:{_text(address)}"
