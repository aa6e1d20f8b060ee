"""Twelve labelled sets, with the features of every packaged backbone of their kind and without transfer.

The first seven are those that the rule of `backbone="auto"` was chosen on; the others confirm it.
`digits 8x8` and what is made from it are pictures that no network has seen the like of: transfer does not
help there.

    python benchmarks/source_sets.py --fsdd ARCHIVE
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
import sound_sets
from PIL import Image
from recording import options
from sklearn.datasets import load_digits
from text_sets import text_set

import tfautolabel as tal
from tfautolabel.backbones.packaged import PACKAGED
from tfautolabel.backbones.plain import plain_of

CHOSEN_ON = ("uci", "source", "digits", "speakers", "fashion", "tiles", "digits 8x8")
CONFIRM = ("spam", "chinese", "tux", "turned", "odd or even")
TASKS = (*CHOSEN_ON, *CONFIRM)
_PER_CLASS = 100
_SIDE = 64
MOST = 1500
"""Examples of a set of texts: the slowest backbone reads some twenty a second."""


class Candidate(NamedTuple):
    """Features of one source: (n, d) float32, and (n,) int64 the classes."""

    values: np.ndarray
    class_ids: np.ndarray


def candidates(task: str, arguments: argparse.Namespace) -> dict[str, Candidate]:
    """Handle to features of the examples that can be read, the one without transfer last."""
    file = arguments.data / "sources" / f"{task.replace(' ', '-')}.npz"
    if not file.exists():
        examples, found = _DATASETS[task](arguments), {}
        names = [entry.name for entry in PACKAGED.values() if entry.modality == examples.modality]
        for handle in (*(f"packaged:{name}" for name in names), plain_of(examples.modality)):
            extraction = tal.extract_features(
                examples, tal.load_backbone(handle), cache_dir=arguments.data / "features"
            )
            found[handle] = extraction.features
            rows = extraction.rows
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}")
        np.savez(partial, class_ids=examples.class_ids[rows], **found)
        partial.rename(file)
    with np.load(file) as stored:
        class_ids = stored["class_ids"]
        return {name: Candidate(stored[name], class_ids) for name in stored.files if name != "class_ids"}


def _sounds(part: int) -> Callable[[argparse.Namespace], tal.Dataset]:
    def load(arguments: argparse.Namespace) -> tal.Dataset:
        folder = sound_sets.fsdd(arguments.data, arguments.fsdd)
        labels = {path.name: path.stem.split("_")[part] for path in folder.glob("*.wav")}
        return tal.load_dataset(folder, labels, modality="audio")

    return load


def _source(arguments: argparse.Namespace) -> tal.Dataset:
    reviews = tal.load_dataset(text_set(arguments.data, "uci"))
    texts = [text.decode() for text in reviews.read(range(len(reviews)))]
    return tal.Dataset.from_inputs(texts, [str(name).partition("-")[0] for name in reviews.ids])


def _some(examples: tal.Dataset) -> tal.Dataset:
    return examples.subset(np.sort(np.random.default_rng(0).permutation(len(examples))[:MOST]))


def _eights(data: Path, name: str, class_of: Callable[[int], str]) -> tal.Dataset:
    """Handwritten digits of 8 x 8 pixels from scikit-learn, enlarged so that they are pictures."""

    def make(folder: Path) -> None:
        found = load_digits()
        for row, (pixels, digit) in enumerate(zip(found.images, found.target, strict=True)):
            target = folder / class_of(int(digit))
            target.mkdir(exist_ok=True)
            picture = Image.fromarray((255 - pixels * 15.9).astype(np.uint8))
            picture.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(target / f"{row:04d}.png")

    return tal.load_dataset(datasets.once(data / f"eights-{name}", make))


def _turned(arguments: argparse.Namespace) -> tal.Dataset:
    """Clothes that stand upright, lie on either side, or stand on their head."""
    source = datasets.fashion_mnist(arguments.data, "train", _PER_CLASS)

    def make(folder: Path) -> None:
        for number, path in enumerate(sorted(source.rglob("*.png"))):
            turn = number % 4
            (folder / f"turned-{90 * turn}").mkdir(exist_ok=True)
            Image.open(path).rotate(90 * turn).save(folder / f"turned-{90 * turn}" / path.name)

    return tal.load_dataset(datasets.once(arguments.data / "fashion-turned", make))


_DATASETS: dict[str, Callable[[argparse.Namespace], tal.Dataset]] = {
    "uci": lambda given: tal.load_dataset(text_set(given.data, "uci")),
    "spam": lambda given: _some(tal.load_dataset(text_set(given.data, "spam"))),
    "chinese": lambda given: _some(tal.load_dataset(text_set(given.data, "chinese"))),
    "source": _source,
    "digits": _sounds(0),
    "speakers": _sounds(1),
    "fashion": lambda given: tal.load_dataset(datasets.fashion_mnist(given.data, "train", _PER_CLASS)),
    "tiles": lambda given: tal.load_dataset(datasets.tiles(given.data)),
    "tux": lambda given: tal.load_dataset(datasets.tux_stamps(given.data)),
    "digits 8x8": lambda given: _eights(given.data, "digits", str),
    "odd or even": lambda given: _eights(given.data, "parity", lambda digit: ("even", "odd")[digit % 2]),
    "turned": _turned,
}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--fsdd", type=Path, help="the zip archive of the recordings")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    arguments = parser.parse_args()
    for task in arguments.tasks:
        found = candidates(task, arguments)
        print(task, {name: own.values.shape for name, own in found.items()}, flush=True)


if __name__ == "__main__":
    main()
