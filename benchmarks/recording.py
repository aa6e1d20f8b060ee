"""What every benchmark shares: its options, a table on the terminal, and rows in results/*.json.

A row is one bar of the project: what was measured, the target, the result, the peer that was measured
beside it in the same run, and the ratio between the two. A row that is measured again replaces its
predecessor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tfautolabel._cache import cache_dir

os.environ.setdefault(
    "TF_CPP_MIN_LOG_LEVEL", "2"
)  # before TensorFlow is imported: its remarks hide the tables

RESULTS = Path(__file__).with_name("results")
_PACKAGES = (
    "tfautolabel",
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow-hub",
    "scikit-learn",
    "onnxruntime",
    "numpy",
    "simplejpeg",
)


def options(description: str) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have; the first line of the docstring describes it."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=cache_dir() / "benchmarks", help="where the sets are kept (%(default)s)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the rows go (%(default)s)")
    return parser


class Report:
    """The rows of one benchmark; `save` prints them and writes them.

    Args:
        name: of the benchmark and of its file.
        arguments: the parsed options, kept with every row.
    """

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self.name = name
        self.folder = arguments.results
        places = ("data", "results", "peer_python")  # of the machine, which say nothing of what was measured
        kept = {key: value for key, value in vars(arguments).items() if key not in places}
        self.origin = {
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
            "settings": {key: value if _is_plain(value) else Path(value).name for key, value in kept.items()},
            "machine": machine(),
            "versions": versions(),
        }
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        row: str,
        measure: str,
        value: float,
        bar: str | None = None,
        *,
        result: str | None = None,
        peer: str = "",
        ratio: str = "",
        **details: Any,
    ) -> None:
        """Adds one row.

        Args:
            row: its name, unique within the benchmark.
            measure: what the number is, with its unit.
            value: what is held against the bar.
            bar: such as ">= 0.775"; None where no bar was set.
            result: how the value is shown.
            peer: who was measured beside, and what came out.
            ratio: of result and peer, where it is not the value itself.
            **details: further measurements, for the JSON file only.
        """
        self.rows.append(
            {
                "row": row,
                "measure": measure,
                "bar": bar,
                "met": None if bar is None else meets(float(value), bar),
                "value": float(value),
                "result": result or f"{value:.4g}",
                "peer": peer,
                "ratio": ratio,
                "details": details,
            }
        )

    def save(self) -> None:
        """Prints the rows and puts them in the benchmark's file, in place of older ones of the same names."""
        columns = ["row", "measure", "bar", "result", "peer", "ratio"]
        print_table(columns, [[row[column] or "" for column in columns] for row in self.rows])
        missed = [row["row"] for row in self.rows if row["met"] is False]
        print(f"\nmissed: {'; '.join(missed)}" if missed else "\nevery bar is met")
        path = self.folder / f"{self.name}.json"
        kept = read_rows(path)
        kept.update({row["row"]: row | self.origin for row in self.rows})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(list(kept.values()), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Row name to row; empty if the file is not there."""
    if not path.is_file():
        return {}
    return {row["row"]: row for row in json.loads(path.read_text(encoding="utf-8"))}


def meets(value: float, bar: str) -> bool:
    """Whether a value meets a bar such as ">= 0.775" or "< 0.3"."""
    relation, target = bar.split()[:2]
    bound = float(target)
    return {">=": value >= bound, "<=": value <= bound, "<": value < bound, "=": value == bound}[relation]


def print_table(columns: list[str], rows: list[list[Any]]) -> None:
    cells = [columns, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    print()
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def run_worker(arguments: list[str], timeout: float | None = None) -> dict[str, Any]:
    """Runs a script in a process of its own and returns the JSON on the last line of its output.

    Raises:
        subprocess.TimeoutExpired: If it takes longer than `timeout` seconds.
        RuntimeError: If it fails.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def command_line() -> list[str]:
    """The installed `tfautolabel` of this interpreter."""
    executable = Path(sys.executable).with_name("tfautolabel")
    if not executable.exists():
        raise FileNotFoundError(f"install the package first: there is no {executable}")
    return [str(executable)]


def machine() -> dict[str, Any]:
    """CPU, cores, memory, and how busy they are as the benchmark begins."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list))
