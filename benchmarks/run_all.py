"""Runs every benchmark in turn and renders RESULTS.md.

python benchmarks/run_all.py             # full size: give it a quiet machine
python benchmarks/run_all.py --quick     # minutes: only shows that everything works; its rows prove nothing
python benchmarks/run_all.py --only accuracy hostile
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from make_results import ORDER
from recording import options

HERE = Path(__file__).parent
QUICK = {
    "accuracy": ["--seeds", "1", "--sets", "tux-stamps", "tiles"],
    "extraction": ["--files", "96", "--rounds", "2"],
    "decoding": ["--sides", "256", "--wide", "500", "--rounds", "2", "--files", "60"],
    "engines": ["--files", "96", "--rounds", "2", "--each", "3"],
    "orientation": ["--sides", "96", "--seconds", "1"],
    "few_labels": ["--seeds", "1", "--tasks", "uci"],
    "sources": ["--seeds", "1", "--tasks", "tiles", "digits 8x8"],
    "unequal_labels": ["--seeds", "1", "--sets", "uci"],
    "auto_head": ["--draws", "1", "--labels", "8", "--pools", "balanced", "--sets", "uci"],
    "active_learning": ["--parts", "curves", "--seeds", "2", "--sets", "uci", "--strategies", "margin"],
    "text_throughput": ["--texts", "200", "--rounds", "1"],
    "memory": ["--rows", "1000", "10000"],
    "long_sounds": ["--seconds", "700", "--backbones", "plain:spectrum", "--few", "1", "--many", "4"],
    "rule_votes": ["--rows", "1000", "10000", "--timed", "1000", "--rounds", "1"],
    "dialect": ["--seeds", "1"],
    "tutorial": ["--labels", "10", "--pool", "10"],
    "linear_head": ["--sizes", "100", "--repeats", "1"],
    "startup": ["--processes", "2", "--files", "100"],
    "hostile": ["--files", "150"],
    "kills": ["--kills", "7"],
    "export_parity": ["--files", "48"],
    "contrastive": ["--seeds", "1"],
    "fine_tune": ["--seeds", "1", "--labels", "10"],
    "do_no_harm": ["--seeds", "1", "--labels", "8", "--sets", "uci"],
    "tuning": ["--seeds", "1", "--trials", "3", "--sets", "uci"],
    "serving": ["--seconds", "2", "--rounds", "1"],
    "formats": ["--items", "50"],
    "label_studio": ["--examples", "24"],
    "trust_validity": ["--sets", "uci"],
    "audit_answers": ["--sets", "uci", "--runs", "10", "--validity", "400"],
    "trust_calibration": ["--sets", "uci"],
    "trust_conformal": [],
    "trust_unlike": [],
    "domain_shift": ["--draws", "1", "--sets", "uci"],
    "trust_earned": ["--parts", "unequal", "--sets", "tiles"],
    "review": ["--sessions", "5", "--sets", "uci", "--keys", "20", "--kills", "3"],
    "label_errors": ["--seeds", "1", "--sets", "tiles", "uci-e5"],
    "label_models": ["--seeds", "1", "--sets", "uci"],
    "rule_heads": ["--seeds", "1", "--sets", "uci"],
    "votes_at_prediction": ["--seeds", "1", "--sets", "uci"],
    "descriptions": ["--seeds", "1", "--sets", "uci-minilm"],
    "meta_learning": ["--seeds", "1", "--pairs", "tiles-tux"],
    "report": [],
    "large_pools": [
        *("--label-rows", "20000", "40000", "--run-rows", "20000", "40000"),
        *("--engine-rows", "60000", "--kills", "1"),
    ],
    "scale": ["--rows", "20000", "--kills", "2"],
    "places": ["--pictures", "128", "--rounds", "3"],
}


def run(name: str, arguments: argparse.Namespace) -> bool:
    """Runs one script; whether it ended well."""
    start = time.perf_counter()
    print(f"\n=== {name}", flush=True)
    command = [sys.executable, str(HERE / f"{name}.py"), "--data", str(arguments.data)]
    command += ["--results", str(arguments.results), *(QUICK[name] if arguments.quick else [])]
    done = subprocess.run(command, check=False)
    print(
        f"=== {name}: {(time.perf_counter() - start) / 60:.1f} min, exit code {done.returncode}", flush=True
    )
    return done.returncode == 0


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=ORDER, default=list(ORDER))
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.results = arguments.data / "quick-results"
    failed = [name for name in arguments.only if not run(name, arguments)]
    rendered = arguments.results.parent / "RESULTS.md"
    command = [
        sys.executable,
        str(HERE / "make_results.py"),
        "--results",
        str(arguments.results),
        "--out",
        str(rendered),
    ]
    subprocess.run(command, check=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
