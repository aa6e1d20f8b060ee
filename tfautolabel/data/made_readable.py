"""What is done to an example's bytes when they are read, so that the graphs can decode them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tfautolabel.data.encoded_text import as_text
from tfautolabel.data.picture_files import as_picture
from tfautolabel.data.sound_files import READ_RATE, as_wav


def made_readable(modality: str, sample_rate: int | None = None) -> Callable[[bytes], bytes]:
    """The function from a file's bytes to those that `Dataset.read` gives.

    Args:
        modality: "image", "text" or "audio".
        sample_rate: of a backbone that takes sound; see `Dataset.read`.
    """
    if modality == "audio":
        return partial(as_wav, most=max(sample_rate or 0, READ_RATE))
    return as_text if modality == "text" else as_picture


def reads_alike(modality: str, sample_rate: int | None) -> bool:
    """Whether `Dataset.read` gives the same bytes with a backbone's sample rate as without."""
    return modality != "audio" or (sample_rate or 0) <= READ_RATE
