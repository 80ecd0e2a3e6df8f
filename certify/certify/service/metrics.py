"""What is measured, for Prometheus.

Rules this module keeps:

- every service has a registry of metrics of its own, so that two in one process do not mix;
- labels come from the declared endpoints, never from what a client sent: their number is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from certify.service.service import Service

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10)


class Metrics:
    """The service's metrics.

    Args:
        service: what is measured.
    """

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Histogram(
            "certify_request_seconds",
            "Time from a request to the end of its answer.",
            ("method", "endpoint", "status"),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.conflicts = Counter(
            "certify_conflicts", "Changes that found another version.", ("kind",), registry=self.registry
        )
        self.refused = Counter("certify_refused", "Refusals by code.", ("code",), registry=self.registry)
        self.backpressure = Counter(
            "certify_backpressure", "Requests that were not taken on.", ("reason",), registry=self.registry
        )
        self.warned = Counter(
            "certify_nearly_full", "Times that 80 % of the places were taken.", registry=self.registry
        )
        self._gauge("certify_in_flight", "Requests in flight.", lambda: service.places.in_flight)
        self._gauge("certify_in_flight_capacity", "Places for requests.", lambda: service.places.capacity)
        self._gauge("certify_streams", "Open event streams.", lambda: service.hub.streams)
        self._gauge("certify_write_queue", "Writes that nobody has begun.", lambda: service.desk.waiting)
        self._gauge("certify_batches", "Transactions that wrote something.", lambda: service.desk.batches)
        self._gauge("certify_writes", "Writes in these transactions.", lambda: service.desk.writes)
        self._gauge("certify_clients", "Clients with a bucket that is not full.", lambda: service.buckets.clients)
        self._gauge("certify_readers", "Threads that read.", lambda: service.settings.readers)
        self.waiting_reviews = Gauge("certify_queue", "Releases by status.", ("status",), registry=self.registry)
        self.log_size = Gauge("certify_log_entries", "Entries of the log.", registry=self.registry)

    def _gauge(self, name: str, meaning: str, read: object) -> None:
        gauge = Gauge(name, meaning, registry=self.registry)
        gauge.set_function(read)  # type: ignore[arg-type]  # a function that gives a number

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
