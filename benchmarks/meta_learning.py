"""What earlier labelled sets are worth for the next one, where they are alike and where they are not.

A meta-learner learns a map from earlier sets, by whitening within classes unless another method is asked for,
and `MetaHead` weighs it against the plain head by held-out labels; the plain head is measured beside it on
the same draws. In the sets of spoken digits, each draw deals the six speakers and ten words: three speakers
with five words are the earlier set, the other speakers with the other words the target. "one speaker" takes
all labels from one of them and tests on the other two. Below twenty labels the map is never used.

The shrinkage was chosen on draws 200 to 203 of most of these pairs, the least number of labels also on draws
300 to 309; the draws here are others.

    python benchmarks/meta_learning.py [--seeds 10] [--pairs tux-fashion ...] [--method ridge] --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import datasets
import keras
import numpy as np
import sound_sets
from accuracy import draw
from recording import Report, options
from text_sets import text_set

import tfautolabel as tal
from tfautolabel.heads.meta import MetaHead
from tfautolabel.training.meta import METHODS, Task
from tfautolabel.training.meta.tasks import common_power, normalized

FIRST_SEED = 400
LABELS = (2, 4, 8, 16)
TESTED = 1000
IMAGE, TEXT = "efficientnet-lite0", "minilm-l6"
PAIRS = {
    "tux-fashion": (IMAGE, "tux", "fashion"),
    "fashion-tux": (IMAGE, "fashion", "tux"),
    "tiles-tux": (IMAGE, "tiles", "tux"),
    "uci-spam": (TEXT, "uci", "spam"),
    "spam-uci": (TEXT, "spam", "uci"),
}
SPOKEN = {
    "words": ("word", "word", False),
    "words, one speaker": ("word", "word", True),
    "speakers": ("speaker", "speaker", False),
    "speakers from words": ("word", "speaker", False),
    "words from speakers": ("speaker", "word", False),
}
"""What the classes of the earlier set are, what those of the target are, and whether one speaker has all
labels."""
ALIKE = ("words", "words, one speaker")
SPEECH = ("speech-embedding", "resemblyzer")
Deal = tuple[np.ndarray, Task, np.ndarray, np.ndarray]
"""Which rows are labelled, the target, which rows are tested, and a (d, d) map."""


def features(backbone: str, dataset: tal.Dataset, data: Path) -> tuple[Task, np.ndarray]:
    """A set's features with class ids, and the names of the examples."""
    found = tal.extract_features(
        dataset, tal.load_backbone(f"packaged:{backbone}"), cache_dir=data / "features"
    )
    return Task(found.features, dataset.class_ids[found.rows]), np.array(dataset.ids)[found.rows]


def dataset(name: str, data: Path) -> tal.Dataset:
    folders: dict[str, Callable[[], Path]] = {
        "tux": lambda: datasets.tux_stamps(data),
        "tiles": lambda: datasets.tiles(data),
        "fashion": lambda: datasets.fashion_mnist(data, "train", 100),
    }
    return tal.load_dataset(folders[name]() if name in folders else text_set(data, name))


def spoken(backbone: str, arguments: argparse.Namespace) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The clips' features, and each clip's word and speaker as numbers."""
    folder = sound_sets.fsdd(arguments.data, arguments.fsdd)
    words = {path.name: path.stem.split("_")[0] for path in folder.glob("*.wav")}
    task, ids = features(backbone, tal.load_dataset(folder, words, modality="audio"), arguments.data)
    speakers = [Path(name).stem.split("_")[1] for name in ids.tolist()]
    return task.features, {
        "word": task.class_ids,
        "speaker": np.unique(speakers, return_inverse=True)[1],
    }


def dealt(
    values: np.ndarray,
    of: dict[str, np.ndarray],
    kind: tuple[str, str, bool],
    method: str,
    labels: int,
    seed: int,
) -> Deal:
    """One draw of speakers, words and labels."""
    rng = np.random.default_rng(seed)
    speakers, words = rng.permutation(6), rng.permutation(10)
    earlier = np.isin(of["speaker"], speakers[:3]) & np.isin(of["word"], words[:5])
    later = np.isin(of["speaker"], speakers[3:]) & np.isin(of["word"], words[5:])
    before, after, one_speaker = kind
    class_ids = np.unique(of[after][later], return_inverse=True)[1]
    may = of["speaker"][later] == speakers[3] if one_speaker else np.ones(len(class_ids), bool)
    labelled = np.zeros(len(class_ids), bool)
    labelled[np.flatnonzero(may)[draw(class_ids[may], labels, seed)]] = True
    matrix = learnt(Task(values[earlier], of[before][earlier]), method, seed)
    return labelled, Task(values[later], class_ids), ~may if one_speaker else ~labelled, matrix


def learnt(task: Task, method: str, seed: int = 0) -> np.ndarray:
    return METHODS[method]([normalized(task, common_power([task]))], seed)


def paired(matrix: np.ndarray, target: Task, labels: int, seed: int) -> Deal:
    """One draw of labels, with the map of an earlier set."""
    labelled = draw(target.class_ids, labels, seed)
    tested = np.zeros(len(labelled), bool)
    rest = np.flatnonzero(~labelled)
    tested[np.random.default_rng(seed).permutation(rest)[:TESTED]] = True
    return labelled, target, tested, matrix


def outcome(deal: Deal, seed: int) -> tuple[float, float, float]:
    """The plain head's accuracy, that with the map, and the map's share."""
    labelled, target, tested, matrix = deal
    head = MetaHead(target.features.shape[1], int(target.class_ids.max()) + 1, seed=seed)
    head.compile()
    head.use_map(matrix, common_power([target]))
    head.fit(target.features[labelled], target.class_ids[labelled])
    rows, truth = target.features[tested], target.class_ids[tested]
    found = [head.dense(head.normalization(rows)), head(rows, training=False)]
    right = [float((keras.ops.convert_to_numpy(one).argmax(axis=1) == truth).mean()) for one in found]
    return right[0], right[1], head.meta_["share"]


def measure(
    name: str, deal: Callable[[int, int], Deal], alike: bool, arguments: argparse.Namespace, report: Report
) -> None:
    for labels in arguments.labels:
        draws = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
        plain, found, shares = np.array([outcome(deal(labels, seed), seed) for seed in draws]).T
        gains = 100 * (found - plain)
        report.add(
            f"{name}, {labels} labels a class",
            "points over the plain head, " + ("sets alike" if alike else "any sets"),
            float(gains.mean()),
            ">= 0.5" if alike and labels > 2 else ">= -0.5",
            result=f"{gains.mean():+.2f}, worst draw {gains.min():+.1f}",
            peer=f"plain head {plain.mean():.3f}",
            ratio=f"mean share of the map {shares.mean():.2f}",
            draws=found.tolist(),
            plain=plain.tolist(),
            shares=shares.tolist(),
        )
        print(report.rows[-1]["row"], report.rows[-1]["result"], report.rows[-1]["peer"], flush=True)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="draws of each number of labels (%(default)s)")
    parser.add_argument(
        "--pairs", nargs="*", default=list(PAIRS), help="earlier set and target (%(default)s)"
    )
    parser.add_argument("--method", default="whitening", help="of the meta-learner (%(default)s)")
    parser.add_argument("--speech", nargs="*", default=list(SPEECH), help="backbones for sound (%(default)s)")
    parser.add_argument("--spoken", nargs="+", default=list(SPOKEN), help="kinds of sets (%(default)s)")
    parser.add_argument("--labels", nargs="+", type=int, default=LABELS, help="of a class (%(default)s)")
    parser.add_argument("--fsdd", type=Path, help="the zip archive of the recordings; without it no sound")
    arguments = parser.parse_args()
    report = Report("meta_learning", arguments)
    said = "" if arguments.method == "whitening" else f", {arguments.method}"
    for backbone in arguments.speech if arguments.fsdd else ():
        values, of = spoken(backbone, arguments)
        for name, kind in ((name, SPOKEN[name]) for name in arguments.spoken):
            deal = functools.partial(dealt, values, of, kind, arguments.method)
            measure(f"{name}, {backbone}{said}", deal, name in ALIKE, arguments, report)
    for name in arguments.pairs:
        backbone, first, second = PAIRS[name]
        matrix = learnt(
            features(backbone, dataset(first, arguments.data), arguments.data)[0], arguments.method
        )
        target, _ = features(backbone, dataset(second, arguments.data), arguments.data)
        measure(
            f"{first}, then {second}{said}",
            functools.partial(paired, matrix, target),
            False,
            arguments,
            report,
        )
    report.save()


if __name__ == "__main__":
    main()
