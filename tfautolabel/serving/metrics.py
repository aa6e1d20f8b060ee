"""What the server counts, for Prometheus."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from tfautolabel._optional import require

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server, in a registry of their own.

    Model names come from the served models, never from a request's address: so clients cannot add names.

    Args:
        folder: where the processes of a server keep their counters, so that each of them gives the sum; None
            for a server of one process.
        worker: the number of this process there. One that takes the place of another goes on with its
            counters.
    """

    def __init__(self, folder: Path | None = None, worker: int = 0) -> None:
        client = require("prometheus_client", extra="serve")
        self._client = client
        self._registry = client.CollectorRegistry()
        if folder is not None:
            _count_in_files(client, folder, worker)
        # What is in files is read by the collector of all of them instead.
        keeps = {"registry": self._registry if folder is None else None}
        if folder is not None:
            require("prometheus_client.multiprocess", extra="serve").MultiProcessCollector(
                self._registry, str(folder)
            )
        prefix = "tfautolabel_serving"
        self._requests = client.Counter(
            f"{prefix}_requests", "Requests", ["model", "method", "code"], **keeps
        )
        self._seconds = client.Histogram(
            f"{prefix}_request_seconds",
            "Seconds from the headers of a request to its answer",
            ["model", "method"],
            buckets=LATENCIES,
            **keeps,
        )
        self._batch_rows = client.Histogram(
            f"{prefix}_batch_rows", "Rows in one call", ["model"], buckets=BATCH_ROWS, **keeps
        )
        self._versions = client.Gauge(
            f"{prefix}_versions", "Versions that are served", multiprocess_mode="livemin", **keeps
        )
        self._of_request = lru_cache(maxsize=4096)(self._children_of)
        self._waiting = client.Gauge(
            f"{prefix}_waiting_rows", "Rows that wait or are computed", multiprocess_mode="livesum", **keeps
        )

    @property
    def content_type(self) -> str:
        """The content type of `text`."""
        return str(self._client.CONTENT_TYPE_LATEST)

    def text(self) -> bytes:
        """Returns all counters in Prometheus's text format."""
        return bytes(self._client.generate_latest(self._registry))

    def count_request(self, model: str, method: str, code: int | str, seconds: float) -> None:
        """Counts one answered request.

        Args:
            model: the name of a served model, or nothing.
            method: what was asked for.
            code: the HTTP status.
            seconds: what the request took.
        """
        count, took = self._of_request(model, method, str(code))
        count.inc()
        took.observe(seconds)

    def _children_of(self, model: str, method: str, code: str) -> tuple[Any, Any]:
        return self._requests.labels(model, method, code), self._seconds.labels(model, method)

    def count_batch(self, model: str, rows: int) -> None:
        """Counts one call of a model, when it begins."""
        self._batch_rows.labels(model).observe(rows)

    def set_versions(self, count: int) -> None:
        """Sets how many versions are served; of several processes the least counts."""
        self._versions.set(count)

    def set_waiting(self, rows: int) -> None:
        """Sets how many rows wait or are computed in this process."""
        self._waiting.set(rows)


def forget_worker(folder: Path, worker: int) -> None:
    """Takes what a process that ended held at the moment out of the sums; what it counted stays."""
    require("prometheus_client.multiprocess", extra="serve").mark_process_dead(worker, str(folder))


def _count_in_files(client: Any, folder: Path, worker: int) -> None:
    """Has prometheus_client keep this process's values in files; to be called before any is made."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    client.values.ValueClass = client.values.MultiProcessValue(process_identifier=lambda: worker)
