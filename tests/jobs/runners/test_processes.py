"""Real processes; what they label is a stand-in, so that they need no TensorFlow."""

import os
import subprocess
import sys
import time

import pytest
from part_labelers import ByLength

from tfautolabel._cores import granted_cores
from tfautolabel.data import load_dataset
from tfautolabel.jobs.runners import runner_of
from tfautolabel.jobs.runners.contract import Workers

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


@pytest.fixture
def texts(tmp_path):
    for row in range(24):
        (tmp_path / f"{row:02d}.txt").write_text("x" * (row + 1))
    dataset = load_dataset(tmp_path, modality="text")
    return [dataset.subset(range(start, start + 3)) for start in range(0, 24, 3)]


def test_parts_are_labelled_elsewhere_and_a_process_that_ends_is_replaced(texts, tmp_path):
    once, advanced = tmp_path / "ended", []
    run = runner_of("processes", Workers(2))
    found = list(run(ByLength(deadly=b"x" * 11, once=str(once)), texts, advanced.append))
    assert once.exists()
    assert [digest for _, digest in found] == [f"{start:02d}.txt" for start in range(0, 24, 3)]
    assert [round(float(labels.probabilities[0, 0]), 2) for labels, _ in found] == [
        0.01, 0.04, 0.07, 0.1, 0.13, 0.16, 0.19, 0.22
    ]  # fmt: skip
    assert sum(advanced) == 24


PARENT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from part_labelers import ByLength
from tfautolabel.data import load_dataset
from tfautolabel.jobs.runners import runner_of
from tfautolabel.jobs.runners.contract import Workers

class Slow(ByLength):
    pass

if __name__ == "__main__":
    dataset = load_dataset(sys.argv[2], modality="text")
    parts = (dataset.subset([row]) for row in range(len(dataset)))
    results = runner_of("processes", Workers(1))(ByLength(seconds=0.05), parts, lambda _: None)
    next(results)
    if sys.argv[3] == "close":
        results.close()
        print("closed", flush=True)
    else:
        print("labelling", flush=True)
        os.kill(os.getpid(), 9)
"""


def workers_of(marker):
    """The ids of living processes whose environment holds a marker."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if marker.encode() in file.read():
                    found.add(int(pid))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("end", ["close", "kill"])
@pytest.mark.timeout(120)
def test_no_worker_outlives_the_job(tmp_path, end):
    (tmp_path / "texts").mkdir()
    for row in range(40):
        (tmp_path / "texts" / f"{row:02d}.txt").write_text("x")
    script = tmp_path / "job.py"
    script.write_text(PARENT)
    marker = f"JOB={tmp_path}"
    environment = dict(os.environ, JOB=str(tmp_path))
    command = [sys.executable, script, TESTS, tmp_path / "texts", end]
    subprocess.run([*map(str, command)], env=environment, stdout=subprocess.PIPE, timeout=100)
    deadline = time.monotonic() + 20
    while workers_of(marker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert workers_of(marker) == set()


def test_workers_are_counted_by_the_cores_that_are_granted(monkeypatch):
    from tfautolabel.jobs.runners import processes

    for cores, workers, expected in [(2, None, (1, 2)), (16, None, (4, 4)), (16, 3, (3, 5)), (2, 4, (4, 1))]:
        monkeypatch.setattr(processes, "granted_cores", lambda cores=cores: cores)
        made = processes.Processes(Workers(workers))
        assert (made._count, made._cores) == expected
    assert 1 <= granted_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("name", "workers", "sentence"),
    [
        ("processes", {"count": 0}, r"workers must be at least 1\. Received: workers=0"),
        ("local", {"count": 2}, "workers and address belong to the runners processes and ray"),
        (
            "processes",
            {"address": "auto"},
            r"address belongs to the runner ray\. Received: runner='processes'",
        ),
    ],
)
def test_workers_that_make_no_sense_are_refused(name, workers, sentence):
    with pytest.raises(ValueError, match=sentence):
        runner_of(name, Workers(**workers))
