"""Accuracy where classes have few and unequal numbers of labels, and what is believed of the classes' shares.

Chosen labels: classes get fixed numbers of labels, dealt to them by seed, or what greedy herding asks for
first (it covers the set with few examples and knows no classes). The default head's accuracy on all other
rows, as a mean over the seeds, is held against the better of two peers less .01: the same head when every
class weighs the same in all, and scikit-learn's LogisticRegression(C=16) without weights.

Drawn labels: pools of unequal shares from which labels are drawn at random, under each word for how labels
came about. How the constants were chosen: seeds 10 to 17 of these and other numbers; the bars are measured on
seeds 0 to 4.

    python benchmarks/unequal_labels.py [--seeds 5] [--first 0] [--fsdd ARCHIVE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
import sound_sets
from recording import Report, options
from sklearn.linear_model import LogisticRegression
from text_sets import text_set

import tfautolabel as tal
from tfautolabel.data.shares import share_weights
from tfautolabel.heads import LinearHead

SETS = {
    "tux": "packaged:efficientnet-lite0",
    "fashion": "packaged:efficientnet-lite0",
    "uci": "packaged:minilm-l6",
    "uci-e5": "packaged:e5-small",
    "spam": "packaged:minilm-l6",
    "speakers": "packaged:resemblyzer",
    "digits": "packaged:speech-embedding",
}
COUNTS = {
    "2 each, one class 3": (("tux", [3, *[2] * 6]), ("uci-e5", [3, 2]), ("uci", [3, 2])),
    "3 each, one class 5": (("uci-e5", [5, 3]), ("uci", [5, 3])),
    "3, 2, 2, 2, 2, 1": (("speakers", [3, 2, 2, 2, 2, 1]),),
    "10 each, one class 40": (
        ("speakers", [40, *[10] * 5]),
        ("fashion", [40, *[10] * 9]),
        ("uci", [40, 10]),
    ),
}
HERDED = ("speakers", "digits", "tux", "fashion")
DRAWN = {
    "spam": [69, 31],
    "uci": [90, 10],
    "uci-e5": [80, 20],
    "fashion": [1 / rank for rank in range(1, 11)],
    "speakers": [1 / rank for rank in range(1, 7)],
}
POOL, REST = 1000, 1000


class Features(NamedTuple):
    """Of one set: (n, d) float32 and (n,) int64."""

    values: np.ndarray
    class_ids: np.ndarray


def features(name: str, arguments: argparse.Namespace) -> Features:
    """The set's features with the backbone of `SETS`, which are kept below the data folder."""
    if name in ("digits", "speakers"):
        folder = sound_sets.fsdd(arguments.data, arguments.fsdd)
        part = 0 if name == "digits" else 1
        labels = {path.name: path.stem.split("_")[part] for path in folder.glob("*.wav")}
        examples = tal.load_dataset(folder, labels, modality="audio")
    elif name == "tux":
        examples = tal.load_dataset(datasets.tux_stamps(arguments.data))
    elif name == "fashion":
        examples = tal.load_dataset(datasets.fashion_mnist(arguments.data, "test", 300))
    else:
        examples = tal.load_dataset(text_set(arguments.data, name.removesuffix("-e5")))
    extraction = tal.extract_features(
        examples, tal.load_backbone(SETS[name]), cache_dir=arguments.data / "features"
    )
    return Features(extraction.features, examples.class_ids[extraction.rows])


def deal(class_ids: np.ndarray, counts: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labelled rows, so many of each class in an order that the seed decides, and all the others."""
    rng = np.random.default_rng(seed)
    taken = np.concatenate(
        [
            rng.choice(np.flatnonzero(class_ids == number), count, replace=False)
            for number, count in enumerate(rng.permutation(counts))
        ]
    )
    return taken, np.setdiff1d(np.arange(len(class_ids)), taken)


def herd(found: Features, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Twice as many rows as there are classes that cover a pool best, and test rows outside the pool."""
    order = np.random.default_rng(seed).permutation(len(found.class_ids))
    size = min(POOL, int(0.65 * len(order)))
    pool, rest = order[:size], order[size : size + REST]
    head = LinearHead(found.values.shape[1], 2)
    head.normalization.adapt(found.values)
    rows = np.asarray(head.normalization(found.values[pool]))
    distance = np.maximum(2.0 - 2.0 * rows @ rows.T, 0.0)
    near = max(5, size // 50)
    kernel = np.exp(-distance / np.median(np.partition(distance, near, axis=1)[:, near]))
    covered, taken = np.zeros(size), []
    for _ in range(2 * int(found.class_ids.max() + 1)):
        gain = np.maximum(kernel - covered[:, None], 0.0).sum(axis=0)
        taken.append(int(gain.argmax()))
        covered = np.maximum(covered, kernel[:, taken[-1]])
    return pool[taken], rest


def said(found: Features, taken: np.ndarray, rest: np.ndarray, sampling: str) -> np.ndarray:
    """(m, k) probabilities of other rows from the default head on the labelled ones."""
    seen, own = np.unique(found.class_ids[taken], return_inverse=True)
    head = LinearHead(found.values.shape[1], len(seen))
    head.compile()
    weights = share_weights(own, len(seen), sampling)
    head.fit(found.values[taken], own, class_weight=weights or {})
    probabilities = np.zeros((len(rest), int(found.class_ids.max()) + 1), np.float32)
    probabilities[:, seen] = np.asarray(head(found.values[rest], training=False))
    return probabilities


def plain(found: Features, taken: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(m,) what scikit-learn says of other rows, on the same normalised features."""
    head = LinearHead(found.values.shape[1], 2)
    head.normalization.adapt(found.values[taken])
    labelled, others = (np.asarray(head.normalization(found.values[rows])) for rows in (taken, rest))
    model = LogisticRegression(C=16, max_iter=5000).fit(labelled, found.class_ids[taken])
    answers: np.ndarray = model.predict(others)
    return answers


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """In ten bins of equal width, in [0, 1]."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((10 * confidence).astype(int), 9)
    gaps = [
        abs(confidence[bins == one].mean() - right[bins == one].mean()) * np.mean(bins == one)
        for one in np.unique(bins)
    ]
    return float(np.sum(gaps))


def add_chosen(
    report: Report,
    row: str,
    found: Features,
    choose: Callable[[int], tuple[np.ndarray, np.ndarray]],
    seeds: range,
) -> None:
    accuracies: dict[str, list[float]] = {"default": [], "balanced": [], "plain": []}
    for seed in seeds:
        taken, rest = choose(seed)
        truth = found.class_ids[rest]
        answers = {
            "default": said(found, taken, rest, "unknown").argmax(axis=1),
            "balanced": said(found, taken, rest, "chosen").argmax(axis=1),
            "plain": plain(found, taken, rest),
        }
        for name, answer in answers.items():
            accuracies[name].append(float((answer == truth).mean()))
    means = {name: float(np.mean(own)) for name, own in accuracies.items()}
    best = max(means["balanced"], means["plain"])
    report.add(
        row,
        f"mean accuracy of {len(seeds)} draws",
        means["default"],
        f">= {best - 0.01:.4f}",
        result=f"{means['default']:.4f}",
        peer=f"balanced weights {means['balanced']:.4f}; LogisticRegression(C=16) {means['plain']:.4f}",
        ratio=f"{means['default'] - best:+.4f}",
        accuracies=accuracies,
    )
    print(row, report.rows[-1]["result"], report.rows[-1]["peer"], flush=True)


def pool_of(found: Features, shares: list[float], seed: int) -> Features:
    """A part of a set in which the classes have these shares, dealt to them by seed."""
    rng = np.random.default_rng([seed, 7])
    wanted = rng.permutation(np.array(shares) / np.sum(shares))
    size = min(2000, int((np.bincount(found.class_ids) / wanted).min()))
    rows = np.concatenate(
        [
            rng.choice(np.flatnonzero(found.class_ids == number), round(size * share), replace=False)
            for number, share in enumerate(wanted)
        ]
    )
    return Features(found.values[rows], found.class_ids[rows])


def add_drawn(report: Report, name: str, found: Features, count: int, seeds: range) -> None:
    measured: dict[str, list[tuple[float, float]]] = {"unknown": [], "random": [], "chosen": []}
    for seed in seeds:
        pool = pool_of(found, DRAWN[name], seed)
        order = np.random.default_rng(seed).permutation(len(pool.class_ids))
        taken, rest = order[:count], order[count:]
        truth = pool.class_ids[rest]
        for sampling, own in measured.items():
            probabilities = said(pool, taken, rest, sampling)
            right = float((probabilities.argmax(axis=1) == truth).mean())
            own.append((right, calibration_error(probabilities, truth)))
    means = {sampling: np.mean(own, axis=0) for sampling, own in measured.items()}
    shown = [f"{sampling} {own[0]:.3f} ({own[1]:.3f})" for sampling, own in means.items()]
    report.add(
        f"{name}, {count} labels drawn at random",
        f"mean accuracy (and calibration error) of {len(seeds)} draws where sampling is unknown",
        float(means["unknown"][0]),
        result=shown[0].removeprefix("unknown "),
        peer="; ".join(shown[1:]),
        ratio=f"{means['unknown'][0] - means['random'][0]:+.4f}",
        measured=measured,
    )
    print(report.rows[-1]["row"], *shown, flush=True)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed (%(default)s)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--fsdd", type=Path, help="the zip archive of the recordings; without it no sound")
    arguments = parser.parse_args()
    report = Report("unequal_labels", arguments)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    found = {
        name: features(name, arguments)
        for name in arguments.sets
        if name not in ("digits", "speakers") or arguments.fsdd is not None
    }
    for words, cases in COUNTS.items():
        for name, counts in cases:
            if name in found:
                own = found[name]
                add_chosen(
                    report,
                    f"{name}, {words}",
                    own,
                    lambda seed, own=own, counts=counts: deal(own.class_ids, counts, seed),  # type: ignore[misc]
                    seeds,
                )
    for name in HERDED:
        if name in found:
            own = found[name]
            add_chosen(
                report,
                f"{name}, first answers of a cold start",
                own,
                lambda seed, own=own: herd(own, seed),  # type: ignore[misc]
                seeds,
            )
    for name in DRAWN:
        for count in (40, 200, 400):
            if name in found:
                add_drawn(report, name, found[name], count, seeds)
    report.save()


if __name__ == "__main__":
    main()
