"""Views of pictures and sounds, drawn in the graph: what a label does not depend on is changed at random."""

from __future__ import annotations

import functools
import math
from typing import Protocol

import tensorflow as tf

MIN_AREA, MIN_RATIO = 0.5, 0.8
"""The least share of a picture that a view shows, and the narrowest shape that it is stretched from."""

BRIGHTNESS, CONTRAST, SATURATION = 0.15, 0.2, 0.2

SHIFT, NOISE = 0.1, 0.01
"""How far a clip is moved, as a share of its length, and the level of noise, as a share of its own."""

FRAME, STEP = 512, 128
BANDS, BAND, SPANS, SPAN = 2, 0.15, 2, 0.15
"""How many bands of frequency and spans of time are silenced, and how wide each may be, as a share of all."""


class Augmentation(Protocol):
    """Draws one view of each window."""

    def __call__(self, inputs: tuple[tf.Tensor, ...], seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Changes a preprocessor's windows.

        Args:
            inputs: as a preprocessor gives them.
            seed: (2,) int32; the same seed gives the same views.
        """


def check_strength(augment: float) -> None:
    """Refuses a strength of augmentation that means nothing.

    Raises:
        ValueError: If it does not lie in [0, 1].
    """
    if not 0.0 <= augment <= 1.0:
        raise ValueError(f"augment must lie in [0, 1]. Received: augment={augment}")


def augmentation_of(modality: str, strength: float = 1.0) -> Augmentation | None:
    """How views of a modality are drawn; None for texts, of which none are, and for a strength of 0.

    Args:
        modality: "image", "text" or "audio".
        strength: in [0, 1], the share of the widest changes that views go to.
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
    """Shifts clips, adds noise, and silences bands of frequency and spans of time.

    The last two are SpecAugment's (Park et al. 2019, arXiv 1904.08779), done to a spectrogram that is turned
    back to samples, because what follows may make another kind of spectrogram.

    Args:
        inputs: (w, t) float32 samples, and (w,) int32, how many of each row are the clip's.
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
    """(count, frames, bins): 0 in what is silenced, 1 elsewhere."""
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
    """Uniform numbers, a new seed for each call.

    Args:
        seed: (2,) int32.
    """

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed, self._calls = seed, 0

    def next_seed(self) -> tf.Tensor:
        """(2,) int32 that no other call gets."""
        self._calls += 1
        return self._seed + tf.constant([0, self._calls], tf.int32)

    def __call__(self, shape: object, low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, self.next_seed(), low, high)
