"""A small search on made-up features; run as a script, it is one that kills itself half-way.

python small_search.py FOLDER TUNER TRIALS STOP_AT
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_networks import convolutional

import tfautolabel as tal
from tfautolabel.features import Extraction

CLASSES = ("a", "b", "c")
D = 8


def made_up(per_class=10, noise=0.7, seed=0):
    """Labelled texts that nobody reads, and what would have been extracted from them."""
    rng = np.random.default_rng(seed)
    class_ids = np.arange(3 * per_class) % 3
    centres = np.random.default_rng(5).normal(size=(3, D))
    features = (centres[class_ids] + rng.normal(0, noise, (len(class_ids), D))).astype(np.float32)
    data = tal.Dataset.from_inputs(
        [f"example {number}" for number in range(len(class_ids))], [CLASSES[number] for number in class_ids]
    ).with_classes(CLASSES)
    return data, Extraction(np.arange(len(class_ids)), features, (), 0, len(class_ids), 0, f"{seed}{noise}")


def labeler(head="linear", **options):
    return tal.Labeler(convolutional(), CLASSES, head, progress=False, **options)


class Stopping(tal.HeadHyperModel):
    """Quick heads, of which a certain one stops everything while it is judged."""

    stop_at, stop, judged = None, None, 0

    def fingerprint(self):
        """The counter is no part of what is searched."""
        return str(self.kinds)

    def fit_options(self, hp):
        type(self).judged += 1
        if self.judged == self.stop_at:
            self.stop()
        return (
            {"epochs": hp.values.get("tuner/epochs", 4), "batch_size": 12} if hp.get("kind") == "mlp" else {}
        )


def search(folder, tuner, trials, stop_at=None, stop=None, kinds=("linear", "mlp")):
    data, extraction = made_up()
    Stopping.stop_at, Stopping.stop, Stopping.judged = stop_at, stop, 0
    model = Stopping(D, 3, len(data), kinds=kinds)
    return tal.tune_head(
        labeler(), data, hypermodel=model, tuner=tuner, trials=trials, out=folder, extraction=extraction
    )


def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    search(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), kill)
