"""How long does a search of 30 heads take, does it help, and does a killed one come back as it was?

Three questions, each a part of its own (`--parts speed accuracy resume`):

speed       30 random trials on 1,000 examples of 1,280 features in 10 classes, with the last comparison.
accuracy    the tuned head against the default one on the same labels and features, on examples that neither
            has seen: UCI sentiment and SpamAssassin with MiniLM, FSDD spoken digits with speech-embedding,
            Tux Paint stamps and Fashion-MNIST with EfficientNet-Lite0; mean of draws of 16 labels a class.
resume      a search that SIGKILL ends half-way, and is started again, against one that nothing ended.

    python benchmarks/tuning.py [--parts …] [--seeds 5] [--labels 16] [--trials 30] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
import do_no_harm
import numpy as np
from accuracy import draw
from recording import Report, options, read_rows

import tfautolabel as tal
from tfautolabel.features import Extraction
from tfautolabel.labeler.choose import DEFAULT_BACKBONES

PARTS = ("speed", "accuracy", "resume")
SETS = ("uci", "spam", "digits", "tux-stamps", "fashion-mnist")
TEST = 3000
SECONDS = 90


def made_up(n: int, feature_dim: int, n_classes: int, seed: int = 0) -> tuple[Extraction, np.ndarray]:
    """Features like those of averaged activations: never negative, a centre a class, and much noise."""
    rng = np.random.default_rng(seed)
    class_ids = np.arange(n) % n_classes
    centres = rng.normal(size=(n_classes, feature_dim))
    features = np.abs(0.4 * centres[class_ids] + rng.normal(size=(n, feature_dim))).astype(np.float32)
    return Extraction(np.arange(n), features, (), 0, n, 0, f"made up {n} {seed}"), class_ids


def search_made_up(
    n: int, feature_dim: int, n_classes: int, trials: int, out: Path, tuner: str = "random"
) -> tuple[tal.Labeler, Any, float]:
    """A search on made-up features: labeler, what came out, and seconds."""
    extraction, class_ids = made_up(n, feature_dim, n_classes)
    classes = [f"class {number}" for number in range(n_classes)]
    labelled = tal.Dataset.from_inputs(
        [f"example {number}" for number in range(n)], [classes[number] for number in class_ids]
    ).with_classes(classes)
    labeler = tal.Labeler(_Features(feature_dim), classes, progress=False)
    start = time.perf_counter()
    search = tal.tune_head(labeler, labelled, trials=trials, tuner=tuner, out=out, extraction=extraction)
    return labeler, search, time.perf_counter() - start


class _Features(tal.Backbone):
    """A backbone that only says how many features it would have given."""

    def __init__(self, feature_dim: int) -> None:
        self.feature_dim = feature_dim
        self.handle = "made up"

    @property
    def fingerprint(self) -> str:
        return "made up"


def measure_speed(report: Report, trials: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        load = os.getloadavg()[0]
        _, search, seconds = search_made_up(1000, 1280, 10, trials, Path(folder))
        kinds = [row.values.get("kind") for row in search.rows[1:]]
        report.add(
            f"{trials} random trials on 1,000 x 1,280 features, 10 classes",
            "seconds, all of the search",
            seconds,
            f"< {SECONDS}" if trials == 30 else None,
            result=f"{seconds:.0f} s ({kinds.count('linear')} linear, {kinds.count('mlp')} networks)",
            load=load,
            search=search.to_dict(),
        )


def dataset(name: str, arguments: argparse.Namespace) -> tal.Dataset:
    if name == "tux-stamps":
        return tal.load_dataset(datasets.tux_stamps(arguments.data), "folder")
    return do_no_harm.dataset(name, arguments)


def measure_accuracy(report: Report, arguments: argparse.Namespace) -> None:
    for name in arguments.sets:
        if name == "digits" and arguments.fsdd is None:
            print("digits: skipped, it needs --fsdd", flush=True)
            continue
        data = dataset(name, arguments)
        backbone = tal.load_backbone(DEFAULT_BACKBONES[data.modality])
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        draws = [one_draw(data, backbone, seed, arguments) for seed in seeds]
        default, tuned = (float(np.mean([one[key] for one in draws])) for key in ("default", "tuned"))
        report.add(
            f"tuned, {name}, {arguments.labels} labels a class",
            f"accuracy minus the default head's, mean of {arguments.seeds} draws",
            tuned - default,
            first_seed=arguments.first_seed,
            trials=arguments.trials,
            result=f"{tuned:.4f}, {sum(one['kept'] for one in draws)} of {len(draws)} replaced",
            peer=f"default head: {default:.4f}",
            ratio=f"{tuned - default:+.4f}",
            draws=draws,
        )
        report.save()
    add_summary(report, arguments.labels)


def add_summary(report: Report, labels: int) -> None:
    """On how many sets tuned heads are at least as good, once all of them are measured, now or before."""
    known = read_rows(report.folder / "tuning.json")
    rows = [known.get(f"tuned, {name}, {labels} labels a class") for name in SETS]
    if None in rows:
        return
    held = sum(row["value"] >= 0.0 for row in rows)
    report.add(
        f"sets on which tuned is at least as good, {labels} labels a class",
        f"of {len(SETS)} sets",
        held,
        ">= 4",
        result=f"{held} of {len(SETS)}",
        peer="default head",
        differences={name: row["value"] for name, row in zip(SETS, rows, strict=True)},
    )


def one_draw(data: tal.Dataset, backbone: tal.Backbone, seed: int, arguments: argparse.Namespace) -> Any:
    """Accuracies of the default and of the tuned head from one draw of labels."""
    drawn = draw(data.class_ids, arguments.labels, seed)
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(~drawn))[:TEST]
    labelled, test = data.subset(drawn), data.subset(np.sort(rest))
    cache = arguments.data / "features"
    labeler = tal.Labeler(backbone, data.classes, seed=seed, cache_dir=cache, progress=False)
    labeler.fit(labelled)
    default = labeler.evaluate(test).accuracy
    start = time.perf_counter()
    search = tal.tune_head(labeler, labelled, trials=arguments.trials)
    seconds = time.perf_counter() - start
    labeler.fit(labelled)
    one = {
        "default": default,
        "tuned": labeler.evaluate(test).accuracy,
        "kept": search.kept,
        "seconds": round(seconds, 1),
        "search": search.to_dict(),
    }
    print(seed, one, flush=True)
    return one


def measure_resume(report: Report) -> None:
    """Kills a search with SIGKILL once half of its trials are done, and starts it again."""
    for tuner in ("random", "bayesian", "hyperband"):
        with tempfile.TemporaryDirectory() as folder:
            whole = _worker(Path(folder, "whole"), tuner)
            killed = Path(folder, "killed")
            process = subprocess.Popen(_command(killed, tuner), stdout=subprocess.DEVNULL)
            while process.poll() is None and len(list(killed.glob("trials/trial_*"))) < 8:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            process.wait()
            begun = len(list(killed.glob("trials/trial_*")))
            again = _worker(killed, tuner)
            shutil.rmtree(folder, ignore_errors=True)
        report.add(
            f"{tuner} search of 14, killed and started again",
            "same trials and same best as an unbroken one",
            float(whole == again),
            "= 1",
            result=f"{'the same' if whole == again else 'another'} (killed in trial {begun})",
            whole=whole,
            again=again,
        )


def _command(out: Path, tuner: str) -> list[str]:
    return [sys.executable, __file__, "--worker", str(out), tuner]


def _worker(out: Path, tuner: str) -> Any:
    done = subprocess.run(_command(out, tuner), capture_output=True, text=True, check=True, timeout=600)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        _, search, _ = search_made_up(120, 32, 3, 14, Path(sys.argv[2]), sys.argv[3])
        trials = [[row.name, row.values, row.loss] for row in search.rows]
        print(json.dumps({"best": [search.best, search.hyperparameters], "trials": trials}))
        return
    parser = options(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--first-seed", type=int, default=5, help="5 by default: the bound was chosen on the draws before"
    )
    parser.add_argument("--labels", type=int, default=16, help="a class")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--fsdd", type=Path, help="the zip archive of the recordings; without it no digits")
    arguments = parser.parse_args()
    report = Report("tuning", arguments)
    if "speed" in arguments.parts:
        measure_speed(report, arguments.trials)
    if "resume" in arguments.parts:
        measure_resume(report)
    if "accuracy" in arguments.parts:
        measure_accuracy(report, arguments)
    report.save()


if __name__ == "__main__":
    main()
