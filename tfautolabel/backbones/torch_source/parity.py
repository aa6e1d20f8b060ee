"""Checks that a converted module computes the same as PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel._optional import require
from tfautolabel.preprocessors import ImagePreprocessor

TOLERANCE = 1e-4
"""The largest accepted difference of a feature, relative to the largest feature."""

BATCH_SIZES = (1, 5)
"""Batch sizes to compare. The module was exported with a batch of two."""


def compare(
    module: Any, folder: Path, size: int, mean: list[float], deviation: list[float]
) -> dict[str, float]:
    """Runs both networks on noise and on pictures.

    Args:
        module: the exported `torch.nn.Module`, which takes (n, 3, size, size).
        folder: the SavedModel, which takes (n, size, size, 3) in [0, 1].
        size: side of the pictures in pixels.
        mean: mean of each channel.
        deviation: standard deviation of each channel.

    Returns:
        `max_difference`, the largest over all features; `max_feature`, the largest absolute value; and
        `cosine`, the lowest over all pictures, in [-1, 1].

    Raises:
        RuntimeError: If they differ by more than `TOLERANCE`, with the figures.
    """
    torch = require("torch", extra="torch")
    converted = tf.saved_model.load(str(folder))
    differences, features, cosines = [], [], []
    for pictures in (*_noise(size), *_pictures(size)):
        normalised = (pictures - np.array(mean, np.float32)) / np.array(deviation, np.float32)
        with torch.no_grad():
            expected = module(torch.from_numpy(normalised.transpose(0, 3, 1, 2).copy())).numpy()
        received = converted(tf.constant(pictures)).numpy()
        differences.append(np.abs(received - expected).max())
        features.append(np.abs(expected).max())
        lengths = np.linalg.norm(received, axis=1) * np.linalg.norm(expected, axis=1)
        products = np.sum(received * expected, axis=1)
        cosines.append(np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1), 1).min())
    found = {
        "max_difference": float(np.max(differences)),
        "max_feature": float(np.max(features)),
        "cosine": float(np.min(cosines)),
    }
    # This form also fails for a difference that is not a number.
    if not found["max_difference"] <= TOLERANCE * found["max_feature"]:
        raise RuntimeError(
            "the converted module does not compute what PyTorch computes: features of up to "
            f"{found['max_feature']:.4g} may differ by {TOLERANCE:g} of that. Received: a difference of "
            f"{found['max_difference']:.4g}, lowest cosine {found['cosine']:.6f}"
        )
    return found


def _noise(size: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((count, size, size, 3), np.float32) for count in BATCH_SIZES]


def _pictures(size: int) -> list[np.ndarray]:
    """Returns the preprocessor's recorded pictures: gradients, blocks, grey pictures and noise."""
    preprocessor = ImagePreprocessor(size)
    ready = preprocessor(tf.constant(preprocessor.recorded_examples()))
    pixels = ready.inputs[0].numpy()[: max(BATCH_SIZES)] / np.float32(255)
    return [pixels[:count] for count in BATCH_SIZES]
