"""The running server: uvicorn around the application, and the watch over folders."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

from tfautolabel._gpus import visible_gpus
from tfautolabel._optional import require, require_extra
from tfautolabel.runs.outputs import run_of_model
from tfautolabel.serving.application import Application
from tfautolabel.serving.batching import Batching
from tfautolabel.serving.http_protocol import bounded_protocol
from tfautolabel.serving.metrics import Metrics
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.places import Place
from tfautolabel.serving.ports import BACKLOG, listen
from tfautolabel.serving.servable import load_servable
from tfautolabel.serving.settings import Settings
from tfautolabel.serving.studio_training import Training

if TYPE_CHECKING:
    from tfautolabel.serving.grpc_server import GrpcServer

_log = logging.getLogger("tfautolabel.serving")
COLLECTED_AFTER = (100_000, 50, 100)
"""After so many new objects Python's garbage collector looks for cycles; requests make no cycles."""
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients keep theirs, so that they close it first."""


def serve(places: Sequence[Place], settings: Settings) -> None:
    """Serves models in this process until SIGTERM or SIGINT, then finishes the requests that have begun.

    Args:
        places: where the models are.
        settings: how the server runs.

    Raises:
        MissingExtraError: If the extra is not installed.
        OSError: If the address is already in use.
        ValueError: If a setting is out of range or no model can be loaded.
    """
    settings.check()
    require_extra("serve")
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(contextlib.closing(listen(settings.host, settings.port)))
        host, port = listening.getsockname()[:2]
        grpc_at = None
        if settings.grpc_port is not None:
            require_extra("grpc")
            # Held while the models load; gRPC binds its ports itself.
            reserved = stack.enter_context(contextlib.closing(listen(settings.host, settings.grpc_port)))
            grpc_at = reserved.getsockname()[:2]
        metrics = Metrics()
        models = load_models(places, settings, metrics)
        if not settings.label_studio:  # else it answers while the model loads
            check_served(models, places)
        listening.listen(BACKLOG)  # clients may connect now; the loop answers once it begins
        training = Training(_run_of(places)) if settings.label_studio else None
        server = build_server(models, metrics, settings, training, grpc_at)
        details = {"host": host, "port": port, "loop": loop_of(server), **grpc_details(grpc_at)}
        server.config.app.on_ready = lambda: _log.info("serving", extra={**details, "models": models.names()})
        if grpc_at is not None:
            reserved.close()
        run_server(server, listening)
        check_served(models, places)


def load_models(places: Sequence[Place], settings: Settings, metrics: Metrics) -> ServedModels:
    """Returns the models, loaded unless the settings have the server answer Label Studio meanwhile."""
    visible_gpus()  # before the first model takes a GPU: several workers may share it
    load = partial(load_servable, merge_all=settings.merge_all)
    models = ServedModels(places, keep=settings.keep, load=load, on_change=metrics.set_versions)
    # What has been imported never goes; without it the collector is done many times as fast, and lists
    # of millions in a request do not make it look at them again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    if not settings.label_studio:
        models.refresh(at_once=True)
    return models


def loop_of(server: Any) -> str:
    """Returns the package of the event loop that a server will run in: uvloop or asyncio."""
    factory = server.config.get_loop_factory() or asyncio.new_event_loop
    return str(factory.__module__).partition(".")[0]


def grpc_details(grpc_at: tuple[str, int] | None) -> dict[str, int]:
    """Returns what the log says of the gRPC port."""
    return {} if grpc_at is None else {"grpc_port": grpc_at[1]}


def run_server(server: Any, listening: socket) -> None:
    """Runs a server until it is told to stop.

    Args:
        server: from `build_server`.
        listening: a socket that listens.

    Raises:
        OSError: If it cannot begin, because the gRPC port is in use.
    """
    try:
        server.run(sockets=[listening])
    except SystemExit:
        if server.config.app.failure is not None:
            raise server.config.app.failure from None
        raise


def build_server(
    models: ServedModels,
    metrics: Metrics,
    settings: Settings,
    training: Training | None = None,
    grpc_at: tuple[str, int] | None = None,
) -> Any:
    """Returns a `uvicorn.Server` that has not started yet.

    Args:
        models: the models to serve; the server keeps them up to date while it runs.
        metrics: counts requests.
        settings: how the server runs; the caller handles host and port.
        training: as for `Application`. With Label Studio, the models are loaded while the server answers, and
            it stops if none can be served.
        grpc_at: the address and the port for gRPC, if the server shall answer it too.
    """
    uvicorn = require("uvicorn", extra="serve")
    served = _Served(models, metrics, settings, training, grpc_at)
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

    async def shutdown(sockets: list[socket] | None = None) -> None:
        # Both protocols stop at once, so that the time for what is under way is the same.
        stopping = asyncio.create_task(served.stop_grpc(0.0 if server.force_exit else settings.grace))
        await uvicorn.Server.shutdown(server, sockets)
        await stopping

    server.shutdown = shutdown
    return server


class _Served:
    """Makes the application in the event loop, and watches the folders while the loop runs."""

    def __init__(
        self,
        models: ServedModels,
        metrics: Metrics,
        settings: Settings,
        training: Training | None,
        grpc_at: tuple[str, int] | None,
    ) -> None:
        self.stop: Callable[[], None] = lambda: None
        self.on_ready: Callable[[], None] = lambda: None
        self.failure: OSError | None = None
        self._models = models
        self._metrics = metrics
        self._settings = settings
        self._training = training
        self._grpc_at = grpc_at
        self._grpc: GrpcServer | None = None
        self._grpc_stopped = asyncio.Event()
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
            metrics.set_waiting,
        )
        self._application = Application(self._models, batching, metrics, settings, self._training)
        await receive()
        try:
            await self._start_grpc(self._application)
        except OSError as error:
            self.failure = error
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self.on_ready()
        first = self.stop if settings.label_studio and not self._models.names() else None
        watch = asyncio.create_task(_watch(self._models, settings.poll, first))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        await self._grpc_stopped.wait()
        self._application.close()
        _log.info("stopped")
        await send({"type": "lifespan.shutdown.complete"})

    async def _start_grpc(self, application: Application) -> None:
        if self._grpc_at is not None:
            from tfautolabel.serving.grpc_server import GrpcServer

            self._grpc = GrpcServer(application, *self._grpc_at)
            await self._grpc.start()

    async def stop_grpc(self, grace: float) -> None:
        """Stops the gRPC server, if there is one, within so many seconds."""
        if self._grpc is not None:
            await self._grpc.stop(grace)
        self._grpc_stopped.set()


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


def check_served(models: ServedModels, places: Sequence[Place]) -> None:
    """Refuses to go on without a model.

    Raises:
        ValueError: If none is served; the message says why of each version.
    """
    if not models.names():
        raise ValueError(f"no model can be served. Received: {_why_not(models, places)}")


def _why_not(models: ServedModels, places: Sequence[Place]) -> str:
    return "; ".join(
        f"{name} version {version['version']}: {version['status']['error_message']}"
        for place in places
        for name, _ in place.models()
        for version in models.status(name)["model_version_status"]
    )
