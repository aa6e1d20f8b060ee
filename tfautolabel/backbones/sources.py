"""One string selects any backbone: an ordered list of sources, and a miss that says what was tried."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.backbones.hub_modules import load_hub_module
from tfautolabel.backbones.keras_applications import load_keras_application
from tfautolabel.backbones.packaged import PACKAGED, build


def load_backbone(handle: str, **options: Any) -> Backbone:
    """Loads a backbone, frozen.

    Args:
        handle: one of

            - `packaged:NAME`: weights from the package index, see `tfautolabel backbones list`;
            - `keras:NAME` or `keras:NAME:WEIGHTS`: one of keras.applications, see `load_keras_application`;
            - `hub:HANDLE`: a TF-Hub URL or folder, found by tensorflow_hub, or two joined by "+": a text
              preprocessing module and its encoder, see `load_hub_module`;
            - a path: the folder of a SavedModel. Loading a SavedModel runs its graph: load what you trust.
        **options: of the backbone's preprocessor: for texts `long_text`, "truncate" (what is beyond the
            backbone's length counts for nothing) or "average" (the mean over all of a text); for `hub:` also
            `output_key` and `sample_rate`, see `load_hub_module`.

    Returns:
        The backbone.

    Raises:
        ValueError: If the string selects nothing or the backbone has no such option, with what was tried and
            what is valid.
        FileNotFoundError: If a file or folder is missing, or weights are missing and may not be fetched.
        RuntimeError: If weights cannot be fetched.

    Examples:
        >>> load_backbone("packaged:lenet")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: a packaged backbone must be one of ['e5-small', ...]. Received: 'lenet'
    """
    prefix, colon, reference = handle.partition(":")
    if colon and prefix in SOURCES:
        if not reference:
            raise ValueError(f"{prefix}: must be followed by a name. Received: {handle!r}")
        return SOURCES[prefix](reference, **options)
    if handle and Path(handle).expanduser().is_dir():
        return _from_hub(os.fspath(Path(handle).expanduser()), **options)
    prefixes = ", ".join(f"{name}:" for name in SOURCES)
    hint = f"; did you mean packaged:{handle}?" if handle in PACKAGED else ""
    raise ValueError(
        f"a backbone is selected by {prefixes} or the path of a folder. Received: {handle!r}, which has none "
        f"of these prefixes and is no folder{hint}"
    )


def _from_package(name: str, **options: Any) -> Backbone:
    preprocessor, network = build(name, **options)
    network.trainable = False
    handle = f"packaged:{name}"
    return Backbone(handle, preprocessor, network, handle, PACKAGED[name].languages)


def _from_hub(handle: str, long_text: str = "truncate", **options: Any) -> Backbone:
    if long_text != "truncate":
        raise ValueError(
            "a hub module has a length of its own for texts: long_text must be 'truncate'. "
            f"Received: long_text={long_text!r}"
        )
    _check_options("hub:", options, ("long_text", "output_key", "sample_rate"))
    return load_hub_module(handle, **options)


def _from_keras(reference: str, **options: Any) -> Backbone:
    if options:
        raise ValueError(f"keras: backbones take pictures and have no options. Received: {options}")
    return load_keras_application(reference)


SOURCES: dict[str, Callable[..., Backbone]] = {
    "packaged": _from_package,
    "keras": _from_keras,
    "hub": _from_hub,
}


def _check_options(prefix: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{prefix} backbones have the options {', '.join(known)}. Received: {unknown}")
