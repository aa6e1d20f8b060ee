"""Ways to label the parts of a pool, one in each file."""

from __future__ import annotations

from collections.abc import Callable

from tfautolabel.jobs.runners.contract import AS_THEY_ARE, Runner, Workers
from tfautolabel.jobs.runners.local import label_here
from tfautolabel.jobs.runners.processes import Processes
from tfautolabel.jobs.runners.ray_cluster import RayCluster

RUNNERS: dict[str, Callable[[Workers], Runner]] = {
    "local": lambda _: label_here,
    "processes": Processes,
    "ray": RayCluster,
}
"""Name to what makes the runner; `label(..., runner=...)` takes the names."""


def runner_of(name: str, workers: Workers = AS_THEY_ARE) -> Runner:
    """Returns a runner by its name.

    Args:
        name: a name in `RUNNERS`.
        workers: the processes that it uses.

    Raises:
        ValueError: If there is none of this name, or it cannot use these workers.
        MissingExtraError: If it needs an extra that is not installed.
    """
    if name not in RUNNERS:
        raise ValueError(f"runner must be one of {', '.join(RUNNERS)}. Received: runner={name!r}")
    if name == "local" and workers != AS_THEY_ARE:
        raise ValueError(
            "workers and address belong to the runners processes and ray. Received: runner='local'"
        )
    if name != "ray" and workers.address is not None:
        raise ValueError(f"address belongs to the runner ray. Received: runner={name!r}")
    return RUNNERS[name](workers)
