"""Accuracy with 10 labels a class: the whole way from files, against scikit-learn on the same features.

Measures the share of right labels that `tfautolabel.Labeler` with its default head gives to the remaining
items, for several draws of the labels: Fashion-MNIST (labels drawn from 100 training images a class, 300
official test images a class to label), Tux Paint stamps and texture tiles (all that were not drawn are to
be labelled).

Peer: scikit-learn's LogisticRegression(C=1) on L2-normalised features of the same backbone, the same draws.

    python benchmarks/accuracy.py [--seeds 5] [--labels 10] [--sets fashion-mnist tux-stamps tiles]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import datasets
import numpy as np
from recording import Report, options
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

import tfautolabel as tal

BARS = {"fashion-mnist": 0.775, "tux-stamps": 0.865, "tiles": 0.97}


def folders(data: Path, name: str) -> tuple[Path, Path | None]:
    """Where labels are drawn from, and what is to be labelled if that is a folder of its own."""
    if name == "fashion-mnist":
        return datasets.fashion_mnist(data, "train", 100), datasets.fashion_mnist(data, "test", 300)
    return {"tux-stamps": datasets.tux_stamps, "tiles": datasets.tiles}[name](data), None


def draw(class_ids: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """(n,) bool: `per_class` rows of each class."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(class_ids), bool)
    for class_id in np.unique(class_ids):
        drawn[rng.choice(np.flatnonzero(class_ids == class_id), per_class, replace=False)] = True
    return drawn


def ours(
    backbone: tal.Backbone, labelled: tal.Dataset, rest: tal.Dataset, seed: int, cache_dir: Path
) -> float:
    labeler = tal.Labeler(backbone, labelled.classes, seed=seed, cache_dir=cache_dir)
    labeler.fit(labelled)
    return labeler.evaluate(rest).accuracy


def peer(backbone: tal.Backbone, labelled: tal.Dataset, rest: tal.Dataset, cache_dir: Path) -> float:
    known, unknown = (tal.extract_features(part, backbone, cache_dir=cache_dir) for part in (labelled, rest))
    model = LogisticRegression(C=1, max_iter=2000)
    model.fit(normalize(known.features), labelled.class_ids[known.rows])
    return float(model.score(normalize(unknown.features), rest.class_ids[unknown.rows]))


def measure(name: str, backbone: tal.Backbone, arguments: argparse.Namespace) -> tuple[list, list, int]:
    """Our accuracies and the peer's, one a seed, and how many items were labelled each time."""
    pool_folder, test_folder = folders(arguments.data, name)
    pool = tal.load_dataset(pool_folder, "folder")
    test = None if test_folder is None else tal.load_dataset(test_folder, "folder").with_classes(pool.classes)
    cache_dir = arguments.data / "features"
    ours_of, peers, count = [], [], 0
    for seed in range(arguments.seeds):
        drawn = draw(pool.class_ids, arguments.labels, seed)
        labelled, rest = pool.subset(drawn), pool.subset(~drawn) if test is None else test
        ours_of.append(ours(backbone, labelled, rest, seed, cache_dir))
        peers.append(peer(backbone, labelled, rest, cache_dir))
        count = len(rest)
        print(f"{name} seed {seed}: {ours_of[-1]:.4f}, scikit-learn {peers[-1]:.4f}", flush=True)
    return ours_of, peers, count


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, default=10, help="a class")
    parser.add_argument("--sets", nargs="+", choices=BARS, default=list(BARS))
    parser.add_argument("--backbone", default="packaged:efficientnet-lite0")
    arguments = parser.parse_args()
    report = Report("accuracy", arguments)
    backbone = tal.load_backbone(arguments.backbone)
    for name in arguments.sets:
        accuracies, peers, count = measure(name, backbone, arguments)
        mean, peer_mean = float(np.mean(accuracies)), float(np.mean(peers))
        report.add(
            f"accuracy, {name}, {arguments.labels} labels a class",
            f"mean accuracy of {arguments.seeds} seeds on {count:,} items",
            mean,
            f">= {BARS[name]}" if arguments.labels == 10 else None,
            result=f"{mean:.4f} (std {np.std(accuracies):.4f})",
            peer=f"scikit-learn LogisticRegression(C=1): {peer_mean:.4f} (std {np.std(peers):.4f})",
            ratio=f"{mean - peer_mean:+.4f}",
            accuracies=accuracies,
            peer_accuracies=peers,
        )
    report.save()


if __name__ == "__main__":
    main()
