"""Converts an example's bytes when they are read, so that the graphs can decode them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tfautolabel.data.encoded_text import as_text
from tfautolabel.data.picture_files import as_picture
from tfautolabel.data.sound_files import READ_RATE, as_wav


def made_readable(modality: str, sample_rate: int | None = None) -> Callable[[bytes], bytes]:
    """Returns the function that turns a file's bytes into those that `Dataset.read` gives.

    Args:
        modality: "image", "text" or "audio".
        sample_rate: the backbone's rate for sound; see `Dataset.read`.
    """
    if modality == "audio":
        return partial(as_wav, most=highest_rate(sample_rate))
    return as_text if modality == "text" else as_picture


def highest_rate(sample_rate: int | None) -> int:
    """Returns the highest sampling rate of converted sound for a backbone's rate."""
    return max(sample_rate or 0, READ_RATE)


def reads_alike(modality: str, sample_rate: int | None) -> bool:
    """Returns whether `Dataset.read` gives the same bytes with and without a backbone's sample rate."""
    return modality != "audio" or (sample_rate or 0) <= READ_RATE
