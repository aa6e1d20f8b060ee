import os
import subprocess
import sys

import pytest

LIMITED = """
from tfautolabel._cores import granted_cores, limit_cores
limit_cores(1)
import numpy, threadpoolctl
numpy.ones((8, 8)) @ numpy.ones((8, 8))
print(granted_cores(), {pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_a_process_that_is_held_to_one_core_knows_it():
    from tfautolabel._cores import granted_cores

    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert granted_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert granted_cores() <= len(before)


def test_a_process_that_limits_itself_uses_no_more():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "{1}"]
