"""Accuracy with 8, 16 and 64 labels a class on texts and sound.

Measures, as a mean over draws of the labels, the share of right labels that the default head gives to all
other examples on the features of each packaged backbone of the modality; the best backbone's mean is held
against the bar. Which one `backbone="auto"` takes is measured by `sources.py`.

Peer: scikit-learn's LogisticRegression(C=1) on L2-normalised features of the same backbone, the same draws.

    python benchmarks/few_labels.py [--seeds 10] [--tasks uci spam chinese digits speakers] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sound_sets
from accuracy import draw
from recording import Report, options
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from text_sets import text_set

import tfautolabel as tal
from tfautolabel.backbones.packaged import PACKAGED
from tfautolabel.heads import build_head
from tfautolabel.training import train_head

BARS = {
    "uci": {8: 0.90, 16: 0.915, 64: 0.925},
    "spam": {8: 0.90, 16: 0.93, 64: 0.95},
    "chinese": {8: 0.72, 16: 0.77, 64: 0.81},
    "digits": {8: 0.956, 16: 0.969, 64: 0.982},
    "speakers": {8: 0.925, 16: 0.958},
}


class Features(NamedTuple):
    """Of one task and backbone: (n, d) float32 and (n,) int64."""

    values: np.ndarray
    class_ids: np.ndarray


class Outcome(NamedTuple):
    """Of one draw: shares of right labels."""

    ours: float
    peer: float


def dataset(task: str, arguments: argparse.Namespace) -> tal.Dataset:
    if task in ("digits", "speakers"):
        folder = sound_sets.fsdd(arguments.data, arguments.fsdd)
        part = 0 if task == "digits" else 1
        labels = {path.name: path.stem.split("_")[part] for path in folder.glob("*.wav")}
        return tal.load_dataset(folder, labels, modality="audio")
    return tal.load_dataset(text_set(arguments.data, task))


def features(task: str, arguments: argparse.Namespace) -> dict[str, Features]:
    """Backbone's name to features, for every packaged backbone of the task's modality."""
    examples, found = dataset(task, arguments), {}
    for entry in PACKAGED.values():
        if entry.modality == examples.modality:
            backbone = tal.load_backbone(f"packaged:{entry.name}")
            extraction = tal.extract_features(examples, backbone, cache_dir=arguments.data / "features")
            found[entry.name] = Features(extraction.features, examples.class_ids[extraction.rows])
    return found


def label(data: Features, per_class: int, seed: int) -> Outcome:
    drawn = draw(data.class_ids, per_class, seed)
    known, truth = data.class_ids[drawn], data.class_ids[~drawn]
    head = build_head("linear", data.values.shape[1], int(data.class_ids.max()) + 1, seed)
    head.compile()
    train_head(head, data.values[drawn], known, seed=seed)
    predicted = head.predict(data.values[~drawn], batch_size=4096, verbose=0).argmax(axis=1)
    peer = LogisticRegression(C=1, max_iter=2000).fit(normalize(data.values[drawn]), known)
    return Outcome(
        float((predicted == truth).mean()),
        float(peer.score(normalize(data.values[~drawn]), truth)),
    )


def add_accuracy(report: Report, task: str, per_class: int, outcomes: dict[str, list[Outcome]]) -> None:
    means = {name: float(np.mean([one.ours for one in own])) for name, own in outcomes.items()}
    best = max(means, key=lambda name: means[name])
    ours, peers = ([getattr(one, kind) for one in outcomes[best]] for kind in ("ours", "peer"))
    report.add(
        f"{task}, {per_class} labels a class",
        f"mean accuracy of {len(ours)} draws, best backbone",
        means[best],
        f">= {BARS[task][per_class]}",
        result=f"{means[best]:.4f} (std {np.std(ours):.4f}) with {best}",
        peer=f"scikit-learn LogisticRegression(C=1): {np.mean(peers):.4f}",
        ratio=f"{means[best] - np.mean(peers):+.4f}",
        backbones=means,
        accuracies=ours,
        peer_accuracies=peers,
    )


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tasks", nargs="+", choices=BARS, default=list(BARS))
    parser.add_argument("--fsdd", type=Path, help="the zip archive of the recordings; without it no sound")
    arguments = parser.parse_args()
    report = Report("few_labels", arguments)
    for task in arguments.tasks:
        if task in ("digits", "speakers") and arguments.fsdd is None:
            print(f"{task}: skipped, it needs --fsdd", flush=True)
            continue
        found = features(task, arguments)
        for per_class in BARS[task]:
            outcomes = {
                name: [label(data, per_class, seed) for seed in range(arguments.seeds)]
                for name, data in found.items()
            }
            add_accuracy(report, task, per_class, outcomes)
            print(report.rows[-1]["row"], report.rows[-1]["result"], flush=True)
    report.save()


if __name__ == "__main__":
    main()
