"""Features of the sets that the trust benchmarks draw from, and a quick head on few of their labels.

    fashion-mnist  1,000 training and 3,000 test pictures, 10 classes    efficientnet-lite0
    uci            3,000 English sentences, 2 classes                    minilm-l6
    spam           6,046 English e-mails, 2 classes                      minilm-l6
    digits         3,000 spoken digits, 10 classes                       speech-embedding
    speakers       the same clips, 6 speakers                            speech-embedding
    uci-e5         the sentences of uci                                  e5-small
    tiles          192 grey pictures, brick, grass and gravel            efficientnet-lite0
    tux-stamps     255 stamps, 7 classes                                 efficientnet-lite0
    digits-resemblyzer, speakers-resemblyzer: the clips of digits        resemblyzer

Each is extracted once; its features are kept below the data folder. Those from uci-e5 on are read only where
they are asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
import sound_sets
from accuracy import draw
from recording import options
from text_sets import text_set

import tfautolabel as tal
from tfautolabel.heads import build_head
from tfautolabel.training import train_head

BACKBONES = {
    "fashion-mnist": "packaged:efficientnet-lite0",
    "uci": "packaged:minilm-l6",
    "spam": "packaged:minilm-l6",
    "digits": "packaged:speech-embedding",
    "speakers": "packaged:speech-embedding",
    "uci-e5": "packaged:e5-small",
    "tiles": "packaged:efficientnet-lite0",
    "tux-stamps": "packaged:efficientnet-lite0",
    "digits-resemblyzer": "packaged:resemblyzer",
    "speakers-resemblyzer": "packaged:resemblyzer",
}
SOUNDS = ("packaged:speech-embedding", "packaged:resemblyzer")
USUAL = ("fashion-mnist", "uci", "spam", "digits", "speakers")


class Features(NamedTuple):
    """Of one set: (n, d) float32, (n,) int64 and (n,) str."""

    values: np.ndarray
    class_ids: np.ndarray
    ids: np.ndarray


class Outcome(NamedTuple):
    """Of a head fitted on few labels.

    Attributes:
        drawn: (n,) bool, the labelled rows.
        known: (m,) int64, their classes.
        out_of_fold: (m, k) float32, their probabilities from heads that have not seen them.
        truth: (n - m,) int64, the classes of the other rows.
        probabilities: (n - m, k) float32, what the head says of the other rows.
    """

    drawn: np.ndarray
    known: np.ndarray
    out_of_fold: np.ndarray
    truth: np.ndarray
    probabilities: np.ndarray


def trust_options(description: str | None) -> argparse.ArgumentParser:
    parser = options(description or "")
    parser.add_argument("--sets", nargs="+", choices=BACKBONES, default=list(USUAL))
    parser.add_argument("--fsdd", type=Path, help="the zip archive of the recordings; without it no sound")
    return parser


def read_features(arguments: argparse.Namespace) -> dict[str, Features]:
    """Name to features of every set that was asked for and can be had."""
    found = {}
    for name in arguments.sets:
        if BACKBONES[name] in SOUNDS and arguments.fsdd is None:
            print(f"{name}: skipped, it needs --fsdd", flush=True)
            continue
        found[name] = _features(name, arguments)
        print(f"{name}: {found[name].values.shape}", flush=True)
    return found


def _features(name: str, arguments: argparse.Namespace) -> Features:
    file = arguments.data / "trust" / f"{name}.npz"
    if not file.exists():
        found = _extract(name, arguments)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            file,
            values=found.values,
            class_ids=found.class_ids,
            ids=np.array([str(one) for one in found.ids]),
        )
    with np.load(file) as kept:
        return Features(kept["values"], kept["class_ids"], kept["ids"])


def _extract(name: str, arguments: argparse.Namespace) -> Features:
    backbone = tal.load_backbone(BACKBONES[name])
    parts = []
    for dataset in _parts(name, arguments):
        extraction = tal.extract_features(dataset, backbone, cache_dir=arguments.data / "features")
        rows = extraction.rows
        parts.append(Features(extraction.features, dataset.class_ids[rows], dataset.ids[rows]))
    return Features(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _parts(name: str, arguments: argparse.Namespace) -> list[tal.Dataset]:
    if name == "fashion-mnist":
        sizes = {"train": 100, "test": 300}
        made = [
            tal.load_dataset(datasets.fashion_mnist(arguments.data, *part), "folder")
            for part in sizes.items()
        ]
        return [part.with_classes(made[0].classes) for part in made]
    if BACKBONES[name] in SOUNDS:
        folder = sound_sets.fsdd(arguments.data, arguments.fsdd)
        place = 0 if name.startswith("digits") else 1
        labels = {path.name: path.stem.split("_")[place] for path in folder.glob("*.wav")}
        return [tal.load_dataset(folder, labels, modality="audio")]
    if name == "tiles":
        return [tal.load_dataset(datasets.tiles(arguments.data))]
    if name == "tux-stamps":
        return [tal.load_dataset(datasets.tux_stamps(arguments.data))]
    return [tal.load_dataset(text_set(arguments.data, name.removesuffix("-e5")))]


def fit_head(features: Features, per_class: int, seed: int) -> Outcome:
    """The default head on `per_class` labels a class, and what it says of all the others."""
    drawn = draw(features.class_ids, per_class, seed)
    return fit_rows(features, drawn, seed)


def fit_rows(features: Features, drawn: np.ndarray, seed: int) -> Outcome:
    """The default head on the rows (n,) bool that are drawn, and what it says of all the others."""
    known = features.class_ids[drawn]
    head = build_head("linear", features.values.shape[1], int(features.class_ids.max()) + 1, seed)
    out_of_fold = train_head(head, features.values[drawn], known, seed=seed).out_of_fold
    probabilities = np.asarray(head(features.values[~drawn], training=False))
    return Outcome(drawn, known, out_of_fold, features.class_ids[~drawn], probabilities)


def main() -> None:
    read_features(trust_options(__doc__).parse_args())


if __name__ == "__main__":
    main()
