"""The linear head's solver, against scikit-learn's LogisticRegressionCV on the same problem.

Measures seconds of `LinearHead.fit`, cross-validation included, on Fashion-MNIST features of
EfficientNet-Lite0 with 100, 1,000 and 10,000 training examples, and accuracy on 3,000 test images; below
10,000 on several draws of the training examples.

Peer: LogisticRegressionCV with the same values of C, the same folds, chosen by log loss, on the same
normalised features; scikit-learn's defaults otherwise (L-BFGS, at most 100 iterations: more would only slow
it). Each fit runs in a process of its own, in turn, after a warm-up on a few rows. A peer that takes longer
than --peer-limit seconds is stopped, and the ratio is then an upper bound.

    python benchmarks/linear_head.py [--sizes 100 1000 10000] [--repeats 3] [--peer-limit 1800]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from recording import Report, options, run_worker

BAR_TIME = "<= 1.2"
BAR_ACCURACY = ">= -0.005"
SINGLE_FROM = 10_000
"""From this size on one run each is enough: it takes minutes, not milliseconds."""


def extract(folder: Path, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features and class ids of a folder per class."""
    import tfautolabel as tal

    dataset = tal.load_dataset(folder, "folder")
    backbone = tal.load_backbone("packaged:efficientnet-lite0")
    extraction = tal.extract_features(dataset, backbone, cache_dir=data / "features")
    return extraction.features, dataset.class_ids[extraction.rows]


def balanced_rows(class_ids: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` rows, the same number of each class, in random order."""
    rng = np.random.default_rng(seed)
    per_class = count // len(np.unique(class_ids))
    drawn = [
        rng.choice(np.flatnonzero(class_ids == name), per_class, replace=False)
        for name in np.unique(class_ids)
    ]
    return rng.permutation(np.concatenate(drawn))


def fit_ours(arrays: dict[str, np.ndarray], n_classes: int) -> dict[str, Any]:
    from tfautolabel import build_head

    def head() -> Any:
        return build_head("linear", arrays["train"].shape[1], n_classes)

    head().fit(arrays["train"][:20], np.arange(20) % n_classes)
    fitted = head()
    start = time.perf_counter()
    fitted.fit(arrays["train"], arrays["train_ids"])
    seconds = time.perf_counter() - start
    predicted = fitted.predict(arrays["test"], batch_size=4096, verbose=0).argmax(axis=1)
    return {"seconds": seconds, "accuracy": _accuracy(predicted, arrays), "penalty": fitted.C_}


def fit_peer(arrays: dict[str, np.ndarray], n_classes: int) -> dict[str, Any]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegressionCV

    def fit(features: np.ndarray, class_ids: np.ndarray, folds: np.ndarray) -> LogisticRegressionCV:
        splits = [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in np.unique(folds)]
        model = LogisticRegressionCV(
            Cs=arrays["Cs"].tolist(),
            cv=splits,
            scoring="neg_log_loss",
            l1_ratios=(0,),
            use_legacy_attributes=False,
        )
        return model.fit(features, class_ids)

    few = np.arange(10 * n_classes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(arrays["normalized"][few], few % n_classes, few // n_classes % 5)
        caught.clear()
        start = time.perf_counter()
        model = fit(arrays["normalized"], arrays["train_ids"], arrays["folds"])
        seconds = time.perf_counter() - start
    unconverged = sum(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    accuracy = _accuracy(model.predict(arrays["normalized_test"]), arrays)
    return {
        "seconds": seconds,
        "accuracy": accuracy,
        "penalty": float(model.C_),
        "unconverged_fits": unconverged,
    }


def _problem(train: np.ndarray, train_ids: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """What the head makes of the features before it solves; the peer gets it ready-made."""
    import keras

    from tfautolabel.data.folds import stratified_folds
    from tfautolabel.heads.normalization import PowerNormalization
    from tfautolabel.heads.softmax_regression import CS

    layer = PowerNormalization()
    layer.adapt(train)
    return {
        "normalized": keras.ops.convert_to_numpy(layer(train)),
        "normalized_test": keras.ops.convert_to_numpy(layer(test)),
        "folds": stratified_folds(train_ids, 5, seed=0),
        "Cs": np.array(CS),
    }


def _accuracy(predicted: np.ndarray, arrays: dict[str, np.ndarray]) -> float:
    return float((predicted == arrays["test_ids"]).mean())


WORKERS = {"ours": fit_ours, "peer": fit_peer}


def measure(files: list[Path], size: int, arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Both workers in turn on each draw; the peer's list is shorter if it took too long."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in WORKERS}
    for number, file in enumerate(files):
        for name in WORKERS:
            limit = arguments.peer_limit if name == "peer" else None
            try:
                runs[name].append(
                    run_worker([__file__, "--worker", name, "--arrays", str(file)], timeout=limit)
                )
            except subprocess.TimeoutExpired:
                print(f"n={size} {name}: stopped after {limit} s", flush=True)
                return runs
            print(f"n={size} {name} {number}: {runs[name][-1]}", flush=True)
    return runs


def add_rows(report: Report, size: int, runs: dict[str, list[dict[str, Any]]], limit: int) -> None:
    ours = float(np.median([run["seconds"] for run in runs["ours"]]))
    accuracy = float(np.mean([run["accuracy"] for run in runs["ours"]]))
    stopped = not runs["peer"]
    peer = float(limit) if stopped else float(np.median([run["seconds"] for run in runs["peer"]]))
    report.add(
        f"linear head, time, n = {size:,}",
        "seconds of fit / the peer's",
        ours / peer,
        BAR_TIME,
        result=f"{ours:.3g} s",
        peer=f"LogisticRegressionCV: {'more than ' if stopped else ''}{peer:.3g} s",
        ratio=f"{'below ' if stopped else ''}{ours / peer:.2f}",
        runs=runs,
    )
    if stopped:
        report.add(
            f"linear head, accuracy, n = {size:,}", "accuracy", accuracy, peer="stopped before it had one"
        )
        return
    peer_accuracy = float(np.mean([run["accuracy"] for run in runs["peer"]]))
    difference = accuracy - peer_accuracy
    report.add(
        f"linear head, accuracy, n = {size:,}",
        f"accuracy minus the peer's, mean of {len(runs['peer'])} draws",
        difference,
        BAR_ACCURACY,
        result=f"{accuracy:.4f}",
        peer=f"LogisticRegressionCV: {peer_accuracy:.4f}",
        ratio=f"{difference:+.4f}",
    )


def parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=3, help=f"draws, below {SINGLE_FROM:,} examples")
    parser.add_argument("--peer-limit", type=int, default=1800, help="seconds")
    internal = parser.add_argument_group("internal")
    internal.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    internal.add_argument("--arrays", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.worker:
        with np.load(arguments.arrays) as arrays:
            loaded = dict(arrays)
        print(json.dumps(WORKERS[arguments.worker](loaded, int(loaded["test_ids"].max()) + 1)))
        return
    import datasets

    report = Report("linear_head", arguments)
    per_class = 100 if max(arguments.sizes) <= 1_000 else 1_000
    train, train_ids = extract(datasets.fashion_mnist(arguments.data, "train", per_class), arguments.data)
    test, test_ids = extract(datasets.fashion_mnist(arguments.data, "test", 300), arguments.data)
    with tempfile.TemporaryDirectory(prefix="tfautolabel-benchmark-") as folder:
        for size in arguments.sizes:
            files = []
            for seed in range(1 if size >= SINGLE_FROM else arguments.repeats):
                rows = balanced_rows(train_ids, size, seed)
                files.append(Path(folder, f"{size}-{seed}.npz"))
                known = {"train": train[rows], "train_ids": train_ids[rows]}
                problem = _problem(train[rows], train_ids[rows], test)
                np.savez(files[-1], test=test, test_ids=test_ids, **known, **problem)
            add_rows(report, size, measure(files, size, arguments), arguments.peer_limit)
    report.save()


if __name__ == "__main__":
    main()
