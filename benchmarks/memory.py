"""How the memory of a run grows with the number of texts in a Parquet file.

Measures the largest resident memory of `tfautolabel run` on short, different texts, 20 of them labelled, with
an empty feature cache, for a small and a ten times larger file.

Peer: the small file.

    python benchmarks/memory.py [--rows 100000 1000000] [--backbone packaged:use-multilingual-v3]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from recording import Report, command_line, options

BAR = 1.1
WORDS = ("the", "film", "room", "was", "very", "good", "bad", "late", "clean", "and", "phone", "not")


def write_texts(file: Path, rows: int) -> None:
    """Rows of about seven words each, no two alike, written group by group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, words = np.random.default_rng(0), np.array(WORDS)
    schema = pa.schema([("text", pa.string()), ("label", pa.string())])
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            drawn = words[rng.integers(0, len(words), (count, 6))]
            texts = [f"{' '.join(row)} {start + number}" for number, row in enumerate(drawn.tolist())]
            labels = [("a", "b")[n % 2] if start + n < 20 else None for n in range(count)]
            writer.write_table(pa.table({"text": texts, "label": labels}, schema=schema))


def peak(file: Path, backbone: str) -> tuple[float, float]:
    """Gigabytes and seconds of one run."""
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as folder:
        command = [*command_line(), "run", str(file), "--out", f"{folder}/out", "--backbone", backbone]
        start = time.perf_counter()
        with subprocess.Popen([*command, "--cache-dir", f"{folder}/cache", "--quiet"]) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}")
        record = json.loads(Path(folder, "out", "run.json").read_text(encoding="utf-8"))
        print(file.name, record["counts"]["to_label"], record["seconds"], flush=True)
    return usage.ru_maxrss / 1e6, seconds


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=[100_000, 1_000_000])
    parser.add_argument("--backbone", default="packaged:use-multilingual-v3")
    arguments = parser.parse_args()
    report = Report("memory", arguments)
    measured = []
    for rows in arguments.rows:
        file = arguments.data / f"texts-{rows}.parquet"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_texts(file, rows)
        measured.append(peak(file, arguments.backbone))
    (small, small_seconds), (large, large_seconds) = measured
    name = arguments.backbone.rpartition("/")[2]
    report.add(
        f"{arguments.rows[1]:,} texts from Parquet with {name}",
        f"peak memory, as a multiple of that for {arguments.rows[0]:,}",
        large / small,
        f"<= {BAR}" if arguments.rows == [100_000, 1_000_000] else None,
        result=f"{large:.2f} GB, {large_seconds:.0f} s",
        peer=f"{arguments.rows[0]:,} texts: {small:.2f} GB, {small_seconds:.0f} s",
        ratio=f"{large / small:.3f}",
    )
    report.save()


if __name__ == "__main__":
    main()
