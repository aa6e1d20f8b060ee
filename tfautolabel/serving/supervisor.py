"""Several processes that answer at one port: starts them, replaces those that end, ends all in order."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tfautolabel._cores import granted_cores
from tfautolabel._optional import require_extra
from tfautolabel.serving.metrics import forget_worker
from tfautolabel.serving.news import News
from tfautolabel.serving.places import Place
from tfautolabel.serving.ports import SPREADS, SharedPort
from tfautolabel.serving.settings import Settings
from tfautolabel.serving.worker import LISTEN, LOADED, NEWS, SERVING, STOP, Orders, work

_log = logging.getLogger("tfautolabel.serving")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a worker that ends again is started again; they double from the first to the longest."""

STEADY_SECONDS = 60.0
"""A worker that has answered for so long is started again at once when it ends."""

MARGIN_SECONDS = 5.0
"""How much longer than its requests a worker may take to end."""


def nothing() -> None:
    """Begins a worker without anything."""


def serve_in_workers(
    places: Sequence[Place],
    settings: Settings,
    begin: Callable[[], None] = nothing,
    work: Callable[..., None] = work,
) -> None:
    """Serves models in `settings.workers` processes until SIGTERM or SIGINT.

    The port is open once all of them have loaded their models. A process that ends is replaced: at once if it
    had answered for a minute, else after a pause that doubles. This process imports no TensorFlow.

    Args:
        places: where the models are.
        settings: how the server runs; the limits hold for each process.
        begin: called first in each process; must be a function of a module, or made of one by `partial`.
        work: what a process does, see `worker.work`.

    Raises:
        MissingExtraError: If the extra is not installed.
        OSError: If the address is already in use.
        ValueError: If a setting is out of range or no model can be loaded.
        RuntimeError: If a process ends before all have loaded their models.
    """
    settings.check()
    require_extra("serve")
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(contextlib.closing(SharedPort(settings.host, settings.port)))
        ports, grpc_at = [port], None
        if settings.grpc_port is not None:
            grpc_port = stack.enter_context(_grpc_port(settings.host, settings.grpc_port))
            ports.append(grpc_port)
            grpc_at = grpc_port.host, grpc_port.port
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfautolabel-")))
        signals = stack.enter_context(_stop_signals())
        cores = max(1, granted_cores() // settings.workers)
        crew = [
            _Worker(Orders(number, places, settings, grpc_at, cores, folder, begin), port, work)
            for number in range(1, settings.workers + 1)
        ]
        _Supervisor(crew, ports, settings.grace).run(signals)


def _grpc_port(host: str, port: int) -> contextlib.closing[SharedPort]:
    """Returns the port at which each worker's gRPC server will listen; gRPC takes no socket from others."""
    require_extra("grpc")
    if not SPREADS:
        raise ValueError(
            "several workers can have one grpc_port on Linux only. Received: workers and grpc_port elsewhere"
        )
    return contextlib.closing(SharedPort(host, port))


@contextlib.contextmanager
def _stop_signals() -> Iterator[Connection]:
    """Has SIGTERM and SIGINT put their numbers into a pipe, which can be waited for, and yields its end."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda came, _: theirs.send(came)) for number in numbers]
    try:
        yield ours
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        ours.close()
        theirs.close()


class _Worker:
    """A place for a process, which another one takes when it ends.

    Attributes:
        number: of the worker, from 1.
        process: what runs; None while nothing does.
        is_loaded: whether its models are loaded.
        is_serving: whether it answers.
        due: when it is to be started, by the monotonic clock; None while it runs.
    """

    def __init__(self, orders: Orders, port: SharedPort, work: Callable[..., None]) -> None:
        self.number = orders.number
        self.process: Any = None
        self.is_loaded = self.is_serving = False
        self.due: float | None = 0.0
        self._pipe: Connection | None = None
        self._orders = orders
        self._port = port
        self._work = work
        self._pause = 0.0
        self._since = 0.0

    def start(self) -> None:
        """Starts the process."""
        context = multiprocessing.get_context("spawn")  # TensorFlow does not work after a fork
        self._pipe, theirs = context.Pipe()
        with contextlib.closing(self._port.socket()) as listening:
            arguments = (self._orders, theirs, listening)
            self.process = context.Process(target=self._work, args=arguments, daemon=True)
            self.process.start()
        theirs.close()
        self.due = None
        self._since = time.monotonic()

    def signs(self) -> list[Any]:
        """Returns what to wait for: the process's end, and what it says until it hangs up."""
        return [] if self.process is None else [self.process.sentinel, *filter(None, [self._pipe])]

    def heard(self) -> Iterator[tuple[Any, ...]]:
        """Yields what the process has said; what it said before it ended counts."""
        try:
            while self._pipe is not None and self._pipe.poll():
                yield self._pipe.recv()
        except (EOFError, OSError):
            self._hang_up()

    def serves(self) -> None:
        """Notes that the process answers from now on."""
        self.is_serving, self._since = True, time.monotonic()

    def tell(self, word: str) -> None:
        """Tells the process something; one that has ended hears nothing."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                self._pipe.send(word)

    def has_ended(self) -> bool:
        """Returns whether the process has just ended."""
        return self.process is not None and self.process.exitcode is not None

    def take_leave(self) -> dict[str, Any]:
        """Forgets a process that has ended, sets when the next one starts, and returns how it ended."""
        code = self.process.exitcode
        how = {"exit_code": code} if code >= 0 else {"signal": _signal_name(-code)}
        details = {"worker": self.number, "pid": self.process.pid, **how}
        self.process.close()
        self.process = None
        self._hang_up()
        forget_worker(self._orders.counters, self.number)
        if self.is_serving and time.monotonic() - self._since >= STEADY_SECONDS:
            self._pause = 0.0
        self.is_loaded = self.is_serving = False
        self.due = time.monotonic() + self._pause
        details["starts_in"] = self._pause
        self._pause = min(max(FIRST_PAUSE, 2 * self._pause), LONGEST_PAUSE)
        return details

    def _hang_up(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


class _Supervisor:
    """Looks after the workers.

    Args:
        crew: the workers.
        ports: where they listen, for HTTP and perhaps for gRPC.
        grace: seconds that requests have to end.
    """

    def __init__(self, crew: Sequence[_Worker], ports: Sequence[SharedPort], grace: float) -> None:
        self._crew = crew
        self._ports = ports
        self._grace = grace
        self._news = News()
        self._is_open = False
        self._has_served = False

    def run(self, signals: Connection) -> None:
        """Returns when a signal has come and all workers have ended."""
        try:
            while not signals.poll():
                self._start_those_due()
                self._see_to_what_happens(signals)
            signals.recv()
        finally:
            self._stop(signals)
        _log.info("stopped")

    def _start_those_due(self) -> None:
        for worker in self._crew:
            if worker.due is not None and worker.due <= time.monotonic():
                worker.start()

    def _see_to_what_happens(self, signals: Connection) -> None:
        soonest = min((worker.due for worker in self._crew if worker.due is not None), default=None)
        seconds = None if soonest is None else max(0.0, soonest - time.monotonic())
        wait([signals, *(sign for worker in self._crew for sign in worker.signs())], seconds)
        for worker in self._crew:
            has_ended = worker.has_ended()
            for word, *rest in worker.heard():
                self._hear(worker, word, rest)
            if has_ended:
                self._replace(worker)

    def _hear(self, worker: _Worker, word: str, rest: list[Any]) -> None:
        if word == LOADED:
            worker.is_loaded = True
            self._let_listen(worker)
        elif word == SERVING:
            worker.serves()
            if self._has_served:
                self._news.forget(worker.number)
            self._say_serving(worker, *rest)
        elif word == NEWS:
            answering = [each.number for each in self._crew if each.is_serving or not self._has_served]
            level, message, details = rest
            self._news.hear(worker.number, level, message, details, answering)
        elif not self._is_open:
            kind, message = rest
            raise kind(message)
        else:
            _log.error("worker refused", extra={"worker": worker.number, "error": rest[1]})

    def _let_listen(self, worker: _Worker) -> None:
        """Opens the port when all workers have loaded; those that come later may listen at once."""
        if self._is_open:
            worker.tell(LISTEN)
        elif all(each.is_loaded for each in self._crew):
            for port in self._ports:
                port.check()
            self._is_open = True
            for each in self._crew:
                each.tell(LISTEN)

    def _say_serving(self, worker: _Worker, models: list[str], loop: str) -> None:
        if self._has_served:
            _log.info("worker serves", extra={"worker": worker.number, "pid": worker.process.pid})
        elif all(each.is_serving for each in self._crew):
            self._has_served = True
            names = ("port", "grpc_port")
            place = {name: port.port for name, port in zip(names, self._ports, strict=False)}
            workers = [each.process.pid for each in self._crew]
            details = {"host": self._ports[0].host, **place, "models": models, "loop": loop}
            _log.info("serving", extra={**details, "workers": workers})

    def _replace(self, worker: _Worker) -> None:
        details = worker.take_leave()
        self._news.forget(worker.number)
        if not self._is_open:
            how = details.get("signal") or f"exit code {details['exit_code']}"
            raise RuntimeError(f"all workers must load the models. Received: the end of one, by {how}")
        _log.error("worker ended", extra=details)

    def _stop(self, signals: Connection) -> None:
        """Ends the workers: those that answer finish what has begun, unless a second SIGINT comes."""
        for worker in self._crew:
            if worker.process is not None and not worker.is_serving:
                worker.process.kill()
            worker.tell(STOP)
        until = time.monotonic() + self._grace + MARGIN_SECONDS
        while running := [worker for worker in self._crew if worker.process is not None]:
            sentinels = [worker.process.sentinel for worker in running]
            wait([signals, *sentinels], max(0.0, until - time.monotonic()))
            hurried = signals.poll() and signals.recv() == signal.SIGINT
            for worker in running:
                if hurried or time.monotonic() >= until:
                    worker.process.kill()
                    worker.process.join()
                if worker.has_ended():
                    worker.take_leave()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the signals for real time have no names
        return str(number)
