"""Is the output the same whoever labels the parts, also after kills; and what do more workers cost and gain?

A model that labels reviews by their words labels the same table in this process, in one and two processes, in
three shards that are merged and, with --ray, by one and two workers of a Ray cluster of two raylets with one
core each: all outputs must be the same bytes.

Then jobs are started again and again, and at a random moment of their labelling one of their workers or the
command itself is killed by SIGKILL. A command that lost a worker must end well; one that was killed is
started again. The output must be the same bytes.

Rates are rows a second from the first part to the last, so that no start is in them; the fixed cost is the
time until the first part. Ray runs in a network namespace of its own, which has nothing but loopback.

    python benchmarks/scale.py
    unshare --map-root-user --net python benchmarks/scale.py --ray
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from recording import Report, command_line, options

import tfautolabel as tal

PORT = 6399
ADDRESS = f"127.0.0.1:{PORT}"
WORDS = {
    "good": ("great", "lovely", "excellent", "happy", "works"),
    "bad": ("poor", "awful", "broken", "sad", "refund"),
}


def texts_of(count: int, seed: int) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    labels = [rng.choice(("good", "bad")) for _ in range(count)]
    fill = [f"w{number}" for number in range(2000)]
    texts = [
        " ".join(rng.choices(fill, k=60) + rng.choices(WORDS[label], k=2) + rng.choices(fill, k=60))
        for label in labels
    ]
    return texts, labels


def prepare(folder: Path, rows: int) -> None:
    """Writes a model and a table to label."""
    texts, labels = texts_of(400, 0)
    dataset = tal.Dataset.from_inputs(texts, labels, modality="text")
    labeler = tal.Labeler("plain:words", dataset.classes, cache_dir=folder / "cache")
    labeler.fit(dataset)
    labeler.export(folder / "model")
    import pyarrow as pa

    pq.write_table(pa.table({"text": texts_of(rows, 1)[0]}), folder / "pool.parquet", row_group_size=5000)


class Job:
    """One `tfautolabel label`, in its own process group.

    Args:
        folder: where model and table are.
        name: of its output.
        options: further options of the command.
    """

    def __init__(self, folder: Path, name: str, options: list[str]) -> None:
        self.out = folder / f"{name}.csv"
        self.parts = folder / f".{name}.csv.progress"
        words = ["label", folder / "model", folder / "pool.parquet", "--out", self.out, *options]
        self.start = time.perf_counter()
        self.process = subprocess.Popen(
            [*command_line(), *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env=os.environ | {"JOB": str(self.out)},
        )  # fmt: skip

    def done_parts(self) -> int:
        return len(list(self.parts.glob("part-*.parquet"))) if self.parts.exists() else 0

    def end(self) -> str:
        said = self.process.communicate()[0]
        if self.process.returncode:
            raise RuntimeError(said[-3000:])
        return said

    def timed(self) -> tuple[float, float, int]:
        """Seconds to the first part, seconds from there to the last, and the parts in between."""
        first = last = None
        seen = 0
        while self.process.poll() is None:
            if (now := self.done_parts()) > seen:
                last = time.perf_counter()
                first = first or (last, now)
                seen = now
            time.sleep(0.01)
        self.end()
        return first[0] - self.start, last - first[0], seen - first[1]


def workers_of(job: Job) -> list[int]:
    """The ids of the processes that label for a job: its children that are not helpers, or Ray's actors."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path("/proc", pid, "cmdline").read_bytes()
            own = f"JOB={job.out}".encode() in Path("/proc", pid, "environ").read_bytes()
            if b"ray::_Worker" in words or (own and b"spawn_main" in words):
                found.append(int(pid))
    return found


@contextlib.contextmanager
def ray_cluster() -> Iterator[None]:
    """Two raylets with one core each, on loopback alone."""
    up = subprocess.run(["ip", "link", "set", "lo", "up"], check=False).returncode == 0
    if not up or not Path("/proc/net/route").read_text().count("\n") <= 1:
        raise SystemExit("run this with unshare --map-root-user --net: other interfaces are there")
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    common = ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
    head = ["start", "--head", f"--port={PORT}", "--include-dashboard=false", "--node-ip-address=127.0.0.1"]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*ray, *head, *common], **quiet)
    subprocess.run([*ray, "start", f"--address={ADDRESS}", *common], **quiet)
    try:
        yield
    finally:
        subprocess.run([*ray, "stop", "--force"], **quiet | {"check": False})


WAYS = {
    "one process": ["--engine", "processes", "--workers", "1"],
    "two processes": ["--engine", "processes", "--workers", "2"],
}
RAY_WAYS = {
    "Ray, one worker": ["--engine", "ray", "--address", ADDRESS, "--workers", "1"],
    "Ray, two workers": ["--engine", "ray", "--address", ADDRESS, "--workers", "2"],
}


def same(folder: Path, ways: dict[str, list[str]], rows: int, report: Report) -> bytes:
    first, seconds, parts = Job(folder, "local", []).timed()
    expected = (folder / "local.csv").read_bytes()
    rates = {"this process": parts * 2048 / seconds}
    fixed = {"this process": first}
    for name, words in ways.items():
        job = Job(folder, "out", words)
        first, seconds, parts = job.timed()
        if job.out.read_bytes() != expected:
            raise RuntimeError(f"{name}: another output")
        rates[name], fixed[name] = parts * 2048 / seconds, first
        print(f"{name}: first part after {first:.1f} s, {rates[name]:,.0f} rows/s", flush=True)
    for number in (2, 3, 1):
        Job(folder, "shards", ["--shard", f"{number}/3"]).end()
    subprocess.run([*command_line(), "merge", str(folder / "shards.csv"), "--quiet"], check=True)
    if (folder / "shards.csv").read_bytes() != expected:
        raise RuntimeError("shards: another output")
    report.add(
        "output of other ways than this process, same bytes", "ways", len(ways) + 1, f"= {len(ways) + 1}",
        result=f"{', '.join(ways)}, three shards", rows=rows,
    )  # fmt: skip
    for one, two in (("one process", "two processes"), ("Ray, one worker", "Ray, two workers")):
        if two in rates:
            report.add(
                f"{two} against one", "steady rate, share of twice one's", rates[two] / rates[one] / 2,
                ">= 0.9" if two.startswith("Ray") else None,
                result=f"{rates[two]:,.0f} rows/s", peer=f"one {rates[one]:,.0f}, this process "
                f"{rates['this process']:,.0f}", ratio=f"{rates[two] / rates[one]:.2f} x",
            )  # fmt: skip
    for name in ways:
        report.add(
            f"{name}: until the first part", "seconds", fixed[name], "<= 15" if "Ray" in name else None,
            result=f"{fixed[name]:.1f}", peer=f"this process {fixed['this process']:.1f}",
        )  # fmt: skip
    return expected


def killed(folder: Path, words: list[str], expected: bytes, kills: int, seed: int) -> tuple[int, int, int]:
    """Returns outputs that are right, parts lost at most by a kill, and how many drivers were killed."""
    rng = random.Random(seed)
    total = -(-pq.read_metadata(folder / "pool.parquet").num_rows // 2048)
    right, most_lost, drivers = 0, 0, 0
    for _ in range(kills):
        job = Job(folder, "killed", words)
        after = rng.randrange(1, total - 3)
        while job.done_parts() < after and job.process.poll() is None:
            time.sleep(0.005)
        driver = rng.random() < 0.5
        victims = [job.process.pid] if driver else rng.sample(workers_of(job), 1)
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        if driver:
            job.process.wait()
            drivers += 1
            there = job.done_parts()
            said = Job(folder, "killed", words).end()
            most_lost = max(most_lost, after - there)
            assert "rows had been labelled before" in said, said
        else:
            job.end()
        right += job.out.read_bytes() == expected
        print(f"killed {'the command' if driver else 'a worker'}: {right} right", flush=True)
        job.out.unlink()
    return right, most_lost, drivers


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--ray", action="store_true", help="with a Ray cluster, which this script starts")
    arguments: argparse.Namespace = parser.parse_args()
    report = Report("scale", arguments)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        prepare(folder, arguments.rows)
        ways = dict(WAYS)
        if arguments.ray:
            stack.enter_context(ray_cluster())
            ways |= RAY_WAYS
        expected = same(folder, ways, arguments.rows, report)
        for name, words in ways.items():
            if "two" not in name:
                continue
            right, lost, drivers = killed(folder, words, expected, arguments.kills, 0)
            report.add(
                f"{name}: same bytes after kills", "jobs", right, f"= {arguments.kills}",
                result=f"{right} of {arguments.kills}, the command itself in {drivers}", lost=lost,
            )  # fmt: skip
    report.save()


if __name__ == "__main__":
    main()
