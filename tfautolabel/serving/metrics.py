"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from tfautolabel._optional import require

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server, in a registry of their own.

    Model names come from the served models, never from a request's address: so clients cannot add names.
    """

    def __init__(self) -> None:
        client = require("prometheus_client", extra="serve")
        self._client = client
        self._registry = client.CollectorRegistry()
        prefix = "tfautolabel_serving"
        self._requests = client.Counter(
            f"{prefix}_requests", "Requests", ["model", "method", "code"], registry=self._registry
        )
        self._seconds = client.Histogram(
            f"{prefix}_request_seconds",
            "Seconds from the headers of a request to its answer",
            ["model", "method"],
            buckets=LATENCIES,
            registry=self._registry,
        )
        self._batch_rows = client.Histogram(
            f"{prefix}_batch_rows", "Rows in one call", ["model"], buckets=BATCH_ROWS, registry=self._registry
        )
        self._versions = client.Gauge(
            f"{prefix}_versions", "Versions that are served", registry=self._registry
        )
        self._waiting = client.Gauge(
            f"{prefix}_waiting_rows", "Rows that wait or are computed", registry=self._registry
        )

    @property
    def content_type(self) -> str:
        """The content type of `text`."""
        return str(self._client.CONTENT_TYPE_LATEST)

    def text(self) -> bytes:
        """Returns all counters in Prometheus's text format."""
        return bytes(self._client.generate_latest(self._registry))

    def count_request(self, model: str, method: str, code: int, seconds: float) -> None:
        """Counts one answered request."""
        self._requests.labels(model, method, str(code)).inc()
        self._seconds.labels(model, method).observe(seconds)

    def count_batch(self, model: str, rows: int) -> None:
        """Counts one call of a model, when it begins."""
        self._batch_rows.labels(model).observe(rows)

    def set_versions(self, count: int) -> None:
        """Sets how many versions are served."""
        self._versions.set(count)

    def watch_queue(self, waiting: Callable[[], float]) -> None:
        """Sets the function that returns how many rows wait."""
        self._waiting.set_function(waiting)
