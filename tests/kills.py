"""Processes that write the same thing again and again, and are killed while they do.

Run as a program: one process forks a child for each kill, so that many kills take little time.
"""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def kill_writers(module, write, check, folder, times=25, longest=0.03, seed=0):
    """Kills `times` writers at random moments, and looks at what each left; see the arguments of a test.

    Args:
        module: a file of tests/ by its path without ".py", such as "data/test_atomic".
        write: the name of a function in it of (folder, number) that is called with 1, 2, 3, ….
        check: the name of a function in it of (folder,) that raises if what is there is not whole.
        folder: a new folder.
        times: kills.
        longest: seconds that a writer lives at most.
        seed: decides the moments.
    """
    command = [sys.executable, __file__, module, write, check, folder, times, longest, seed]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == times


def _main(module, write, check, folder, times, longest, seed):
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str((here / module).parent)]
    functions = importlib.import_module(Path(module).name)
    write, check = getattr(functions, write), getattr(functions, check)
    # Waiting for the disk would take nearly all of a writer's life; only the loss of power needs it.
    os.fsync = lambda _: None
    folder, rng, kills = Path(folder), random.Random(int(seed)), 0
    for _ in range(int(times)):
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            number = 0
            try:
                while True:
                    number += 1
                    write(folder, number)
                    if number == 1:
                        os.write(writing, b".")
            finally:
                os._exit(1)
        os.close(writing)
        assert os.read(reading, 1) == b"."  # it got under way
        os.close(reading)
        time.sleep(rng.uniform(0, float(longest)))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the writer failed by itself"
        kills += 1
        check(folder)
    sys.stdout.write(str(kills))


if __name__ == "__main__":
    _main(*sys.argv[1:])
