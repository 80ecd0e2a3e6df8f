"""Fused functions: orders that are refused, signatures, and the same behaviour as the layers one by one."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from itertools import permutations
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certify_codegen import fusion
from certify_codegen.generate import Fused, fused_file
from certify_spec.diagnostics import RequestError
from codegen_support import SPECS, generated, import_package, names, specification, write_package

ORDERS = (
    "retry,breaker,bulkhead",
    "bulkhead,timeout,retry,breaker",
    "limiter,bulkhead,retry,breaker,timeout",
    "retry,window,bulkhead",
    "window",
)
ROLES = [name for name in fusion.LAYERS if name != "window"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """A package with a fused function for each order, plain and asynchronous."""
    folder = tmp_path_factory.mktemp("fused") / "fusion_patterns"
    write_package(folder)
    modules = [generated(name) for name in names()]
    proofs = {"Stack": ""} | {each.convention.machine: "" for each in modules}
    for number, order in enumerate(ORDERS):
        for prefix in ("", "async "):
            shape = fusion.signature(f"{prefix}{prefix.strip()}f{number}(x: int, /, *, twice: bool = False) -> int")
            name, text = fused_file(
                Fused(fusion.layers(order.split(",")), shape), specification("stack"), modules, proofs
            )
            (folder / name).write_text(text, encoding="utf-8")
    return import_package(folder)


@pytest.mark.parametrize("order", ["breaker,retry", "bulkhead,breaker,timeout,retry", "timeout,breaker"])
def test_unsafe_orders_are_refused_with_the_safe_one(order: str) -> None:
    """P-COMPOSE: an order that breaks a property is refused with the reason, and the order that is named is safe."""
    found = fusion.unsafe(fusion.layers(order.split(",")), specification("stack"))
    assert [each.code for each in found] == ["GEN010"]
    assert found[0].because
    named = found[0].fix.removeprefix("the safe order is ").split(",")
    assert sorted(named) == sorted(order.split(","))
    assert fusion.unsafe(fusion.layers(named), specification("stack")) == ()


def test_an_attempt_that_the_breaker_does_not_see_is_refused() -> None:
    """P-COMPOSE: a time-out of attempts outside the breaker hides a backend that hangs."""
    [found] = fusion.unsafe(fusion.layers(["retry", "timeout", "breaker"]), specification("stack"))
    assert "`sees_hangs` fails" in found.message
    assert "inside a time limit, a breaker takes a call that hangs for a cancelled one" in found.because
    assert found.fix == "the safe order is retry,breaker,timeout"


def test_every_safe_order_is_safe() -> None:
    """P-COMPOSE: whatever is asked for, the order that is advised is not refused in turn."""
    for count in range(1, len(ROLES) + 1):
        for chosen in permutations(ROLES, count):
            assert fusion.unsafe(fusion.layers(fusion.safe_order(chosen)), specification("stack")) == (), chosen


def test_the_bounds_name_properties_that_exist() -> None:
    """P10: each bound in a docstring names the claims that prove it, and the specifications make them."""
    for order in (*permutations(ROLES), ["retry", "window"]):
        for _what, why in fusion.bounds(fusion.layers(order)):
            for claim in why.split(", ") if "." in why else []:
                machine, _, name = claim.partition(".")
                spec = next(specification(n) for n in SPECS if specification(n).name == machine)
                assert name in {each.name for each in (*spec.formulas, *spec.steps, *spec.progress)}, claim


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fetch(", "no signature"),
        ("fetch(x) -> int: pass\nimport os", "no signature"),
        ("fetch(_era: int) -> int", "a name that the frame needs"),
        ("fetch(retry: int) -> int", "a name that the frame needs"),
        ("len(x: int) -> int", "a name that the frame needs"),
        ("", "no signature"),
    ],
)
def test_bad_signatures_are_refused(text: str, why: str) -> None:
    """A signature that cannot be fused is a wrong request, told as one."""
    with pytest.raises(RequestError, match="GEN012") as caught:
        fusion.signature(text)
    assert why in str(caught.value)


@pytest.mark.parametrize("layers", [["retry", "retry"], ["window", "breaker"], ["retires"], []])
def test_bad_layers_are_refused(layers: list[str]) -> None:
    """So are layers that do not exist or stand there twice."""
    with pytest.raises(RequestError, match="GEN012"):
        fusion.layers(layers)


@pytest.mark.parametrize("number", range(len(ORDERS)))
@pytest.mark.parametrize("prefix", ["", "async"])
def test_a_fused_function_does_what_its_layers_do(number: int, prefix: str, package: ModuleType) -> None:
    """P-COMPOSE: results, errors, events and the state of every layer are those of the layers one by one."""
    order = ORDERS[number].split(",")
    name = f"{prefix}f{number}"
    fuse = getattr(importlib.import_module(f"{package.__name__}.fused_{name}"), f"fuse_{name}")
    answers = st.lists(st.sampled_from(["ok", "ok", "slow", "fail", "reject", "stop"]), max_size=12)

    def play(script: list[str], *, fused: bool) -> list[object]:
        time, told, coming = [0], [], list(script)

        def clock() -> int:
            return time[0]

        def pass_time(seconds: float) -> None:
            time[0] += round(seconds * 1e9)

        async def pass_time_async(seconds: float) -> None:
            pass_time(seconds)

        def listener(event: Any) -> None:
            told.append((event.source, event.kind, event.at))

        common = {"clock": clock, "on_event": listener}
        makers = {
            "retry": lambda: package.Retry(
                attempts=2, idempotent=True, base=1.0, deadline=20.0, reserve=3, random=lambda: 0.5,
                sleep=pass_time, asleep=pass_time_async, **common,
            ),
            "breaker": lambda: package.CircuitBreaker(failure_threshold=2, recovery_time=4.0, **common),
            "window": lambda: package.CountWindowBreaker(
                window=4, minimum=2, slow_call=None if len(order) > 1 else 0.6, recovery_time=4.0, **common
            ),
            "bulkhead": lambda: package.Bulkhead(capacity=1, **common),
            "timeout": lambda: package.Timeout(10.0, **common),
            "limiter": lambda: package.RateLimiter(rate=1.0, burst=6, **common),
        }  # fmt: skip
        layers = {fusion.LAYERS[each].role: makers[each]() for each in order}

        def answer(x: int, twice: bool) -> int:
            said = coming.pop(0) if coming else "ok"
            pass_time(0.7 if said == "slow" else 0.5)
            if said == "fail":
                raise ConnectionError(x)
            if said == "reject":
                raise package.Rejected("elsewhere")
            if said == "stop":
                raise KeyboardInterrupt
            return x * 2 if twice else x

        def backend(x: int, /, *, twice: bool = False) -> int:
            return answer(x, twice)

        async def backend_async(x: int, /, *, twice: bool = False) -> int:
            return answer(x, twice)

        function: Any = backend_async if prefix else backend
        if fused:
            function = fuse(function, **layers)
        else:
            for each in reversed(layers.values()):
                function = each(function)
        seen: list[object] = []
        for x in range(8):
            try:
                result = function(x, twice=x % 2 == 1)
                seen.append(asyncio.run(result) if prefix else result)
            except (Exception, KeyboardInterrupt) as error:
                seen.append((type(error).__name__, str(error)))
            pass_time(1.0)
        return [seen, told, [layer.snapshot() for layer in layers.values()], time]

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(answers)
    def run(script: list[str]) -> None:
        assert play(script, fused=True) == play(script, fused=False)

    run()


def test_a_frame_that_writes_what_is_not_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """P2, P7: a frame writes the fields of its layers by the proved shortcuts and in no other way."""
    frame = fusion.frame
    for seeded in ("breaker._failures = 0", "breaker._calls += 1", "retry._retries, _other = 0, 0"):
        monkeypatch.setattr("certify_codegen.generate.frame", lambda *given, line=seeded: [line, *frame(*given)])
        fused = Fused(fusion.layers(["retry", "breaker"]), fusion.signature("call(x: int) -> int"))
        modules = [generated(name) for name in ("retry", "circuit_breaker")]
        proofs = dict.fromkeys(("Stack", "Retry", "CircuitBreaker"), "")
        with pytest.raises(RequestError, match=r"GEN004.*outside the machine"):
            fused_file(fused, specification("stack"), modules, proofs)


def test_a_fused_function_looks_like_the_function(package: ModuleType) -> None:
    """Its signature, name and docstring are those of what it protects, and its bounds stand in the docstring."""
    module = importlib.import_module(f"{package.__name__}.fused_f0")

    def f0(x: int, /, *, twice: bool = False) -> int:
        """Ask the backend."""
        return x

    made = module.fuse_f0(
        f0, retry=package.Retry(idempotent=True), breaker=package.CircuitBreaker(), bulkhead=package.Bulkhead()
    )
    assert inspect.signature(made) == inspect.signature(f0)
    assert made.__doc__ == "Ask the backend."
    assert "calls downstream per request: at most `retry.attempts`" in module.fuse_f0.__doc__


def test_what_does_not_go_together_is_refused_when_it_is_fused(package: ModuleType) -> None:
    """P5: a time-out that leaves work running is never fused, so no bulkhead stands outside it unseen."""
    module = importlib.import_module(f"{package.__name__}.fused_f1")
    layers = {
        "bulkhead": package.Bulkhead(),
        "timeout": package.Timeout(1.0, abandon=True),
        "retry": package.Retry(idempotent=True),
        "breaker": package.CircuitBreaker(),
    }
    with pytest.raises(ValueError, match="leaves work running"):
        module.fuse_f1(int, **layers)
