"""Window and mel filters for the spectra of sound networks, as in librosa's defaults."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf


def hann(length: int, dtype: object) -> tf.Tensor:
    """Returns a periodic Hann window of `length` samples."""
    return tf.signal.hann_window(length, periodic=True, dtype=dtype)


def slaney_mel(mels: int, fft: int, sample_rate: int) -> np.ndarray:
    """Returns mel filters of equal area (Slaney 1998, Auditory Toolbox): linear to 1 kHz, logarithmic above.

    Args:
        mels: number of filters.
        fft: samples per spectrum.
        sample_rate: samples per second.

    Returns:
        (fft // 2 + 1, mels) float32.
    """
    step, knee, log_step = 200 / 3, 1000.0, math.log(6.4) / 27
    top = knee / step + math.log(sample_rate / 2 / knee) / log_step
    mel = np.linspace(0, top, mels + 2)
    hertz = np.where(mel < knee / step, mel * step, knee * np.exp(log_step * (mel - knee / step)))
    bins = np.linspace(0, sample_rate / 2, fft // 2 + 1)[:, None]
    left, centre, right = hertz[:-2], hertz[1:-1], hertz[2:]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.asarray((np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)).astype(np.float32))
