"""Ways to label the parts of a pool, one in each file."""

from __future__ import annotations

from tfautolabel.jobs.runners.contract import Runner
from tfautolabel.jobs.runners.local import label_here

RUNNERS: dict[str, Runner] = {"local": label_here}
"""Name to runner; `label(..., runner=...)` takes the names."""


def runner_of(name: str) -> Runner:
    """Returns a runner by its name.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in RUNNERS:
        raise ValueError(f"runner must be one of {', '.join(RUNNERS)}. Received: runner={name!r}")
    return RUNNERS[name]
