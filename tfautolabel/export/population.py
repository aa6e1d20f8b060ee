"""Notices that an exported model is given examples of another population than those it was judged on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.trust.reference import LEVEL, Reference

FEWEST, MOST = 20, 200
"""How many examples are looked at: a tenth of them, within these bounds. Fewer are not compared."""

_HALF = 0.5


class Seen(NamedTuple):
    """What a model sees in n examples.

    Attributes:
        features: (n, d) float32.
        predicted: (n,) int64, class ids, accepted or not.
        unlike: (n,) bool, which the gate refuses.
    """

    features: np.ndarray
    predicted: np.ndarray
    unlike: np.ndarray


def other_population_of(
    module: Any, judge: Callable[[Dataset], Seen], dataset: Dataset, *, seed: int = 0
) -> float | None:
    """Tests whether examples are of another population than those on which a model's labels were judged.

    Args:
        module: the loaded SavedModel.
        judge: tells what the model sees in each example that can be read.
        dataset: n examples of the model's modality.
        seed: determines which of them are looked at.

    Returns:
        The p-value that shows it, see `tfautolabel.trust.reference`. None if nothing shows it, if there are
        fewer than `FEWEST` examples, or if the model does not know those on which it was judged, as those of
        earlier versions.
    """
    if not hasattr(module, "reference") or len(dataset) < FEWEST:
        return None
    known = Reference(**{name: value.numpy() for name, value in module.reference().items()})
    count = int(np.clip(len(dataset) // 10, FEWEST, MOST))
    rows = np.random.default_rng(seed).choice(len(dataset), count, replace=False)
    seen = judge(dataset.subset(np.sort(rows)))
    if not len(seen.predicted):
        return None
    # If the gate refuses nearly all, what is left would not tell why.
    kept = ~seen.unlike if seen.unlike.mean() < _HALF else np.ones(len(seen.unlike), bool)
    p_value = known.p_value(seen.features[kept], seen.predicted[kept])
    return p_value if p_value <= LEVEL else None
