"""Whether a pool is of the population that the labelled examples come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.features import Extraction
from tfautolabel.labeler.fitted import Fitted
from tfautolabel.measures.shift import FEWEST, find_shift
from tfautolabel.trust.reference import Reference

_ENOUGH, _HALF = 50, 0.5  # of what the gate lets pass, so that it is compared without the rest


def compared_with(
    fitted: Fitted,
    labelled: np.ndarray,
    weights: dict[int, float] | None,
    pool: Dataset | None,
    frozen: Extraction | None,
    extraction: Extraction | None,
) -> Fitted:
    """Compares a pool with the labelled examples, so that labels of another population accept nothing.

    The gate refuses single examples that are unlike all labelled ones; the comparison is about the others,
    unless it leaves hardly any. If some labelled examples were chosen, only those that were drawn at random
    are compared.

    Args:
        fitted: the labeler.
        labelled: (n, d) float32, features of the labelled examples from the backbone before any tuning: a
            tuned one gives examples that it was tuned on other features than all others.
        weights: class id to weight in the fit; None for 1 each.
        pool: m examples to label; None without a pool.
        frozen: their features from the backbone before any tuning.
        extraction: their features from the backbone as it is now.

    Returns:
        The labeler with its `shift`, if there is enough to compare, and `reference`.
    """
    if pool is None or frozen is None or extraction is None or not len(extraction.rows):
        return fitted
    class_ids, drawn = fitted.held_out.class_ids, fitted.held_out.drawn
    rows = ~fitted.held_out.refused if drawn is None else drawn & ~fitted.held_out.refused
    like = ~fitted.refuses(extraction.features)
    if like.sum() < _ENOUGH and like.mean() < _HALF:
        like[:] = True  # the gate refuses nearly all: what is left would not tell why
    _, probabilities = fitted.probabilities(pool, extraction)
    predicted = probabilities[like].argmax(axis=1)
    reference = Reference.of(extraction.features[like], predicted, len(fitted.classes), seed=fitted.seed)
    fitted = replace(fitted, reference=reference)
    if rows.sum() < FEWEST or like.sum() < FEWEST:
        return fitted
    prior = np.bincount(class_ids, minlength=len(fitted.classes)).astype(np.float64)
    if weights is not None and drawn is None:
        prior *= [weights[number] for number in range(len(prior))]
    shift = find_shift(
        labelled[rows],
        class_ids[rows],
        frozen.features[like],
        probabilities[like],
        prior / prior.sum(),
        ids=pool.ids[frozen.rows][like],
        seed=fitted.seed,
    )
    earned = replace(fitted.earned, other_population=shift.other_population)
    return replace(fitted, shift=shift, earned=earned)
