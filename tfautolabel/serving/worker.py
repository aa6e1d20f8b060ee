"""One of several processes that answer at the same port; `supervisor` starts it and tells it what to do.

This file imports no TensorFlow by itself, so that the supervisor can name its function and stay small.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socket
from typing import Any

from tfautolabel._cores import limit_cores
from tfautolabel._optional import MissingExtraError
from tfautolabel.serving.places import Place
from tfautolabel.serving.settings import Settings

LOADED, SERVING, REFUSED, NEWS = "loaded", "serving", "refused", "news"
"""The first word of what a worker says: its models are loaded; it answers; it cannot; a version changed."""

LISTEN, STOP = "listen", "stop"
"""What a worker is told. The end of the pipe means that it shall stop too."""

REFUSALS = (MissingExtraError, ImportError, OSError, ValueError)
"""What keeps a worker from beginning, and is said in one sentence."""


@dataclass(frozen=True)
class Orders:
    """What a worker is given when it begins; it can be sent to another process.

    Attributes:
        number: which worker it is, from 1.
        places: where the models are.
        settings: how the server runs.
        grpc_at: the address and the port for gRPC, or None.
        cores: how many cores this worker may use.
        counters: the folder for the counters of all workers.
        begin: is called first; sets up what a command sets up, such as the log.
    """

    number: int
    places: Sequence[Place]
    settings: Settings
    grpc_at: tuple[str, int] | None
    cores: int
    counters: Path
    begin: Callable[[], None]


def work(orders: Orders, pipe: Connection, listening: socket) -> None:
    """Loads the models, says so, waits until all workers have, and answers until it is told to stop.

    Args:
        orders: what to do.
        pipe: to the supervisor.
        listening: a bound socket.
    """
    # The terminal interrupts all its processes at once; the supervisor says when this one shall stop.
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    orders.begin()
    limit_cores(orders.cores)
    told = _Told(pipe)
    logging.getLogger("tfautolabel.serving").addFilter(_ToSupervisor(orders.number, told))
    try:
        _serve(orders, told, listening)
    except REFUSALS as error:
        # Of a class that takes one sentence, which others derived from it may not.
        told.say(REFUSED, next(kind for kind in REFUSALS if isinstance(error, kind)), str(error))


def _serve(orders: Orders, told: _Told, listening: socket) -> None:
    from tfautolabel.serving.metrics import Metrics
    from tfautolabel.serving.ports import BACKLOG
    from tfautolabel.serving.server import build_server, check_served, load_models, loop_of, run_server

    metrics = Metrics(orders.counters, orders.number)
    models = load_models(orders.places, orders.settings, metrics)
    check_served(models, orders.places)
    server = build_server(models, metrics, orders.settings, grpc_at=orders.grpc_at)
    server.config.app.on_ready = lambda: told.say(SERVING, models.names(), loop_of(server))
    told.say(LOADED)
    told.wait_for_listen()
    listening.listen(BACKLOG)
    told.stops(server)
    run_server(server, listening)


class _Told:
    """The pipe to the supervisor: says things, and does what it is told in a thread of its own."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._may_listen = threading.Event()
        self._saying = threading.Lock()
        self._server: Any = None
        threading.Thread(target=self._hear, name="supervisor", daemon=True).start()

    def say(self, *message: Any) -> None:
        """Says something; nothing happens if nobody hears it any more."""
        with self._saying:
            try:
                self._pipe.send(message)
            except OSError:
                return

    def wait_for_listen(self) -> None:
        """Waits until the supervisor lets this worker listen."""
        self._may_listen.wait()

    def stops(self, server: Any) -> None:
        """Sets the server that finishes its requests when it is told to stop."""
        own = server.handle_exit
        server.handle_exit = lambda number, frame: None if number == signal.SIGINT else own(number, frame)
        self._server = server

    def _hear(self) -> None:
        while True:
            try:
                word = self._pipe.recv()
            except (EOFError, OSError):  # the supervisor is gone
                word = STOP
            if word == LISTEN:
                self._may_listen.set()
            elif self._server is None:
                os._exit(0)
            else:
                self._server.should_exit = True
                return


VERSION_NEWS = ("version served", "version released", "version refused", "model refused")
_OF_VERSIONS = ("model", "version", "folder", "error")


class _ToSupervisor(logging.Filter):
    """Gives a record the worker's number; the supervisor gets what is said of versions, and says it once."""

    def __init__(self, number: int, told: _Told) -> None:
        super().__init__()
        self._number = number
        self._told = told

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether this worker writes the record itself."""
        said = {key: vars(record)[key] for key in _OF_VERSIONS if key in vars(record)}
        if "model" in said and record.msg in VERSION_NEWS:
            self._told.say(NEWS, record.levelno, record.msg, said)
            return False
        record.worker = self._number
        return bool(record.msg != "stopped")  # the supervisor sees and says it
