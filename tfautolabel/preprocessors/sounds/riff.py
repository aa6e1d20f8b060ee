"""Reads the samples of a WAV file inside the graph, in all formats that recorders and editors write.

The format is described in https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html. A clip that
cannot be read raises an error, which the caller ignores.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfautolabel.data.sound_mixing import ALIKE, CANCELLED, STILL
from tfautolabel.data.wav_header import (
    A_LAW,
    EXTENSIBLE,
    FLOAT,
    KINDS,
    KNOWN_CHUNKS,
    MAX_CHANNELS,
    MAX_CHUNKS,
    MAX_RATE,
    MIN_RATE,
    PCM,
)
from tfautolabel.data.wav_samples import A_LAW_VALUES, MAX_LEVEL, MU_LAW_VALUES
from tfautolabel.preprocessors.traced_once import traced_once


class Sound(NamedTuple):
    """A clip as in the file, mixed to one channel.

    Attributes:
        samples: (t,) float32 in [-1, 1], t > 0. A float file may go beyond that range.
        rate: () int64, samples per second.
    """

    samples: tf.Tensor
    rate: tf.Tensor


@traced_once(tf.TensorSpec([], tf.string))
def decode_wav(encoded: tf.Tensor) -> Sound:
    """Decodes one clip.

    Args:
        encoded: () string.

    Raises:
        tf.errors.InvalidArgumentError: At run time, if the clip cannot be read.
    """
    size = tf.strings.length(encoded)
    long_enough = tf.debugging.Assert(size >= 12, ["no WAV"])
    with tf.control_dependencies([long_enough]):
        magic = tf.strings.substr(encoded, 0, 4)
    is_wave = tf.equal(magic, "RIFF") | tf.equal(magic, "RF64")
    is_wave &= tf.equal(tf.strings.substr(encoded, 8, 4), "WAVE")
    form, data, length = _chunks(encoded, size)
    with tf.control_dependencies([tf.debugging.Assert(is_wave & (form >= 0) & (data >= 0), ["no WAV"])]):
        form = tf.identity(form)
    kind, channels = _word(encoded, form), _word(encoded, form + 2)
    rate = _unsigned(encoded, form + 4)
    bits = _word(encoded, form + 14)
    kind = tf.cond(tf.equal(kind, EXTENSIBLE), lambda: _word(encoded, form + 24), lambda: kind)
    matches = tf.stack([tf.equal(kind, known) & tf.equal(bits, depth) for known, depth in KINDS])
    valid = (
        tf.reduce_any(matches)
        & (channels >= 1)
        & (channels <= MAX_CHANNELS)
        & (rate >= MIN_RATE)
        & (rate <= MAX_RATE)
    )
    with tf.control_dependencies([tf.debugging.Assert(valid, ["a kind of WAV that is not read"])]):
        frame = tf.identity(channels) * bits // 8
    frames = length // frame
    raw = tf.strings.substr(encoded, data, frames * frame)
    samples = tf.switch_case(
        tf.argmax(matches, output_type=tf.int32),
        [lambda known=known, depth=depth: _samples(raw, known, depth) for known, depth in KINDS],
    )
    samples = tf.reshape(samples, [-1, channels])
    mono = tf.cond(channels > 1, lambda: _mixed(samples), lambda: tf.reshape(samples, [-1]))
    usable = (frames > 0) & in_range(mono)
    with tf.control_dependencies([tf.debugging.Assert(usable, ["no samples, or some that are no numbers"])]):
        return Sound(tf.identity(mono), rate)


def in_range(samples: tf.Tensor) -> tf.Tensor:
    """Returns whether all samples are finite and within `MAX_LEVEL`; () bool."""
    # These reductions need no second array of the clip's length. A sum with a NaN is NaN.
    return (
        (tf.reduce_max(samples) <= MAX_LEVEL)
        & (tf.reduce_min(samples) >= -MAX_LEVEL)
        & tf.math.is_finite(tf.reduce_sum(samples))
    )


def _mixed(samples: tf.Tensor) -> tf.Tensor:
    """Mixes (t, c) samples to (t,), see `data.sound_mixing`."""
    mean = tf.reduce_mean(samples, axis=1)
    moving = samples - tf.reduce_mean(samples, axis=0)
    moving -= tf.reduce_mean(moving, axis=0)  # the first mean of many numbers has a rounding error
    each = tf.reduce_sum(tf.square(moving), axis=0)
    together = tf.reduce_sum(tf.square(tf.reduce_sum(moving, axis=1)))
    loudest = tf.reduce_max(each)
    channel = tf.argmax(tf.cast(each >= ALIKE * loudest, tf.int32), output_type=tf.int32)
    still = loudest <= STILL * tf.reduce_max(tf.reduce_sum(tf.square(samples), axis=0))
    cancel = (together < CANCELLED * loudest) & ~still
    return tf.cond(cancel, lambda: samples[:, channel], lambda: mean)


def _chunks(encoded: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns where the chunks `fmt ` and `data` begin (-1 if there is none), and the length of `data`."""
    # Without the twelve bytes of the header, these cannot be read.
    whole = tf.cond(size >= 12, lambda: _unsigned(encoded, tf.constant(4)), lambda: tf.constant(0, tf.int64))

    def step(place: tf.Tensor, form: tf.Tensor, data: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, ...]:
        name = tf.strings.substr(encoded, place, 4)
        claimed, left = _unsigned(encoded, place + 4), tf.cast(size - place - 8, tf.int64)
        is_data = tf.equal(name, "data") & (data < 0)
        # An interrupted recorder, or one that wrote to a pipe, leaves a length of all ones, or a length of
        # zero and an impossible file length. Then the actual number of bytes is used.
        impossible = (whole <= tf.cast(place, tf.int64)) | (whole + 8 > tf.cast(size, tf.int64))
        unfinished = is_data & tf.equal(claimed, 0) & impossible
        held = tf.cast(tf.where(unfinished, left, tf.minimum(claimed, left)), tf.int32)
        is_form = tf.equal(name, "fmt ") & (held >= 16) & (form < 0)
        end = place + 8 + held
        # Some writers omit the padding byte after an odd length. The next chunk's name shows this.
        unpadded = tf.reduce_any(tf.equal(tf.strings.substr(encoded, end, 4), tf.constant(KNOWN_CHUNKS)))
        return (
            tf.where(unpadded, end, end + held % 2),
            tf.where(is_form, place + 8, form),
            tf.where(is_data, place + 8, data),
            tf.where(is_data, held, length),
        )

    def going(place: tf.Tensor, form: tf.Tensor, data: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return (place + 8 <= size) & ((form < 0) | (data < 0))

    missing = tf.constant(-1)
    start = tf.constant(12), missing, missing, tf.constant(0)
    _, form, data, length = tf.while_loop(going, step, start, maximum_iterations=MAX_CHUNKS)
    return form, data, length


def _word(encoded: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    raw = tf.io.decode_raw(tf.strings.substr(encoded, place, 2), tf.uint16)
    return tf.cast(tf.reshape(raw, [1])[0], tf.int32)


def _long(encoded: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.io.decode_raw(tf.strings.substr(encoded, place, 4), tf.int32), [1])[0]


def _unsigned(encoded: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_and(tf.cast(_long(encoded, place), tf.int64), 0xFFFFFFFF)


def _samples(raw: tf.Tensor, kind: int, bits: int) -> tf.Tensor:
    """Returns the interleaved samples of all channels, float32."""
    if kind == FLOAT:
        return tf.cast(tf.io.decode_raw(raw, tf.float32 if bits == 32 else tf.float64), tf.float32)
    if kind != PCM:
        table = tf.constant(A_LAW_VALUES if kind == A_LAW else MU_LAW_VALUES)
        return tf.gather(table, tf.cast(tf.io.decode_raw(raw, tf.uint8), tf.int32))
    if bits == 8:
        return (tf.cast(tf.io.decode_raw(raw, tf.uint8), tf.float32) - 128.0) / 128.0
    if bits == 24:
        # The three bytes become the upper three of four bytes, which keeps the sign.
        triples = tf.reshape(tf.cast(tf.io.decode_raw(raw, tf.uint8), tf.int32), [-1, 3])
        shifted = tf.bitwise.left_shift(triples, tf.constant([8, 16, 24]))
        return tf.cast(tf.reduce_sum(shifted, axis=1), tf.float32) / 2.0**31
    return tf.cast(tf.io.decode_raw(raw, tf.int16 if bits == 16 else tf.int32), tf.float32) / 2.0 ** (
        bits - 1
    )
