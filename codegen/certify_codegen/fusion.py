"""Several patterns in one frame, specialised to a signature.

While nothing goes wrong, a fused function pays for one call frame instead of one for each layer. What leaves the fast
path goes through the layers one by one, so that a fused function does what the layers would do.

Rules this module keeps:

- an order of layers that is not safe is refused: the specification of stacks decides, and gives the reason (P-COMPOSE);
- a fast path is what `shortcuts` proves to be the machine's own step; the frame adds nothing to it;
- the bounds in the docstring are those that the specifications prove, named by the properties that say so.
"""

from __future__ import annotations

import ast
import builtins
import json
import keyword
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from certify_codegen import rules
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, RequestError
from certify_spec.evaluate import Evaluator, Surroundings, World
from certify_spec.values import Value

INDENT: Final = "    "


@dataclass(frozen=True, slots=True)
class Layer:
    """A pattern as a layer.

    Attributes:
        name: what `--fuse` calls it.
        machine: the machine behind it.
        kind: its class.
        template: the module of its class.
        role: what it is in a stack, and what the parameter of the fused function is called.
    """

    name: str
    machine: str
    kind: str
    template: str
    role: str


_LAYERS: Final = (
    Layer("bulkhead", "Bulkhead", "Bulkhead", "bulkhead", "bulkhead"),
    Layer("limiter", "TokenBucket", "RateLimiter", "token_bucket", "limiter"),
    Layer("timeout", "Timeout", "Timeout", "timeout", "timeout"),
    Layer("retry", "Retry", "Retry", "retry", "retry"),
    Layer("breaker", "CircuitBreaker", "CircuitBreaker", "circuit_breaker", "breaker"),
    Layer("window", "CountWindowBreaker", "CountWindowBreaker", "count_window_breaker", "breaker"),
)

LAYERS: Final[Mapping[str, Layer]] = MappingProxyType({layer.name: layer for layer in _LAYERS})
"""By name, in the safe order, outermost first; a timeout inside a retry bounds one attempt, and goes innermost."""

STACK: Final = "Stack"
"""The machine whose definitions say what an order is good for."""

#: The definitions that a stack is to keep, each where these layers are there.
_KEPT: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "keeps_time": frozenset({"total", "retry"}),
        "sees_every_try": frozenset({"retry", "breaker"}),
        "sees_hangs": frozenset({"breaker", "attempt"}),
        "sees_the_backend_only": frozenset({"breaker"}),
        "keeps_permits": frozenset({"bulkhead"}),
    }
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What the fused function looks like.

    Attributes:
        name: its name.
        parameters: as they are declared, without the brackets.
        forwarded: as they are handed on.
        result: the annotation of what it gives.
        asynchronous: whether it is a coroutine function.
    """

    name: str
    parameters: str
    forwarded: str
    result: str
    asynchronous: bool

    @property
    def text(self) -> str:
        """The signature as people write it."""
        return f"{'async ' if self.asynchronous else ''}def {self.name}({self.parameters}) -> {self.result}"


def layers(names: Sequence[str]) -> tuple[Layer, ...]:
    """The layers of these names, outermost first.

    Raises:
        RequestError: a name is not known or there twice, or the order is not safe: the reason, and the safe order.
    """
    wrong = [
        Diagnostic(rules.BAD_FUSION, f"there is no layer `{name}`", fix=f"known are {', '.join(LAYERS)}")
        for name in names
        if name not in LAYERS
    ]
    roles = [LAYERS[name].role for name in names if name in LAYERS]
    wrong += [
        Diagnostic(rules.BAD_FUSION, f"the layer `{role}` is there twice", fix="name each layer once")
        for role in sorted({role for role in roles if roles.count(role) > 1})
    ]
    if not names:
        wrong.append(Diagnostic(rules.BAD_FUSION, "no layers are named", fix=f"known are {', '.join(LAYERS)}"))
    if wrong:
        raise RequestError(*wrong)
    return tuple(LAYERS[name] for name in names)


def unsafe(chosen: Sequence[Layer], stack: m.Specification) -> tuple[Diagnostic, ...]:
    """Why an order of layers, outermost first, is not safe; nothing if it is.

    Args:
        chosen: the layers.
        stack: the specification of stacks. Its definitions decide; the runs that it shows to be possible where one of
            them fails are the reasons.
    """
    names = [layer.name for layer in chosen]
    where = _roles(names)
    evaluator = Evaluator(stack, World({}, _positions(where, stack), {}))
    broken = [
        name
        for name, needed in _KEPT.items()
        if needed <= where.keys() and not evaluator.holds(stack.definitions[name].body, Surroundings())
    ]
    fix = f"the safe order is {','.join(safe_order(names))}"
    return tuple(
        Diagnostic(
            rules.UNSAFE_ORDER,
            f"the order {','.join(names)} is not safe: `{name}` fails",
            stack.definitions[name].place,
            because=_shown_by(name, stack),
            fix=fix,
        )
        for name in broken
    )


def _roles(names: Sequence[str]) -> dict[str, int]:
    """How far inside each layer is, by its role in a stack: a time limit outside the retry is the total one."""
    where = {LAYERS[name].role: number for number, name in enumerate(names, 1)}
    if "timeout" in where:
        is_total = "retry" in where and where["timeout"] < where["retry"]
        where["total" if is_total else "attempt"] = where.pop("timeout")
    return where


def _positions(where: Mapping[str, int], stack: m.Specification) -> dict[str, Value]:
    """The parameters of a stack: layers that are not there are beyond the others, where they disturb nobody."""
    found: dict[str, Value] = {"abandons": False, "counts_rejections": False, "repeatable": True}
    beyond = len(LAYERS) + 2
    for name in stack.functions:
        if name in where:
            found[name] = where[name]
        elif name not in found:
            found[name] = beyond
            beyond += 1
    return found


def _shown_by(definition: str, stack: m.Specification) -> str:
    """What the run shows that is possible where a definition fails."""
    witnesses = (formula for formula in stack.formulas if formula.doc.startswith(f"{definition}: "))
    return next((f"{w.doc.partition(': ')[2]} (the run `{w.name}`)" for w in witnesses), "")


def safe_order(names: Sequence[str]) -> list[str]:
    """The layers in the safe order; a timeout that was not outside the retry stays an attempt's, and goes innermost."""
    order = [name for name in LAYERS if name in names]
    if "attempt" in _roles(names):
        order.remove("timeout")
        order.append("timeout")
    return order


def signature(text: str) -> Signature:
    """A signature as it is written: `fetch(user: int, *, fresh: bool = False) -> bytes`, with `async` before it or not.

    Raises:
        RequestError: it is none, or uses a name that the frame needs.
    """
    written = text.strip()
    asynchronous = written.startswith("async ")
    bare = written.removeprefix("async ").strip().removeprefix("def ").strip().rstrip(":")
    try:
        [node] = ast.parse(f"def {bare}: ...").body
    except (SyntaxError, ValueError):
        raise _bad(f"`{text}` is no signature", "write it so: `fetch(user: int) -> bytes`") from None
    if not isinstance(node, ast.FunctionDef) or len(node.body) != 1 or node.decorator_list:
        raise _bad(f"`{text}` is no signature", "write it so: `fetch(user: int) -> bytes`")
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [arg for arg in (arguments.vararg, arguments.kwarg) if arg is not None]
    taken = sorted(arg.arg for arg in every if arg.arg.startswith("_") or arg.arg in (*LAYERS, "fn"))
    if taken or keyword.iskeyword(node.name) or hasattr(builtins, node.name):
        raise _bad(f"`{taken[0] if taken else node.name}` is a name that the frame needs itself", "use another name")
    for arg in every:
        if arg.annotation is None:
            arg.annotation = ast.Name("Any", ast.Load())
    result = "Any" if node.returns is None else ast.unparse(node.returns)
    return Signature(node.name, ", ".join(_declared(arguments)), ", ".join(_forwarded(arguments)), result, asynchronous)


def is_import(text: str) -> bool:
    """Whether a text is one import statement."""
    try:
        [node] = ast.parse(text).body
    except (SyntaxError, ValueError):
        return False
    return isinstance(node, ast.Import | ast.ImportFrom)


def _declared(arguments: ast.arguments) -> Iterator[str]:
    """The parameters as they are declared."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    for number, (arg, default) in enumerate(zip(positional, [*defaults, *arguments.defaults], strict=True), 1):
        yield _parameter(arg, default)
        if number == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg is not None:
        yield f"*{_parameter(arguments.vararg, None)}"
    elif arguments.kwonlyargs:
        yield "*"
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(arg, default)
    if arguments.kwarg is not None:
        yield f"**{_parameter(arguments.kwarg, None)}"


def _parameter(arg: ast.arg, default: ast.expr | None) -> str:
    assert arg.annotation is not None
    value = "" if default is None else ast.unparse(default)
    if isinstance(default, ast.Constant) and isinstance(default.value, str):
        value = json.dumps(default.value, ensure_ascii=False)
    return f"{arg.arg}: {ast.unparse(arg.annotation)}" + (f" = {value}" if value else "")


def _forwarded(arguments: ast.arguments) -> Iterator[str]:
    yield from (arg.arg for arg in (*arguments.posonlyargs, *arguments.args))
    if arguments.vararg is not None:
        yield f"*{arguments.vararg.arg}"
    yield from (f"{arg.arg}={arg.arg}" for arg in arguments.kwonlyargs)
    if arguments.kwarg is not None:
        yield f"**{arguments.kwarg.arg}"


def _bad(message: str, fix: str) -> RequestError:
    return RequestError(Diagnostic(rules.BAD_FUSION, message, fix=fix))


# --- bounds ----------------------------------------------------------------------------------------------------------


def bounds(chosen: Sequence[Layer]) -> list[tuple[str, str]]:
    """What is proved of the whole stack, each with the properties that say so."""
    names = [layer.role for layer in chosen]

    def inside(name: str, other: str) -> bool:
        return name in names and other in names and names.index(other) < names.index(name)

    found: list[tuple[str, str]] = []
    if "retry" in names:
        found.append(
            (
                "calls downstream per request: at most `retry.attempts`",
                "Stack.tries_are_bounded, Retry.tries_are_bounded",
            )
        )
        found.append(
            (
                "calls downstream in all: at most `requests × (1 + retry.ratio / 100) + retry.reserve`",
                "Stack.load_is_bounded, Stack.budget_is_kept, Retry.retries_exactly",
            )
        )
    else:
        found.append(("calls downstream per request: at most 1", "no layer repeats a call"))
    if "bulkhead" in names:
        per = "tries" if inside("bulkhead", "retry") else "requests, their pauses included"
        why = "Stack.concurrency_is_bounded, Bulkhead.concurrency_is_bounded"
        found.append((f"{per} at once: at most `bulkhead.capacity`", why))
    if "timeout" in names:
        total = inside("retry", "timeout")
        per = "a request, its tries and pauses included" if total else "a try"
        waits = ", after its wait in the bulkhead" if inside("timeout", "bulkhead") else ""
        why = f"{'Stack.answers_in_time, ' if total else ''}Timeout.never_late"
        found.append((f"no answer of {per} at or after `timeout.limit`{waits}", why))
    if "breaker" in names:
        own = any(layer.machine == "CircuitBreaker" for layer in chosen)
        machine = "CircuitBreaker" if own else "Breaker"  # which the others refine
        found.append(("while the circuit is open and not due: none downstream", f"{machine}.open_stops"))
        found.append(("probes of one round at once: at most `breaker.permitted_probes`", f"{machine}.probe_bound"))
    if "limiter" in names:
        inner = inside("limiter", "retry")
        per, why = ("tries", "Stack.calls_are_limited") if inner else ("requests", "Stack.requests_are_limited")
        found.append(
            (f"{per} of a client in any time t: at most `burst + rate × t`", f"{why}, TokenBucket.rate_is_bounded")
        )
    return found


# --- the frame -------------------------------------------------------------------------------------------------------


def frame(chosen: Sequence[Layer], shape: Signature) -> list[str]:
    """The body of the fused function, without its indentation."""
    lines = _Frame(chosen, shape).through(0)
    return lines if shape.result == "None" else [*lines, "return _result"]


def setting_up(chosen: Sequence[Layer]) -> list[str]:
    """What is prepared once: the layers one by one, innermost first, and what the frame reads."""
    lines: list[str] = []
    inner = "fn"
    for layer in reversed(chosen):
        lines.append(f"_through_{layer.role} = {layer.role}({inner})")
        inner = f"_through_{layer.role}"
    names = [layer.name for layer in chosen]
    if "bulkhead" in names:
        lines.append("_permits, _take, _give = bulkhead._free, bulkhead._free.pop, bulkhead._free.append")
    if "retry" in names:
        lines.append("_clock, _timed = retry._clock, retry._timed")
    if "window" in names:
        lines.append("_ticks, _paced, _slow = breaker._clock, breaker._timed, breaker._slow_call")
    return lines


class _Frame:
    def __init__(self, chosen: Sequence[Layer], shape: Signature) -> None:
        self._chosen = chosen
        self._shape = shape
        self._await = "await " if shape.asynchronous else ""
        self._async = "async " if shape.asynchronous else ""
        self._kept = "" if shape.result == "None" else "_result = "
        self._makers: Mapping[str, Callable[[int], list[str]]] = {
            "bulkhead": self._bulkhead,
            "limiter": self._limiter,
            "timeout": self._timeout,
            "retry": self._retry,
            "breaker": self._breaker,
            "window": self._window,
        }

    def through(self, position: int) -> list[str]:
        """Statements that set `_result` by what the layers from a position on give."""
        if position == len(self._chosen):
            return [self._called("fn")]
        return self._makers[self._chosen[position].name](position)

    def _called(self, function: str) -> str:
        return f"{self._kept}{self._await}{function}({self._shape.forwarded})"

    def _slowly(self, position: int) -> str:
        """The layers from a position on, one by one."""
        name = f"_through_{self._chosen[position].role}" if position < len(self._chosen) else "fn"
        return self._called(name)

    def _bulkhead(self, position: int) -> list[str]:
        return [
            "if _permits:",
            f"{INDENT}try:",
            f"{INDENT * 2}_take()",
            f"{INDENT}except IndexError:",
            f"{INDENT * 2}{self._slowly(position)}",
            f"{INDENT}else:",
            # Under a name of its own: type checkers would take the field to be what it was here when it is read again.
            f"{INDENT * 2}_queued = bulkhead._waiting",
            f"{INDENT * 2}if _queued:",
            f"{INDENT * 3}_give(None)",
            f"{INDENT * 3}bulkhead._pass_on()",
            f"{INDENT * 3}{self._slowly(position)}",
            f"{INDENT * 2}else:",
            f"{INDENT * 3}try:",
            *_indented(self.through(position + 1), 4),
            f"{INDENT * 3}finally:",
            f"{INDENT * 4}_give(None)",
            f"{INDENT * 4}if bulkhead._waiting:",
            f"{INDENT * 5}bulkhead._pass_on()",
            "else:",
            f"{INDENT}{self._slowly(position)}",
        ]

    def _limiter(self, position: int) -> list[str]:
        return [f"limiter._admit_call({self._shape.forwarded})", *self.through(position + 1)]

    def _timeout(self, position: int) -> list[str]:
        return [f"{self._async}with timeout.guard():", *_indented(self.through(position + 1), 1)]

    def _breaker(self, position: int) -> list[str]:
        return [
            "_era = breaker._pass",
            "if _era is None:",
            f"{INDENT}{self._slowly(position)}",
            "else:",
            f"{INDENT}try:",
            *_indented(self.through(position + 1), 2),
            f"{INDENT}except Exception as _error:",
            f"{INDENT * 2}breaker._failed(_era, _error)",
            f"{INDENT * 2}raise",
            f"{INDENT}if breaker._failures:",
            f"{INDENT * 2}breaker._succeeded(_era)",
        ]

    def _window(self, position: int) -> list[str]:
        return [
            "_era = breaker._pass",
            "if _era is None:",
            f"{INDENT}{self._slowly(position)}",
            "else:",
            f"{INDENT}_entered = _ticks() if _paced else 0",
            f"{INDENT}try:",
            *_indented(self.through(position + 1), 2),
            f"{INDENT}except Exception as _error:",
            f"{INDENT * 2}breaker._failed(_era, _entered, _error)",
            f"{INDENT * 2}raise",
            f"{INDENT}if breaker._quiet is None or (_paced and _ticks() - _entered >= _slow):",
            f"{INDENT * 2}breaker._succeeded(_era, _entered)",
        ]

    def _retry(self, position: int) -> list[str]:
        again = "_again_async" if self._shape.asynchronous else "_again"
        rest = f"_through_{self._chosen[position + 1].role}" if position + 1 < len(self._chosen) else "fn"
        more = f", {self._shape.forwarded}" if self._shape.forwarded else ""
        return [
            "_began = _clock() if _timed else 0",
            "try:",
            *_indented(self.through(position + 1), 1),
            "except Exception as _raised:",
            f"{INDENT}_failure = _raised",
            "else:",
            f"{INDENT}retry._calls += 1",
            f"{INDENT}return{' _result' if self._kept else ''}",
            "try:",
            f"{INDENT}_call = retry._begin(_began if _timed else retry._read())",
            f"{INDENT}{self._kept}{self._await}retry.{again}(_call, _failure, {rest}{more})",
            "finally:",
            f"{INDENT}del _failure",
        ]


def _indented(lines: Sequence[str], levels: int) -> list[str]:
    return [INDENT * levels + line for line in lines]
