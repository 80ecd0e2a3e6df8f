"""Adapters: what a metrics system sees of a pattern."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest

from certify_codegen.generate import adapters
from codegen_support import import_package, write_package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """A package with both adapters beside it."""
    folder = tmp_path_factory.mktemp("adapters") / "adapted_patterns"
    write_package(folder, only=["circuit_breaker"])
    for name, text in adapters(["opentelemetry", "prometheus"]).items():
        (Path(folder) / name).write_text(text, encoding="utf-8")
    return import_package(folder)


def test_prometheus_sees_events_and_snapshots(package: ModuleType) -> None:
    """Deliver: counters of events and gauges of a snapshot's numbers, its state as a label."""
    adapter = importlib.import_module(f"{package.__name__}.prometheus_adapter").PrometheusAdapter()
    breaker = package.CircuitBreaker(failure_threshold=1, name="stock", on_event=adapter)
    adapter.watch(breaker)
    registry = CollectorRegistry()
    registry.register(adapter)
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 / 0)
    text = generate_latest(registry).decode()
    assert 'resilience_events_total{event="opened",pattern="stock"} 1.0' in text
    assert 'resilience_state{pattern="stock",state="open"} 1.0' in text
    assert 'resilience_era{pattern="stock"} 1.0' in text


def test_opentelemetry_sees_events_and_snapshots(package: ModuleType) -> None:
    """Deliver: a counter of events and observable gauges of a snapshot's numbers."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    adapter = importlib.import_module(f"{package.__name__}.opentelemetry_adapter").OpenTelemetryAdapter(meter)
    breaker = package.CircuitBreaker(failure_threshold=1, name="stock", on_event=adapter)
    adapter.watch(breaker)
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 / 0)
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        (metric.name, *sorted(point.attributes.items())): point.value
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
    }
    assert points["resilience.events", ("event", "opened"), ("pattern", "stock")] == 1
    assert points["resilience.state", ("pattern", "stock"), ("state", "open")] == 1
    assert points["resilience.era", ("pattern", "stock")] == 1
