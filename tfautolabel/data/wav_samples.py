"""Turns the bytes of WAV samples into numbers, as preprocessors/sounds/riff.py does in the graph."""

from __future__ import annotations

import numpy as np

from tfautolabel.data.wav_header import A_LAW, FLOAT, MU_LAW

MAX_LEVEL = 2.0**20
"""The largest absolute sample value.

Float files hold values up to 1, some up to 2 ** 15. Much larger values would overflow in a spectrum.
"""


def _a_law() -> np.ndarray:
    """The values of the 256 codes, ITU-T G.711."""
    code = np.arange(256) ^ 0x55
    mantissa, exponent = (code & 15) * 16 + 8, code >> 4 & 7
    value = np.where(exponent > 0, (mantissa + 256) * 2.0 ** (exponent - 1), mantissa)
    return (np.where(code & 128, value, -value) / 32768).astype(np.float32)


def _mu_law() -> np.ndarray:
    """The values of the 256 codes, ITU-T G.711."""
    code = ~np.arange(256) & 255
    value = ((code & 15) * 8 + 132) * 2.0 ** (code >> 4 & 7) - 132
    return (np.where(code & 128, -value, value) / 32768).astype(np.float32)


A_LAW_VALUES, MU_LAW_VALUES = _a_law(), _mu_law()


def samples_of(raw: bytes, tag: int, bits: int) -> np.ndarray:
    """Returns the interleaved samples of all channels.

    Args:
        raw: the bytes of whole samples.
        tag: the format of a WAV file; the two are one of `KINDS`.
        bits: bits of a sample.

    Returns:
        (t,) float32, in [-1, 1] unless the file holds floats.
    """
    if tag == FLOAT:
        with np.errstate(over="ignore"):  # a number too large for 32 bits becomes infinite, and is refused
            return np.frombuffer(raw, f"<f{bits // 8}").astype(np.float32)
    if tag in (A_LAW, MU_LAW):
        return (A_LAW_VALUES if tag == A_LAW else MU_LAW_VALUES)[np.frombuffer(raw, np.uint8)]
    if bits == 8:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - np.float32(128.0)) / np.float32(128.0)
    if bits == 24:
        # The three bytes become the upper three of four bytes, which keeps the sign.
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2.0**31)
    whole = np.frombuffer(raw, "<i2" if bits == 16 else "<i4")
    return whole.astype(np.float32) / np.float32(2.0 ** (bits - 1))


def in_range(samples: np.ndarray) -> bool:
    """Returns whether all samples are finite and within `MAX_LEVEL`."""
    # A comparison with a NaN is false.
    return bool(samples.max() <= MAX_LEVEL and samples.min() >= -MAX_LEVEL)
