"""Loads features that need no transfer, as a backbone like any other, so that they can be exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfautolabel.backbones.backbone import Backbone

if TYPE_CHECKING:
    import keras

    from tfautolabel.preprocessors import Preprocessor

VERSION = 1
"""Increased when the same bytes would give other features, so that cached features are not mixed up."""


@dataclass(frozen=True)
class Plain:
    """Features of one modality.

    Attributes:
        modality: "image", "text" or "audio".
        description: what they are, in a few words.
        build: makes the preprocessor and the network; keyword arguments are options of the preprocessor.
        options: the names of these options.
    """

    modality: str
    description: str
    build: Callable[..., tuple[Preprocessor, keras.Model]]
    options: tuple[str, ...] = ()


def _pixels() -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.plain.pixels import build_pixels

    return build_pixels()


def _words(**options: str) -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.plain.word_counts import build_word_counts

    return build_word_counts(**options)


def _spectrum() -> tuple[Preprocessor, keras.Model]:
    from tfautolabel.backbones.plain.spectrum import build_spectrum

    return build_spectrum()


PLAIN: dict[str, Plain] = {
    "pixels": Plain("image", "16 x 16 pixels", _pixels),
    "words": Plain("text", "counts of words and pairs of words", _words, ("long_text",)),
    "spectrum": Plain("audio", "mean and spread of the spectrum", _spectrum),
}
"""Maps names to features, one for each modality. Adding some takes one entry."""


def plain_of(modality: str) -> str:
    """Returns the handle of a modality's features without transfer, such as "plain:pixels"."""
    return next(f"plain:{name}" for name, entry in PLAIN.items() if entry.modality == modality)


def is_plain(handle: str) -> bool:
    """Returns whether a backbone's string selects features without transfer."""
    return handle.startswith("plain:")


def load_plain(name: str, **options: Any) -> Backbone:
    """Loads features that need no pretrained weights.

    Args:
        name: "pixels", "words" or "spectrum".
        **options: for words `long_text`, "truncate" or "average".

    Raises:
        ValueError: If there is no such name, or it has no such option.

    Examples:
        >>> load_plain("pixels")
        Backbone('plain:pixels', image, 768 features)
        >>> load_plain("edges")
        Traceback (most recent call last):
        ...
        ValueError: plain: features must be one of pixels, words, spectrum. Received: 'edges'
    """
    if name not in PLAIN:
        raise ValueError(f"plain: features must be one of {', '.join(PLAIN)}. Received: {name!r}")
    entry = PLAIN[name]
    if unknown := sorted(set(options) - set(entry.options)):
        valid = f"the options {', '.join(entry.options)}" if entry.options else "no options"
        raise ValueError(f"plain:{name} has {valid}. Received: {unknown}")
    preprocessor, network = entry.build(**options)
    network.trainable = False
    return Backbone(f"plain:{name}", preprocessor, network, f"plain:{name}:{VERSION}")
