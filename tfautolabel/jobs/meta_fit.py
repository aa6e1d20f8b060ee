"""Learns from earlier labelled sets, and keeps what was learnt for later ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfautolabel.data import load_dataset
from tfautolabel.runs.inputs import Place

if TYPE_CHECKING:
    from tfautolabel.training import MetaLearner


def meta_fit(
    data: Sequence[Place],
    out: Place,
    *,
    backbone: str,
    method: str = "whitening",
    seed: int = 0,
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> MetaLearner:
    """Learns from labelled sets how to scale a backbone's features; see `MetaLearner`.

    Args:
        data: folders with a folder for each class, or tables with labels, as `load_dataset` takes them.
        out: the folder for the meta-learner: new, empty, or one of an earlier call, which is replaced.
        backbone: a string for `load_backbone`.
        method: a key of `tfautolabel.training.meta.METHODS`.
        seed: determines everything random.
        cache_dir: the folder where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with what was guessed while the data was read.

    Returns:
        The fitted meta-learner.

    Raises:
        ValueError: If the data or the method cannot be used.
        FileNotFoundError: If a folder or file does not exist.
        FileExistsError: If `out` holds something else.
        OSError: If a file cannot be written.
    """
    out = Path(out)
    tasks = []
    for place in data:
        examples = load_dataset(place)
        for note in examples.notes:
            say(note)
        if not len(examples.labelled):
            raise ValueError(
                "an earlier set has labels: a folder for each class, or a column of labels. Received: "
                f"{place} without labels"
            )
        tasks.append(examples)
    # Imported late, because TensorFlow takes seconds to load: mistakes in the input show first.
    from tfautolabel.training import MetaLearner

    learner = MetaLearner(backbone, method, seed=seed)
    learner.fit(tasks, cache_dir=cache_dir, progress=progress)
    learner.save(out)
    return learner
