"""A model that labels a text by its hash, without TensorFlow."""

import hashlib
from typing import ClassVar

import numpy as np

from tfautolabel.data import ReadFailure, Unreadable
from tfautolabel.labels import Labels


def write_model_and_texts(folder, count, weights="weights"):
    """Writes a model's folder, and texts, of which number 33 cannot be read and one more is empty."""
    (folder / "model").mkdir()
    (folder / "model" / weights).write_bytes(b"1")
    (folder / "texts").mkdir()
    for row in range(count):
        (folder / "texts" / f"{row:02d}.txt").write_bytes(b"\xff" if row == 33 else b"text %d" % row)
    (folder / "texts" / "empty.txt").touch()


class HashModel:
    """What `load_exported` gives, in a test's place of it.

    Args:
        folder: the model's folder.
    """

    modality = "text"
    classes = ("a", "b")
    description: ClassVar[dict] = {}

    def __init__(self, folder):
        self.folder = folder

    def other_population(self, dataset):
        return None

    def label(self, dataset, *, min_confidence, batch_size, advance):
        values = dataset.read(range(len(dataset)))
        kept = [row for row, value in enumerate(values) if not isinstance(value, ReadFailure)]
        scores = np.array([hashlib.sha256(values[row]).digest()[0] / 255 for row in kept], np.float32)
        advance(len(dataset))
        return Labels.from_probabilities(
            dataset.ids[kept].tolist(),
            np.stack([scores, 1 - scores], 1),
            self.classes,
            min_confidence=min_confidence or 0.8,
            unreadable=[
                Unreadable(str(dataset.ids[row]), str(value))
                for row, value in enumerate(values)
                if isinstance(value, ReadFailure)
            ],
        )
