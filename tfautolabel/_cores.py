"""The number of processor cores that this process may use, which may be fewer than the machine has."""

from __future__ import annotations

import os

LIMITS = ("LOKY_MAX_CPU_COUNT", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
"""Environment variables that hold a process, and the libraries in it, to a number of cores."""


def granted_cores() -> int:
    """Returns how many cores this process may use.

    That is the least of: the machine's cores, the process's affinity (as `taskset` and Slurm set it), the
    quota of its control group (as Docker and Kubernetes set it), and `LOKY_MAX_CPU_COUNT` if that is set.
    """
    from joblib import cpu_count

    return int(cpu_count())


def limit_cores(cores: int) -> None:
    """Holds this process to a number of cores; has its full effect only before TensorFlow is imported.

    Args:
        cores: at least 1.
    """
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(LIMITS, str(cores)))
    threadpool_limits(cores)  # NumPy has read the environment by now
