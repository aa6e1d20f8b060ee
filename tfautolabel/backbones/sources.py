"""One string selects any backbone: an ordered list of sources, and a miss that says what was tried."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfautolabel._forks import refuse_after_fork
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.backbones.hub_modules import load_hub_module
from tfautolabel.backbones.huggingface import load_hugging_face
from tfautolabel.backbones.kaggle import fetch_model
from tfautolabel.backbones.kaggle_names import kaggle_handle
from tfautolabel.backbones.keras_applications import APPLICATIONS, load_keras_application
from tfautolabel.backbones.kerashub import load_kerashub
from tfautolabel.backbones.packaged import PACKAGED, build
from tfautolabel.backbones.torch_modules import load_torch_module


def load_backbone(handle: str, **options: Any) -> Backbone:
    """Loads a backbone, frozen.

    Args:
        handle: one of

            - `packaged:NAME`: weights from the package index, see `tfautolabel backbones list`;
            - `keras:NAME` or `keras:NAME:WEIGHTS`: one of keras.applications, see `load_keras_application`;
            - `hub:HANDLE`: a TF-Hub URL or folder, or two joined by "+": a text
              preprocessing module and its encoder, see `load_hub_module`;
            - `kaggle:OWNER/MODEL/FRAMEWORK/VARIATION`, perhaps with `/VERSION`: a SavedModel of Kaggle
              Models, where TF-Hub's modules live now, or two joined by "+", see `fetch_model`;
            - `kerashub:PRESET`: a preset's name or folder of KerasHub, see `load_kerashub`;
            - `hf:NAME`: a folder in Hugging Face's format or a repository of its Hub, see
              `load_hugging_face`;
            - `torch:PACKAGE.MODULE.CALLABLE` or `torch:PACKAGE.MODULE.CALLABLE:WEIGHTS`: a PyTorch module,
              converted once, see `load_torch_module`;
            - a path: the folder of a SavedModel. Loading a SavedModel runs its graph: load what you trust.
        **options: of the backbone's preprocessor: for texts `long_text`, "truncate" (what is beyond the
            backbone's length counts for nothing) or "average" (the mean over all of a text); for `hub:` and
            `kaggle:` also `output_key` and `sample_rate`, see `load_hub_module`; for `kerashub:` `pooling`;
            for `torch:` `size`, `mean`, `std` and `keep_head`.

    Returns:
        The backbone.

    Raises:
        ValueError: If the string selects nothing or the backbone has no such option, with what was tried and
            what is valid.
        FileNotFoundError: If a file or folder is missing, or weights are missing and may not be fetched.
        RuntimeError: If weights cannot be fetched, or in a process that was forked after TensorFlow was used.

    Examples:
        >>> load_backbone("packaged:lenet")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: a packaged backbone must be one of ['e5-small', ...]. Received: 'lenet'
    """
    refuse_after_fork()
    prefix, colon, reference = handle.partition(":")
    if colon and prefix in SOURCES:
        if not reference:
            raise ValueError(f"{prefix}: must be followed by a name. Received: {handle!r}")
        return SOURCES[prefix](reference, **options)
    if handle and Path(handle).expanduser().is_dir():
        return _from_hub(os.fspath(Path(handle).expanduser()), **options)
    forms = ", ".join(f"{name}:{FORMS.get(name, 'NAME')}" for name in SOURCES)
    hint = _hint(handle, prefix)
    raise ValueError(
        f"a backbone is selected by {forms} or the path of a SavedModel's folder. Received: {handle!r}, "
        f"which begins with none of these prefixes and is no folder{hint and f'; did you mean {hint}?'}"
    )


def _hint(handle: str, prefix: str) -> str:
    """What somebody may have meant who gave what selects nothing; empty if nobody can know."""
    if handle in PACKAGED:
        return f"packaged:{handle}"
    if handle in APPLICATIONS:
        return f"keras:{handle}"
    if handle.startswith(("http://", "https://")):
        return kaggle_handle(handle) or f"hub:{handle}"
    if handle.count("/") in (3, 4) and handle.split("/")[2].lower() in ("tensorflow1", "tensorflow2"):
        return f"kaggle:{handle}"
    close = difflib.get_close_matches(prefix, [*SOURCES, *PACKAGED], n=1)
    if not close:
        return ""
    return f"{close[0]}:{handle.partition(':')[2]}" if close[0] in SOURCES else f"packaged:{close[0]}"


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


def _from_kaggle(reference: str, long_text: str = "truncate", **options: Any) -> Backbone:
    if long_text != "truncate":
        raise ValueError(
            "a Kaggle model has a length of its own for texts: long_text must be 'truncate'. "
            f"Received: long_text={long_text!r}"
        )
    _check_options("kaggle:", options, ("long_text", "output_key", "sample_rate"))
    return load_hub_module(reference, **options, source="kaggle", find=fetch_model)


def _from_keras(reference: str, **options: Any) -> Backbone:
    if options:
        raise ValueError(f"keras: backbones take pictures and have no options. Received: {options}")
    return load_keras_application(reference)


def _from_kerashub(preset: str, long_text: str = "truncate", **options: Any) -> Backbone:
    if long_text != "truncate":
        raise ValueError(
            "a KerasHub preset has a length of its own for texts: long_text must be 'truncate'. "
            f"Received: long_text={long_text!r}"
        )
    _check_options("kerashub:", options, ("long_text", "pooling"))
    return load_kerashub(preset, **options)


def _from_torch(reference: str, **options: Any) -> Backbone:
    _check_options("torch:", options, ("size", "mean", "std", "keep_head"))
    return load_torch_module(reference, **options)


FORMS = {
    "packaged": "NAME",
    "keras": "NAME",
    "hub": "URL",
    "kaggle": "OWNER/MODEL/FRAMEWORK/VARIATION",
    "kerashub": "PRESET",
    "hf": "OWNER/NAME",
    "torch": "PACKAGE.MODULE.CALLABLE",
}
"""What follows each prefix, for the message of a miss."""

SOURCES: dict[str, Callable[..., Backbone]] = {
    "packaged": _from_package,
    "hf": load_hugging_face,
    "keras": _from_keras,
    "hub": _from_hub,
    "kaggle": _from_kaggle,
    "kerashub": _from_kerashub,
    "torch": _from_torch,
}


def _check_options(prefix: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{prefix} backbones have the options {', '.join(known)}. Received: {unknown}")
