"""The running server: uvicorn around the application, and the watch over folders."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tfautolabel._optional import MODULES, require
from tfautolabel.runs.outputs import run_of_model
from tfautolabel.serving.application import Application
from tfautolabel.serving.batching import Batching
from tfautolabel.serving.http_protocol import bounded_protocol
from tfautolabel.serving.metrics import Metrics
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.places import Place
from tfautolabel.serving.servable import load_servable
from tfautolabel.serving.settings import Settings
from tfautolabel.serving.studio_training import Training

_log = logging.getLogger("tfautolabel.serving")
BACKLOG = 2048
COLLECTED_AFTER = (100_000, 50, 100)
"""After so many new objects Python's garbage collector looks for cycles; requests make no cycles."""
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients keep theirs, so that they close it first."""


def serve(places: Sequence[Place], settings: Settings) -> None:
    """Serves models until SIGTERM or SIGINT, then finishes the requests that have begun.

    Args:
        places: where the models are.
        settings: how the server runs.

    Raises:
        MissingExtraError: If the extra is not installed.
        OSError: If the address is already in use.
        ValueError: If a setting is out of range or no model can be loaded.
    """
    settings.check()
    for module in MODULES["serve"]:
        require(module, extra="serve")
    listening = listen(settings.host, settings.port)
    try:
        metrics = Metrics()
        load = partial(load_servable, merge_all=settings.merge_all)
        models = ServedModels(places, keep=settings.keep, load=load, on_change=metrics.set_versions)
        # What has been imported never goes; without it the collector is done many times as fast, and lists
        # of millions in a request do not make it look at them again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTED_AFTER)
        if not settings.label_studio:  # else it answers while the model loads
            models.refresh(at_once=True)
            _check_served(models, places)
        host, port = listening.getsockname()[:2]
        listening.listen(BACKLOG)  # clients may connect now; the loop answers once it begins
        _log.info("serving", extra={"host": host, "port": port, "models": models.names()})
        training = Training(_run_of(places)) if settings.label_studio else None
        build_server(models, metrics, settings, training).run(sockets=[listening])
        _check_served(models, places)
    finally:
        listening.close()


def build_server(
    models: ServedModels, metrics: Metrics, settings: Settings, training: Training | None = None
) -> Any:
    """Returns a `uvicorn.Server` that has not started yet.

    Args:
        models: the models to serve; the server keeps them up to date while it runs.
        metrics: counts requests.
        settings: how the server runs; the caller handles host and port.
        training: as for `Application`. With Label Studio, the models are loaded while the server answers, and
            it stops if none can be served.
    """
    uvicorn = require("uvicorn", extra="serve")
    served = _Served(models, metrics, settings, training)
    config = uvicorn.Config(
        served,
        http=bounded_protocol(settings.timeout),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.grace,
    )
    server = uvicorn.Server(config)
    served.stop = lambda: setattr(server, "should_exit", True)
    return server


class _Served:
    """Makes the application in the event loop, and watches the folders while the loop runs."""

    def __init__(
        self, models: ServedModels, metrics: Metrics, settings: Settings, training: Training | None
    ) -> None:
        self.stop: Callable[[], None] = lambda: None
        self._models = models
        self._metrics = metrics
        self._settings = settings
        self._training = training
        self._application: Application | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._application is not None:
            await self._application(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        settings, metrics = self._settings, self._metrics
        batching = Batching(
            settings.max_batch,
            settings.batch_wait,
            settings.max_queue,
            settings.threads,
            lambda servable, rows: metrics.count_batch(servable.name, rows),
        )
        self._application = Application(self._models, batching, metrics, settings, self._training)
        await receive()
        first = self.stop if settings.label_studio and not self._models.names() else None
        watch = asyncio.create_task(_watch(self._models, settings.poll, first))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        self._application.close()
        _log.info("stopped")
        await send({"type": "lifespan.shutdown.complete"})


async def _watch(
    models: ServedModels, seconds: float, stop_without: Callable[[], None] | None = None
) -> None:
    """Keeps models up to date with their folders; loads in a thread, so that requests go on.

    Args:
        models: the models.
        seconds: between two looks.
        stop_without: has the models loaded at once first; is called if then none can be served.
    """
    pool = ThreadPoolExecutor(1, "loading")
    try:
        if stop_without is not None:
            await asyncio.get_running_loop().run_in_executor(pool, partial(models.refresh, at_once=True))
            if not models.names():
                stop_without()
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.get_running_loop().run_in_executor(pool, models.refresh)
            except Exception:
                _log.exception("the folders cannot be looked at")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _run_of(places: Sequence[Place]) -> Path | None:
    """Returns the folder of the run that the only model belongs to; None if it belongs to none."""
    return run_of_model(places[0].path) if len(places) == 1 and places[0].kind != "models" else None


def _check_served(models: ServedModels, places: Sequence[Place]) -> None:
    if not models.names():
        raise ValueError(f"no model can be served. Received: {_why_not(models, places)}")


def _why_not(models: ServedModels, places: Sequence[Place]) -> str:
    return "; ".join(
        f"{name} version {version['version']}: {version['status']['error_message']}"
        for place in places
        for name, _ in place.models()
        for version in models.status(name)["model_version_status"]
    )


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket, bound before the models load, so that a port in use is reported at once.

    Args:
        host: name or address.
        port: 0 for a free one.

    Raises:
        OSError: If the port is in use or there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
        # If the protocol is named, asyncio sends at once (TCP_NODELAY); else each answer may wait 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise OSError(f"cannot listen at {host} port {port} ({error.strerror or error})") from error
    listening.set_inheritable(True)
    return listening
