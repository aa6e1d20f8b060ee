"""Explains why an example could not be read, for every modality and without a preprocessor."""

from __future__ import annotations

from collections.abc import Callable

from tfautolabel.preprocessors.pictures.unreadable import why_unreadable as why_no_picture


def why_unreadable(modality: str, encoded: bytes, **limits: int) -> str:
    """Says in one line why this package cannot read an example.

    Args:
        modality: a key of `REASONS`.
        encoded: the bytes of an example that a preprocessor could not read.
        **limits: limits of the preprocessor, such as `max_pixels`.
    """
    return REASONS[modality](encoded, **limits)


def _why_no_text(encoded: bytes) -> str:
    return "empty text" if not encoded.strip() else "no text that can be read"


def _why_no_sound(encoded: bytes, **limits: int) -> str:
    from tfautolabel.preprocessors.sounds.unreadable_sound import why_no_clip

    return why_no_clip(encoded, **limits)


REASONS: dict[str, Callable[..., str]] = {
    "image": why_no_picture,
    "text": _why_no_text,
    "audio": _why_no_sound,
}
