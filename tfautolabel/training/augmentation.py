"""Random views of pictures and sounds, drawn in the graph; the changes do not affect the label."""

from __future__ import annotations

import functools
import math
from typing import Protocol

import tensorflow as tf

MIN_AREA, MIN_RATIO = 0.5, 0.8
"""The smallest share of a picture that a view shows, and the narrowest aspect ratio of the crop."""

BRIGHTNESS, CONTRAST, SATURATION = 0.15, 0.2, 0.2

SHIFT, NOISE = 0.1, 0.01
"""The largest shift of a clip, as a share of its length, and the noise level, as a share of its level."""

FRAME, STEP = 512, 128
BANDS, BAND, SPANS, SPAN = 2, 0.15, 2, 0.15
"""How many frequency bands and time spans are masked, and the largest width of each, as a share of all."""


class Augmentation(Protocol):
    """Draws one view of each window."""

    def __call__(self, inputs: tuple[tf.Tensor, ...], seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns changed windows of a preprocessor.

        Args:
            inputs: the windows from a preprocessor.
            seed: (2,) int32; the same seed gives the same views.
        """


def check_strength(augment: float) -> None:
    """Checks a strength of augmentation.

    Raises:
        ValueError: If it is not in [0, 1].
    """
    if not 0.0 <= augment <= 1.0:
        raise ValueError(f"augment must lie in [0, 1]. Received: augment={augment}")


def augmentation_of(modality: str, strength: float = 1.0) -> Augmentation | None:
    """Returns the augmentation for a modality; None for texts, which have none, and for a strength of 0.

    Args:
        modality: "image", "text" or "audio".
        strength: in [0, 1], the size of the changes, as a share of the largest ones.
    """
    views = {"image": picture_views, "audio": sound_views}.get(modality)
    return functools.partial(views, strength=strength) if views and strength else None


def picture_views(
    inputs: tuple[tf.Tensor, ...], seed: tf.Tensor, strength: float = 1.0
) -> tuple[tf.Tensor, ...]:
    """Crops, mirrors and recolours pictures.

    Args:
        inputs: one tensor, (n, s, s, 3) float32 in [0, 255].
        seed: (2,) int32.
        strength: in [0, 1].

    Returns:
        One tensor of the same shape and range.
    """
    (pixels,) = inputs
    shape = tf.shape(pixels)
    count = shape[0]
    draw = _Draws(seed)
    narrow = strength * math.log(MIN_RATIO)
    area, ratio = draw([count], 1.0 - strength * (1.0 - MIN_AREA), 1.0), draw([count], narrow, -narrow)
    height = tf.minimum(tf.sqrt(area * tf.exp(ratio)), 1.0)
    width = tf.minimum(tf.sqrt(area / tf.exp(ratio)), 1.0)
    top, left = draw([count], 0.0, 1.0) * (1.0 - height), draw([count], 0.0, 1.0) * (1.0 - width)
    right = left + width
    mirrored = draw([count], 0.0, 1.0) < 0.5 * strength
    left, right = tf.where(mirrored, right, left), tf.where(mirrored, left, right)
    boxes = tf.stack([top, left, top + height, right], axis=1)
    views = tf.image.crop_and_resize(pixels, boxes, tf.range(count), shape[1:3])
    one = [count, 1, 1, 1]
    brightness, contrast, saturation = strength * BRIGHTNESS, strength * CONTRAST, strength * SATURATION
    views = views + 255.0 * draw(one, -brightness, brightness)
    mean = tf.reduce_mean(views, axis=(1, 2, 3), keepdims=True)
    views = mean + (views - mean) * draw(one, 1.0 - contrast, 1.0 + contrast)
    grey = tf.reduce_mean(views, axis=3, keepdims=True)
    views = grey + (views - grey) * draw(one, 1.0 - saturation, 1.0 + saturation)
    return (tf.ensure_shape(tf.clip_by_value(views, 0.0, 255.0), pixels.shape),)


def sound_views(
    inputs: tuple[tf.Tensor, ...], seed: tf.Tensor, strength: float = 1.0
) -> tuple[tf.Tensor, ...]:
    """Shifts clips, adds noise, and masks frequency bands and time spans.

    The masks are those of SpecAugment (Park et al. 2019, arXiv 1904.08779). They are applied to a spectrogram
    that is converted back to samples, because later layers may compute another kind of spectrogram.

    Args:
        inputs: (w, t) float32 samples, and (w,) int32, how many samples of each row belong to the clip.
        seed: (2,) int32.
        strength: in [0, 1].

    Returns:
        Tensors of the same shapes.
    """
    waves, lengths = inputs
    count, total = tf.shape(waves)[0], tf.shape(waves)[1]
    draw = _Draws(seed)
    shift = strength * SHIFT
    offset = tf.cast(draw([count], -shift, shift) * tf.cast(lengths, tf.float32), tf.int32)
    places = tf.range(total)[None] - offset[:, None]
    inside = (places >= 0) & (places < lengths[:, None]) & (tf.range(total)[None] < lengths[:, None])
    moved = tf.gather(waves, tf.clip_by_value(places, 0, tf.maximum(total - 1, 0)), batch_dims=1)
    moved = tf.where(inside, moved, 0.0)
    padded = tf.pad(moved, [[0, 0], [FRAME, FRAME]])
    spectrum = tf.signal.stft(padded, FRAME, STEP, pad_end=True)
    spectrum *= tf.cast(_open(tf.shape(spectrum)[1:], count, draw, strength), spectrum.dtype)
    window = tf.signal.inverse_stft_window_fn(STEP)
    silenced = tf.signal.inverse_stft(spectrum, FRAME, STEP, window_fn=window)[:, FRAME : FRAME + total]
    silenced = tf.pad(silenced, [[0, 0], [0, total - tf.shape(silenced)[1]]])
    level = tf.sqrt(tf.reduce_mean(tf.square(silenced), axis=1, keepdims=True))
    noise = tf.random.stateless_normal(tf.shape(waves), draw.next_seed())
    loud = draw([count, 1], 0.0, strength * NOISE)
    real = tf.sequence_mask(lengths, total)
    views = tf.where(real, silenced + noise * level * loud, 0.0)
    return tf.ensure_shape(tf.clip_by_value(views, -1.0, 1.0), waves.shape), lengths


def _open(sizes: tf.Tensor, count: tf.Tensor, draw: _Draws, strength: float) -> tf.Tensor:
    """Returns a mask (count, frames, bins): 0 in masked bands and spans, 1 elsewhere."""
    frames, bins = sizes[0], sizes[1]
    through = tf.ones([count, frames, bins])
    for number, share, size, axis in ((SPANS, SPAN, frames, 1), (BANDS, BAND, bins, 2)):
        for _ in range(number):
            width = draw([count], 0.0, strength * share)
            start = draw([count], 0.0, 1.0) * (1.0 - width)
            place = tf.cast(tf.range(size), tf.float32)[None] / tf.cast(size, tf.float32)
            closed = (place >= start[:, None]) & (place < (start + width)[:, None])
            through *= tf.expand_dims(tf.where(closed, 0.0, 1.0), 3 - axis)
    return through


class _Draws:
    """Draws uniform numbers with a new seed for each call.

    Args:
        seed: (2,) int32.
    """

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed, self._calls = seed, 0

    def next_seed(self) -> tf.Tensor:
        """Returns (2,) int32 that no other call gets."""
        self._calls += 1
        return self._seed + tf.constant([0, self._calls], tf.int32)

    def __call__(self, shape: object, low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, self.next_seed(), low, high)
