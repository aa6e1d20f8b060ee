"""The runner that labels on a Ray cluster that is there already; it never starts one.

Ray Core's actors label parts. What a job has done lies in its own part files (see `LabelledParts`), so
nothing is left to Ray's own checkpoints. Every machine needs this package in the same version, and the model
and the data under the same paths.

Ray: Moritz et al. (OSDI 2018, arXiv 1712.05889), https://docs.ray.io/en/latest/ray-core/actors.html
"""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from importlib.metadata import version
from typing import Any, TypeVar

from tfautolabel._errors import first_line
from tfautolabel._optional import require
from tfautolabel._version import __version__
from tfautolabel.data import Dataset
from tfautolabel.jobs.runners.contract import Advance, Result, Workers
from tfautolabel.jobs.runners.hand_out import hand_out
from tfautolabel.jobs.runners.processes import CORES
from tfautolabel.jobs.runners.worker import LabelPart, begin, label_part

_Value = TypeVar("_Value")

CONNECT_SECONDS = 10.0

AUTO = "auto"
"""The address that means: the cluster that this machine belongs to, or that RAY_ADDRESS names."""


class RayCluster:
    """Actors of a Ray cluster that label parts; each holds its own copy of the model.

    Args:
        workers: how many actors, by default as many as the cluster has room for, with up to `CORES` cores
            each; and the cluster's address, `AUTO` by default.

    Raises:
        MissingExtraError: If Ray is not installed.
        ValueError: If the address would start a cluster.
    """

    def __init__(self, workers: Workers) -> None:
        self._ray = require("ray", extra="ray")
        self._count, self._address = workers.count, workers.address or AUTO
        if self._address == "local":
            raise ValueError(
                "address must be that of a running cluster, such as auto or HOST:6379; `ray start --head` "
                "starts one. Received: address='local'"
            )

    def __call__(self, label: LabelPart, parts: Iterable[Dataset], advance: Advance) -> Iterator[Result]:
        """Labels parts; see `Runner`.

        Raises:
            ValueError: If there is no such cluster, it has no room for the workers, or the versions differ.
        """
        with self._joined():
            rooms = [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]
            count, cores = shared_out(rooms, self._count)
            with contextlib.closing(_Actors(self._ray, pickle.dumps(label), count, cores)) as crew:
                yield from hand_out(crew, parts, advance, label)

    @contextlib.contextmanager
    def _joined(self) -> Iterator[None]:
        """Joins the cluster, unless this process belongs to one already."""
        if self._ray.is_initialized():
            yield
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            _check_listens(self._address)
            self._ray.init(address=self._address, log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            why = first_line(error).removesuffix(".")
            raise ValueError(
                f"there is no Ray cluster that can be joined at address {self._address!r} "
                f"(start one with `ray start --head`): {why}"
            ) from error
        try:
            yield
        finally:
            self._ray.shutdown()


def _check_listens(address: str) -> None:
    """Fails at once if nothing listens at HOST:PORT; Ray itself would try for minutes.

    Raises:
        OSError: If nothing can be reached.
    """
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def shared_out(rooms: Iterable[int], count: int | None) -> tuple[int, int]:
    """Returns how many workers a cluster gets, and how many cores each of them.

    Args:
        rooms: the cores of each machine.
        count: how many workers are wanted; None for as many as have `CORES` cores each, or fewer cores if the
            machines are smaller.

    Raises:
        ValueError: If there is no room for so many.

    Examples:
        >>> shared_out([16, 16], None), shared_out([1, 1], None), shared_out([16, 2], 6)
        ((8, 4), (2, 1), (6, 2))
    """
    rooms = list(rooms)
    for cores in range(CORES, 0, -1):
        most = sum(room // cores for room in rooms)
        if most >= (count or len([room for room in rooms if room]) or 1):
            return count or most, cores
    raise ValueError(
        f"the cluster has room for {sum(rooms)} workers, one for each core. Received: workers={count or 1}"
    )


class _Worker:
    """What each actor is."""

    def __init__(self, label: bytes, cores: int) -> None:
        begin(label, cores)

    def versions(self) -> dict[str, str]:
        return _versions()

    def label_part(self, part: bytes) -> Result:
        return label_part(part)


class _Actors:
    """A `Crew` of actors."""

    def __init__(self, ray: Any, label: bytes, size: int, cores: int) -> None:
        self.size = size
        self._ray, self._arguments = ray, (label, cores)
        # Parts are given out again by `hand_out`, which knows how often; Ray must not do it too.
        once = {"max_restarts": 0, "max_task_retries": 0}
        self._class = ray.remote(num_cpus=cores, scheduling_strategy="SPREAD", **once)(_Worker)
        self._actors: list[Any] = []
        self._ready: list[Future[object]] = []
        for worker in range(size):
            self._start(worker)

    def ready(self, worker: int) -> Future[object]:
        return self._ready[worker]

    def submit(self, worker: int, part: bytes) -> Future[Result]:
        return _passed_on(self._actors[worker].label_part.remote(part).future())

    def is_loss(self, error: BaseException) -> bool:
        errors = self._ray.exceptions
        return isinstance(error, (errors.RayActorError, errors.WorkerCrashedError, errors.ObjectLostError))

    def replace(self, worker: int) -> None:
        self._ray.kill(self._actors[worker])
        self._start(worker)

    def close(self) -> None:
        """Ends all actors at once, whatever they are doing."""
        for actor in self._actors:
            self._ray.kill(actor)

    def _start(self, worker: int) -> None:
        actor = self._class.remote(*self._arguments)
        self._actors[worker : worker + 1] = [actor]
        self._ready[worker : worker + 1] = [_passed_on(actor.versions.remote().future(), _check_versions)]


def _passed_on(future: Future[_Value], check: Callable[[_Value], None] = lambda _: None) -> Future[_Value]:
    """Returns a future that fails with the error of the part, and not with Ray's report of it.

    Args:
        future: of a call of an actor.
        check: looks at the result; if it raises, the returned future fails.
    """
    plain: Future[_Value] = Future()

    def pass_on(done: Future[_Value]) -> None:
        try:
            result = done.result()
            check(result)
        except Exception as error:
            plain.set_exception(getattr(error, "cause", None) or error)
        else:
            plain.set_result(result)

    future.add_done_callback(pass_on)
    return plain


def _versions() -> dict[str, str]:
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, "tfautolabel": __version__, "tensorflow": version("tensorflow")}


def _check_versions(theirs: object) -> None:
    if theirs != _versions():
        raise ValueError(f"all machines need the same versions. Received: {theirs} there, {_versions()} here")
