"""Cuts long clips into the windows of `WavePreprocessor`, some at a time.

The windows are those that the graph cuts: the same places, and the same samples up to rounding. Neither all
samples nor all windows are ever in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import tensorflow as tf

from tfautolabel.data.long_sounds import LongSound
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.sound_rates import ratio_of, reach_of
from tfautolabel.preprocessors.contract import LongWindows
from tfautolabel.preprocessors.sounds.resample import resample
from tfautolabel.preprocessors.sounds.unreadable_sound import why_no_clip

_Resample = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def long_windows(
    sound: LongSound, sample_rate: int, longest: int, min_samples: int, max_seconds: int
) -> LongWindows:
    """Returns the windows of a clip as the preprocessor with these settings cuts them.

    Args:
        sound: the clip.
        sample_rate: samples per second that the network takes.
        longest: the most samples of a window.
        min_samples: a shorter window is padded with silence to this length.
        max_seconds: longer clips are not read.

    Raises:
        ReadFailure: If the clip cannot be read as far as its header tells.
    """
    header = sound.header
    if header is None or header.fault(max_seconds) is not None:
        raise ReadFailure(why_no_clip(sound, max_seconds))
    up, down = ratio_of(header.rate, sample_rate)
    total = -(-header.frames * up // down)
    number = -(-total // longest)
    length = -(-total // number)
    width = max(length, min_samples)

    def groups(at_once: int) -> Iterator[tuple[np.ndarray, ...]]:
        flat = _pieces(_resampled(sound, header.rate, sample_rate), at_once * length, number * length)
        for first, samples in zip(range(0, number, at_once), flat, strict=True):
            waves = samples.reshape(-1, length)
            starts = (first + np.arange(len(waves))) * length
            lengths = np.clip(total - starts, 1, length).astype(np.int32)
            yield np.pad(waves, [(0, 0), (0, width - length)]) if width > length else waves, lengths

    return LongWindows(number, width, groups)


def _pieces(blocks: Iterator[np.ndarray], size: int, total: int) -> Iterator[np.ndarray]:
    """Yields (size,) samples at a time, with silence behind the last, up to `total` samples."""
    waiting = np.zeros(0, np.float32)
    for start in range(0, total, size):
        piece = np.zeros(min(size, total - start), np.float32)
        filled = 0
        while filled < len(piece):
            if not len(waiting):
                block = next(blocks, None)
                if block is None:
                    break
                waiting = block
            taken = waiting[: len(piece) - filled]
            piece[filled : filled + len(taken)] = taken
            filled, waiting = filled + len(taken), waiting[len(taken) :]
        if start + size >= total:
            # What is wrong with a clip may show at its very end. It must show before its last window.
            for _ in blocks:
                pass
        yield piece


def _resampled(sound: LongSound, rate: int, target: int) -> Iterator[np.ndarray]:
    """Yields (t,) float32, the next samples at the target rate.

    An output depends on the inputs within the filter's reach, and on its place among `up` outputs, which
    belong to `down` inputs. So each piece begins at a multiple of `down`, with the samples before it.
    """
    if rate == target:
        yield from sound.blocks()
        return
    resampled = _resampler(target)

    def converted(samples: np.ndarray) -> np.ndarray:
        # As short clips are; a GPU would round products of float32 to ten bits.
        with tf.device("/CPU:0"):
            return np.asarray(resampled(tf.constant(samples), tf.constant(rate, tf.int64)).numpy())

    up, down = ratio_of(rate, target)
    reach = reach_of(up, down)
    context = -(-reach // down) * down
    held, before = np.zeros(0, np.float32), 0  # the first samples that are held were converted before
    for block in sound.blocks():
        held = np.concatenate([held, block])
        done = before + max(len(held) - before - reach, 0) // down * down
        if done == before:
            continue
        outputs = converted(held[: done + reach])
        yield outputs[before * up // down : done * up // down]
        before = min(done, context)
        held = held[done - before :]
    yield converted(held)[before * up // down :]


@lru_cache(maxsize=4)
def _resampler(target: int) -> _Resample:
    signature = [tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int64)]
    traced: _Resample = tf.function(
        lambda samples, rate: resample(samples, rate, target), input_signature=signature, autograph=False
    )
    return traced
