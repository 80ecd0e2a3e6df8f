"""Adapters: Python files that say how a library's guards are built.

An adapter defines one function for each pattern that its library has, from settings to a decorator:

    import circuitbreaker

    rejected = circuitbreaker.CircuitBreakerError

    def breaker(p):
        return circuitbreaker.CircuitBreaker(p.failure_threshold, p.recovery_time, p.failure)

`rejected` names the exceptions that mean rejection; `modes` may be ``("sync",)`` or ``("async",)``. Loading happens in
the child process.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final

from certify.conformance.verdicts import MODES

#: The patterns that an adapter may build, and what their guards are.
PATTERNS: Final[Mapping[str, str]] = {
    "breaker": "a circuit breaker that counts failures in a row",
    "windowed": "a circuit breaker that looks at a window of outcomes",
    "timed": "a circuit breaker that looks at the outcomes of the last seconds",
    "bulkhead": "a bound on calls at once",
    "retry": "tries again after a failure",
    "timeout": "a time limit",
    "limiter": "a rate limiter",
    "hedge": "a second call when the first is slow",
    "cache": "answers from memory",
    "fallback": "answers second best after a failure",
    "stack": "a retry around a breaker; by default the two composed",
    "limited": "a time limit around a bulkhead, or how the library puts them together; by default the two composed",
    "service": "a bulkhead around a retry around a breaker; by default the three composed",
}
#: Patterns that are made of others, the outermost first, where an adapter does not say otherwise.
COMPOSED: Final[Mapping[str, tuple[str, ...]]] = {
    "stack": ("retry", "breaker"),
    "limited": ("timeout", "bulkhead"),
    "service": ("bulkhead", "retry", "breaker"),
}


class AdapterError(Exception):
    """The adapter cannot be used: why, and where."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Adapter:
    """What an adapter says."""

    path: str
    patterns: Mapping[str, Callable[[Any], Any]]
    rejected: tuple[type[BaseException], ...]
    modes: tuple[str, ...]
    version: str
    #: Whether a success ends a row of failures; otherwise the breaker counts all failures since it closed.
    successes_reset: bool = True

    def build(self, pattern: str) -> Callable[[Any], Any] | None:
        """The function that builds a pattern's guard; None where the library has no such pattern."""
        made = self.patterns.get(pattern)
        layers = COMPOSED.get(pattern, ())
        if made is not None or not layers or not {*layers} <= self.patterns.keys():
            return made

        def composed(settings: Any) -> Any:
            decorators = [self.patterns[layer](settings) for layer in reversed(layers)]
            return lambda operation: reduce(lambda inner, decorator: decorator(inner), decorators, operation)

        return composed


def load(path: Path) -> Adapter:
    """Import an adapter and read what it says.

    Raises:
        AdapterError: it cannot be imported, or says nothing that can be used.
    """
    spec = importlib.util.spec_from_file_location("conformance_adapter", path)
    if spec is None or spec.loader is None:
        raise AdapterError("this is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance_adapter"] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise AdapterError(f"it is not Python: {error.msg}", error.lineno or 0) from None
    except BaseException as error:
        lines = [f.lineno or 0 for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
        raise AdapterError(f"importing it raises {type(error).__name__}: {error}", lines[-1] if lines else 0) from None
    return read(vars(module), str(path))


def read(names: Mapping[str, Any], path: str) -> Adapter:
    """What an adapter's names say.

    Raises:
        AdapterError: nothing that can be used.
    """
    patterns = {name: names[name] for name in PATTERNS if callable(names.get(name))}
    if not patterns:
        raise AdapterError(f"it defines none of {', '.join(PATTERNS)}")
    rejected = names.get("rejected", ())
    rejected = rejected if isinstance(rejected, tuple) else (rejected,)
    wrong = [each for each in rejected if not (isinstance(each, type) and issubclass(each, BaseException))]
    if wrong:
        raise AdapterError(f"`rejected` names {wrong[0]!r}, which is no exception class")
    if not rejected and patterns.keys() & {"breaker", "windowed", "timed", "bulkhead", "limiter"}:
        raise AdapterError("it does not say in `rejected` which exceptions mean rejection")
    modes = names.get("modes", MODES)
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or set(modes) - set(MODES):
        raise AdapterError(f"`modes` is {names.get('modes')!r}; it may name {' and '.join(MODES)}")
    return Adapter(
        path, patterns, rejected, modes, str(names.get("version", "")), bool(names.get("successes_reset", True))
    )
