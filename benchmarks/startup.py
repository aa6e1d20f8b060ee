"""How long the package takes before it does something, and what a second run costs.

Measures, each as the median of several processes of their own,
  - `python -c "import tfautolabel"`, the whole process, the interpreter's own start included;
  - `tfautolabel --help`, the whole process;
and the feature stage of a second `tfautolabel run` on the same 1,000 JPEG files and 100 labelled ones,
as a share of the first's (`seconds.features` in run.json), with a feature cache that was empty before
the first.

Peer: none for the bars; `import tensorflow` stands beside the import as a measure of what is saved.

    python benchmarks/startup.py [--processes 10] [--files 1000]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np
from recording import Report, command_line, options


def seconds_of(command: list[str], processes: int) -> list[float]:
    """Wall time of a command, run once unmeasured to have its files in memory."""
    times = []
    for _ in range(processes + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return times[1:]


def feature_seconds(data: Path, files: int) -> list[float]:
    """`seconds.features` of two runs of the command line that share a cache which was empty before."""
    labelled = datasets.fashion_mnist(data, "train", 10)
    photos = datasets.photos(data, files, 256)
    seconds = []
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as folder:
        for name in ("first", "second"):
            out = Path(folder, name)
            command = [*command_line(), "run", str(photos), "--labelled", str(labelled), "--out", str(out)]
            command += ["--cache-dir", str(Path(folder, "cache")), "--quiet"]
            subprocess.run(command, check=True)
            record = json.loads((out / "run.json").read_text(encoding="utf-8"))
            seconds.append(record["seconds"]["features"])
            computed, reused = (record["counts"][f"features_{kind}"] for kind in ("computed", "reused"))
            print(f"{name} run: features {seconds[-1]} s, {computed} computed, {reused} reused", flush=True)
    return seconds


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--files", type=int, default=1000)
    arguments = parser.parse_args()
    report = Report("startup", arguments)
    python = [sys.executable, "-c"]
    commands = {
        "import tfautolabel": ([*python, "import tfautolabel"], "< 0.3"),
        "tfautolabel --help": ([*command_line(), "--help"], "< 1.0"),
    }
    tensorflow = float(np.median(seconds_of([*python, "import tensorflow"], 3)))
    for name, (command, bar) in commands.items():
        times = seconds_of(command, arguments.processes)
        median = float(np.median(times))
        report.add(
            name,
            f"seconds of the process, median of {len(times)}",
            median,
            bar,
            result=f"{median:.3f} s ({min(times):.3f} to {max(times):.3f})",
            peer=f"import tensorflow: {tensorflow:.2f} s",
            ratio=f"{median / tensorflow:.3f}",
            seconds=times,
        )
    first, second = feature_seconds(arguments.data, arguments.files)
    report.add(
        "second run, feature stage",
        f"share of the first run's, {arguments.files + 100:,} files",
        second / first,
        "<= 0.05",
        result=f"{second:.3f} s",
        peer=f"first run: {first:.2f} s",
        ratio=f"{second / first:.3f}",
    )
    report.save()


if __name__ == "__main__":
    main()
