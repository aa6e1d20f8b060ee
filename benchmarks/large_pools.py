"""How far does the memory of `label` and `run` grow with the pool, and do workers change what a run gives?

Pools are Parquet tables of short, different texts, of which 50 have labels. The largest resident memory of
the command is measured for a small and for a large pool: `label` with a model that counts words, `run` with a
module of eight dimensions and an empty feature cache.

Then `run --engine processes` must give the same files as `run`, also after workers or the command itself were
killed at random moments. And a pool of a billion rows is planned, as a Parquet file without a column of names
is, without data.

Peer: the small pool, and `run` in one process.

    python benchmarks/large_pools.py [--parts label run engine plan costs]
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from recording import Report, command_line, options

BAR = 1.1
WORDS = ("the", "film", "room", "was", "very", "good", "bad", "late", "clean", "and", "phone", "not")
KEPT = ("predictions.csv", "predictions.parquet", "unreadable.csv", "audit_pool.parquet")


def texts_of(data: Path, rows: int) -> Path:
    """Rows of seven words each, no two alike, written group by group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = data / f"pool-{rows}.parquet"
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    rng, words = np.random.default_rng(0), np.array(WORDS)
    schema = pa.schema([("text", pa.string()), ("label", pa.string())])
    with pq.ParquetWriter(file.with_suffix(".new"), schema) as writer:
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            drawn = words[rng.integers(0, len(words), (count, 6))]
            texts = [f"{' '.join(row)} {start + number}" for number, row in enumerate(drawn.tolist())]
            labels = [("a", "b")[n % 2] if start + n < 50 else None for n in range(count)]
            writer.write_table(pa.table({"text": texts, "label": labels}, schema=schema))
    return file.with_suffix(".new").rename(file)


def module_in(folder: Path) -> Path:
    """A small SavedModel that embeds texts: the mean of a random vector for each of its words."""
    import tensorflow as tf

    class Embedding(tf.Module):
        def __init__(self) -> None:
            self.vectors = tf.Variable(tf.random.stateless_normal((1000, 8), (0, 1)))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts: tf.Tensor) -> tf.Tensor:
            words = tf.strings.split(texts).to_tensor("the")
            return tf.reduce_mean(
                tf.gather(self.vectors, tf.strings.to_hash_bucket_fast(words, 1000)), axis=1
            )

    if not folder.exists():
        tf.saved_model.save(Embedding(), str(folder))
    return folder


def exported(folder: Path, table: Path) -> Path:
    """A model that counts words, learnt from the first rows of a table."""
    import tfautolabel as tal

    if not folder.exists():
        labelled = tal.load_dataset(table).labelled
        labeler = tal.Labeler("plain:words", labelled.classes, cache_dir=folder.parent / "cache")
        labeler.fit(labelled)
        labeler.export(folder)
    return folder


def peak(words: list[object]) -> tuple[float, float]:
    """GiB and seconds of one command."""
    start = time.perf_counter()
    with subprocess.Popen([*command_line(), *map(str, words), "--quiet"]) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {process.returncode}")
    return usage.ru_maxrss / 1024**2, time.perf_counter() - start


def growth(report: Report, what: str, rows: list[int], measured: list[tuple[float, float]]) -> None:
    (small, small_seconds), (large, large_seconds) = measured
    per_row = (large - small) * 1024**3 / (rows[1] - rows[0])
    report.add(
        f"{what} of {rows[1]:,} texts",
        f"peak memory, as a multiple of that for {rows[0]:,}",
        large / small,
        f"<= {BAR}",
        result=f"{large:.3f} GiB, {large_seconds:.0f} s; {per_row:.1f} bytes a row",
        peer=f"{small:.3f} GiB, {small_seconds:.0f} s",
        ratio=f"{large / small:.3f}",
    )
    report.save()


def run_words(table: Path, module: Path, out: Path, cache: Path) -> list[object]:
    return ["run", table, "--out", out, "--backbone", module, "--cache-dir", cache]


def same(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in KEPT)


def workers_of(parent: int) -> list[int]:
    """The processes that extract features for a command."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError):
            above = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[1]
            if int(above) == parent and b"spawn_main" in Path("/proc", pid, "cmdline").read_bytes():
                found.append(int(pid))
    return found


def killed(words: list[object], cache: Path, by_command: bool, rng: random.Random) -> None:
    """Runs a command to its end, of which a worker or which itself is killed when some features are there."""
    command = [*command_line(), *map(str, words), "--engine", "processes", "--workers", "2", "--quiet"]
    process = subprocess.Popen(command, start_new_session=True)
    shards = rng.randrange(3, 7)
    while process.poll() is None and len(list(cache.glob("*/*.index.npy"))) < shards:
        time.sleep(0.01)
    time.sleep(rng.random())
    there = workers_of(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid if by_command or not there else rng.choice(there), signal.SIGKILL)
    process.wait()
    if by_command:
        subprocess.run(command, check=True)
    elif process.returncode:
        sys.exit(f"a command that lost a worker ended with {process.returncode}")


def engine(report: Report, folder: Path, table: Path, module: Path, rows: int, kills: int) -> None:
    peak(run_words(table, module, folder / "here", folder / "here-cache"))
    there = run_words(table, module, folder / "there", folder / "there-cache")
    peak([*there, "--engine", "processes", "--workers", "2"])
    right = int(same(folder / "here", folder / "there"))
    rng, commands = random.Random(0), 0
    for number in range(kills):
        by_command = number % 2 == 0
        commands += by_command
        for name in ("killed", "killed-cache"):
            shutil.rmtree(folder / name, ignore_errors=True)
        words = run_words(table, module, folder / "killed", folder / "killed-cache")
        killed(words, folder / "killed-cache", by_command, rng)
        right += same(folder / "here", folder / "killed")
        print(f"killed {'the command' if by_command else 'a worker'}: {right} right", flush=True)
    report.add(
        f"run of {rows:,} texts in two processes: same files as in one", "runs", right, f"= {kills + 1}",
        result=f"{right} of {kills + 1}; workers killed in {kills - commands}, the command in {commands}",
    )  # fmt: skip
    report.save()


class _Rows:
    """So many rows, of which none is read."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


def plan(report: Report, rows: int) -> None:
    from tfautolabel.data import Dataset
    from tfautolabel.data.row_names import RowNames
    from tfautolabel.data.row_runs import RowRuns
    from tfautolabel.jobs.digests import names_digest
    from tfautolabel.jobs.plan import Plan

    start = time.perf_counter()
    tracemalloc.start()
    pool = Dataset(_Rows(rows), RowNames(RowRuns.first(rows)), modality="text")
    names_digest(pool.ids)
    planned = Plan.of(rows, 2048)
    held = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    seconds = time.perf_counter() - start
    start, some = time.perf_counter(), range(0, planned.parts, planned.parts // 8)
    for number in some:
        part = planned.part(number)
        pool.subset(np.arange(part.start, part.stop))
    each = (time.perf_counter() - start) / len(some)
    report.add(
        f"plan of {rows:,} rows", "seconds", seconds, "<= 1",
        result=f"{1000 * seconds:.0f} ms and {held:.1f} MB; {planned.parts:,} parts, {1000 * each:.0f} ms "
        "for the names of each",
    )  # fmt: skip
    report.save()


def costs(report: Report, folder: Path) -> None:
    """What a plan for more rows is made of: listing files, and opening a table with many row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    import tfautolabel as tal
    from tfautolabel.data.narrowed import narrowed

    count, groups = 50_000, 10_000
    Image.new("L", (4, 4)).save(folder / "one.png")
    content = (folder / "one.png").read_bytes()
    for number in range(count):
        place = folder / "photos" / f"{number // 1000:04d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"photo-{number:09d}.png").write_bytes(content)
    tracemalloc.start()
    start = time.perf_counter()
    listed = tal.load_dataset(folder / "photos", None)
    held = tracemalloc.get_traced_memory()[0] / len(listed)
    tracemalloc.stop()
    start = time.perf_counter()
    tal.load_dataset(folder / "photos", None)
    each = (time.perf_counter() - start) / count
    report.add(
        "a folder of pictures is listed", "microseconds a file", each * 1e6, None,
        result=f"{each * 1e6:.0f} us and {held:.0f} bytes a file", files=count,
    )  # fmt: skip
    table = pa.table({"text": [f"text {row}" for row in range(groups)]})
    pq.write_table(table, folder / "groups.parquet", row_group_size=1)
    reader = tal.load_dataset(folder / "groups.parquet", None).reader
    start = time.perf_counter()
    for _ in range(10):
        narrowed(reader, np.arange(5))
    each = (time.perf_counter() - start) / 10
    report.add(
        "a Parquet file is opened for a part", "microseconds a row group", each / groups * 1e6, None,
        result=f"{each * 1000:.0f} ms for {groups:,} row groups",
    )  # fmt: skip
    from tfautolabel.trust import answers_needed, design_audit

    rows = 2_000_000
    scores = np.random.default_rng(0).beta(5, 1, rows).astype(np.float32)
    tracemalloc.start()
    design = design_audit(scores, target_error=0.05)
    answers_needed(scores, np.zeros(0, bool), target_error=0.05, design=design)
    each = tracemalloc.get_traced_memory()[1] / rows
    tracemalloc.stop()
    report.add(
        "an audit is drawn", "bytes a candidate, at most", each, None, result=f"{each:.0f} bytes a candidate",
        candidates=rows,
    )  # fmt: skip
    report.save()


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--parts", nargs="+", default=["label", "run", "engine", "plan", "costs"])
    parser.add_argument("--label-rows", type=int, nargs=2, default=[1_000_000, 10_000_000])
    parser.add_argument("--run-rows", type=int, nargs=2, default=[1_000_000, 10_000_000])
    parser.add_argument("--engine-rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=6)
    arguments = parser.parse_args()
    report = Report("large_pools", arguments)
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as name:
        folder = Path(name)
        if "plan" in arguments.parts:
            plan(report, 10**9)
        if "costs" in arguments.parts:
            costs(report, folder)
        if "engine" in arguments.parts:
            table = texts_of(arguments.data, arguments.engine_rows)
            module = module_in(arguments.data / "module")
            engine(report, folder, table, module, arguments.engine_rows, arguments.kills)
        for part in ("run", "label"):
            measured = []
            if part not in arguments.parts:
                continue
            sizes = arguments.run_rows if part == "run" else arguments.label_rows
            for rows in sizes:
                table = texts_of(arguments.data, rows)
                out = folder / f"{part}-{rows}"
                if part == "label":
                    model = exported(arguments.data / "model", table)
                    words = ["label", model, table, "--out", f"{out}.parquet"]
                else:
                    module = module_in(arguments.data / "module")
                    words = run_words(table, module, out, folder / f"cache-{rows}")
                measured.append(peak(words))
                print(part, rows, measured[-1], flush=True)
                shutil.rmtree(folder / f"cache-{rows}", ignore_errors=True)
            growth(report, part, sizes, measured)


if __name__ == "__main__":
    main()
