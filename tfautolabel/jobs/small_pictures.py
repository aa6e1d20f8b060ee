"""Reads pictures as vectors that hardly change when a picture is saved again."""

from __future__ import annotations

import numpy as np

from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.data.row_groups import read_in_groups
from tfautolabel.measures.duplicates import BRIGHTER, GRID, picture_vectors

_SIDE = 8 * GRID
_BATCH = 64


def small_picture_vectors(dataset: Dataset) -> np.ndarray:
    """Decodes pictures to small squares and returns their `picture_vectors`.

    Args:
        dataset: n pictures.

    Returns:
        (n, 1 + b, 64) float32, as `picture_vectors` does; zeros for a picture that cannot be read.
    """
    import tensorflow as tf

    from tfautolabel.preprocessors import ImagePreprocessor
    from tfautolabel.preprocessors.graphs import graph_of

    # One graph for all batches: each call outside of a graph would trace the decoding again.
    preprocess = graph_of(ImagePreprocessor(_SIDE))
    vectors = np.zeros((len(dataset), 1 + len(BRIGHTER), GRID * GRID), np.float32)
    for rows, values in read_in_groups(dataset, _BATCH):
        read = [(row, one) for row, one in zip(rows, values, strict=True) if not isinstance(one, ReadFailure)]
        if read:
            ready = preprocess(tf.constant([encoded for _, encoded in read], tf.string))
            # A picture that does not decode has black pixels, and so zeros.
            vectors[[row for row, _ in read]] = picture_vectors(ready.inputs[0].numpy())
        del values, read  # before the next ones are read
    return vectors
