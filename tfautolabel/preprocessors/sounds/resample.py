"""Resamples sound from one rate to another, inside the graph.

It evaluates a low-pass filter, a sinc under a Kaiser window, exactly at the output's times (J. O. Smith,
Digital Audio Resampling, https://ccrma.stanford.edu/~jos/resample/). Common rates have a small ratio. They
need one strided convolution with one kernel per phase. For unusual rates, each output is a separate weighted
sum.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfautolabel.data.sound_rates import BETA, MAX_PHASES, ROLLOFF, ZEROS

_BLOCK = 16_000

FRAME_NUMBERS = 1 << 23
"""The most numbers in the frames of a convolution. Each sample is in dozens, so an hour needs blocks."""


def resample(samples: tf.Tensor, rate: tf.Tensor, target: int) -> tf.Tensor:
    """Resamples one clip.

    Args:
        samples: (t,) float32.
        rate: () int64, samples per second, positive.
        target: wanted samples per second.

    Returns:
        (ceil(t * target / rate),) float32.
    """
    divisor = _gcd(rate, tf.constant(target, tf.int64))
    up, down = target // divisor, rate // divisor
    return tf.cond(
        tf.equal(rate, target),
        lambda: samples,
        lambda: tf.cond(
            up <= MAX_PHASES,
            lambda: _by_convolution(samples, up, down),
            lambda: _by_sums(samples, up, down),
        ),
    )


def _gcd(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    def step(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return y, x % y

    return tf.while_loop(lambda _, y: y > 0, step, (a, b))[0]


def _filter(distance: tf.Tensor, up: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    """Returns the weight of an input sample by its distance from an output, in input samples; float64."""
    corner = ROLLOFF * tf.minimum(tf.constant(1.0, tf.float64), _ratio(up, down))
    angle = np.pi * corner * distance
    small = tf.abs(angle) < 1e-9
    sinc = tf.where(small, tf.ones_like(angle), tf.sin(angle) / tf.where(small, tf.ones_like(angle), angle))
    inside = 1.0 - tf.square(distance / tf.cast(_reach(up, down), tf.float64))
    window = tf.math.bessel_i0(BETA * tf.sqrt(tf.maximum(inside, 0.0))) / float(np.i0(BETA))
    return tf.where(inside > 0, corner * sinc * window, tf.zeros_like(angle))


def _reach(up: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    """Returns how many input samples the filter uses on each side; int64."""
    corner = ROLLOFF * tf.minimum(tf.constant(1.0, tf.float64), _ratio(up, down))
    return tf.cast(tf.math.ceil(ZEROS / corner), tf.int64)


def _ratio(up: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    return tf.cast(up, tf.float64) / tf.cast(down, tf.float64)


def _count(samples: tf.Tensor, up: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    return (tf.size(samples, out_type=tf.int64) * up + down - 1) // down


def _by_convolution(samples: tf.Tensor, up: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    """Computes `up` outputs for every `down` inputs, each with its own kernel."""
    reach, count = _reach(up, down), _count(samples, up, down)
    steps = (count + up - 1) // up
    width = down + 2 * reach + 1
    phase = tf.cast(tf.range(up), tf.float64) / _ratio(up, down)
    place = tf.cast(tf.range(width) - reach, tf.float64)
    kernel = tf.cast(_filter(phase[None] - place[:, None], up, down), tf.float32)
    behind = tf.maximum((steps - 1) * down + width - reach - tf.size(samples, out_type=tf.int64), 0)
    padded = tf.pad(samples, [[reach, behind]])
    block = tf.maximum(FRAME_NUMBERS // width, 1)

    def at_once() -> tf.Tensor:
        return tf.reshape(_framed(padded, width, down)[:steps] @ kernel, [-1])

    def in_blocks() -> tf.Tensor:
        number = (steps + block - 1) // block
        # The last block has as many frames as the others.
        missing = tf.maximum((number * block - 1) * down + width - tf.size(padded, out_type=tf.int64), 0)
        longer = tf.pad(padded, [[0, missing]])

        def outputs(start: tf.Tensor) -> tf.Tensor:
            part = longer[start * down : (start + block - 1) * down + width]
            return tf.reshape(_framed(part, width, down) @ kernel, [-1])

        starts = tf.range(number) * block
        signature = tf.TensorSpec([None], tf.float32)
        return tf.reshape(
            tf.map_fn(outputs, starts, parallel_iterations=1, fn_output_signature=signature), [-1]
        )

    return tf.cond(steps <= block, at_once, in_blocks)[:count]


def _framed(samples: tf.Tensor, width: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    # A convolution needs its stride when the graph is built. Frames and a matrix product do not.
    return tf.signal.frame(samples, tf.cast(width, tf.int32), tf.cast(step, tf.int32))


def _by_sums(samples: tf.Tensor, up: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    """Computes each output from the samples around it, one block of outputs at a time."""
    reach, count = _reach(up, down), _count(samples, up, down)
    padded = tf.pad(samples, [[reach, reach + 1]])
    around = tf.range(2 * reach + 1)

    def block(start: tf.Tensor) -> tf.Tensor:
        number = tf.minimum(start + tf.range(tf.constant(_BLOCK, tf.int64)), count - 1)
        whole = number * down // up
        rest = tf.cast(number * down - whole * up, tf.float64) / tf.cast(up, tf.float64)
        distance = rest[:, None] - tf.cast(around - reach, tf.float64)[None]
        weights = tf.cast(_filter(distance, up, down), tf.float32)
        return tf.reduce_sum(tf.gather(padded, whole[:, None] + around[None]) * weights, axis=1)

    starts = tf.range(tf.constant(0, tf.int64), count, _BLOCK)
    signature = tf.TensorSpec([_BLOCK], tf.float32)
    return tf.reshape(tf.map_fn(block, starts, fn_output_signature=signature), [-1])[:count]
