"""Loads any backbone by one string from an ordered list of sources. An error says what was tried."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel._forks import refuse_after_fork
from tfautolabel._gpus import visible_gpus
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.backbones.hub.load import load_hub_module
from tfautolabel.backbones.huggingface import load_hugging_face
from tfautolabel.backbones.kaggle.load import fetch_model
from tfautolabel.backbones.kaggle.names import kaggle_handle
from tfautolabel.backbones.keras_applications.load import APPLICATIONS, load_keras_application
from tfautolabel.backbones.kerashub.load import load_kerashub
from tfautolabel.backbones.packaged import PACKAGED, build
from tfautolabel.backbones.plain.load import PLAIN, load_plain
from tfautolabel.backbones.torch_source.load import load_torch_module


def load_backbone(handle: str, **options: Any) -> Backbone:
    """Loads a frozen backbone.

    Args:
        handle: one of

            - `packaged:NAME`: weights from the package index, see `tfautolabel backbones list`;
            - `keras:NAME` or `keras:NAME:WEIGHTS`: one of keras.applications, see `load_keras_application`;
            - `hub:HANDLE`: a TF-Hub URL or folder, or two joined by "+": a text
              preprocessing module and its encoder, see `load_hub_module`;
            - `kaggle:OWNER/MODEL/FRAMEWORK/VARIATION`, optionally with `/VERSION`: a SavedModel of Kaggle
              Models, TF-Hub's new place, or two joined by "+", see `fetch_model`;
            - `kerashub:PRESET`: a preset's name or folder of KerasHub, see `load_kerashub`;
            - `hf:NAME`: a folder in Hugging Face's format or a repository of its Hub, see
              `load_hugging_face`;
            - `torch:PACKAGE.MODULE.CALLABLE` or `torch:PACKAGE.MODULE.CALLABLE:WEIGHTS`: a PyTorch module,
              converted once, see `load_torch_module`;
            - `plain:pixels`, `plain:words` or `plain:spectrum`: features without a pretrained network, see
              `load_plain`;
            - a path: the folder of a SavedModel. Loading it runs its graph: load only what you trust.
        **options: options of the backbone's preprocessor. For texts: `long_text`, "truncate" (ignores text
            beyond the backbone's length) or "average" (the mean over all of a text). For `hub:` and `kaggle:`
            also `output_key` and `sample_rate`, see `load_hub_module`. For `kerashub:` `pooling`. For
            `torch:` `size`, `mean`, `std` and `keep_head`.

    Returns:
        The backbone.

    Raises:
        ValueError: If the string selects nothing or the backbone has no such option. The message says what
            was tried and what is valid.
        FileNotFoundError: If a file or folder is missing, or weights are missing and may not be fetched.
        RuntimeError: If weights cannot be fetched, or in a process that was forked after TensorFlow was used.

    Examples:
        >>> load_backbone("packaged:lenet")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: a packaged backbone must be one of ['e5-small', ...]. Received: 'lenet'
    """
    refuse_after_fork()
    visible_gpus()  # before the first weight takes a GPU
    prefix, colon, reference = handle.partition(":")
    if colon and prefix in SOURCES:
        if not reference:
            raise ValueError(f"{prefix}: must be followed by a name. Received: {handle!r}")
        return SOURCES[prefix].load(reference, **_checked(prefix, options))
    if handle and Path(handle).expanduser().is_dir():
        return load_hub_module(os.fspath(Path(handle).expanduser()), **_checked("hub", options))
    forms = ", ".join(f"{name}:{source.form}" for name, source in SOURCES.items())
    hint = _hint(handle, prefix)
    raise ValueError(
        f"a backbone is selected by {forms} or the path of a SavedModel's folder. Received: {handle!r}, "
        f"which begins with none of these prefixes and is no folder{hint and f'; did you mean {hint}?'}"
    )


def _hint(handle: str, prefix: str) -> str:
    """Suggests a valid handle for one that selects nothing; empty if there is no likely one."""
    if handle in PACKAGED:
        return f"packaged:{handle}"
    if handle in PLAIN:
        return f"plain:{handle}"
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


@dataclass(frozen=True)
class Source:
    """One kind of source for backbones.

    Attributes:
        form: the form of the part after the prefix, for messages.
        load: loads the backbone from the part after the prefix and the options.
        options: the option names that `load` takes. None if `load` checks them itself.
        own_length: the subject of an error message, for sources whose backbones have a fixed text length.
            Then `long_text` can only be "truncate", and `load` does not take it. Empty for other sources.
    """

    form: str
    load: Callable[..., Backbone]
    options: tuple[str, ...] | None = None
    own_length: str = ""


_MODULE_OPTIONS = ("output_key", "sample_rate")

SOURCES: dict[str, Source] = {
    "packaged": Source("NAME", _from_package),
    "hf": Source("OWNER/NAME", load_hugging_face),
    "keras": Source("NAME", load_keras_application, ()),
    "hub": Source("URL", load_hub_module, _MODULE_OPTIONS, "a hub module"),
    "kaggle": Source(
        "OWNER/MODEL/FRAMEWORK/VARIATION",
        functools.partial(load_hub_module, source="kaggle", find=fetch_model),
        _MODULE_OPTIONS,
        "a Kaggle model",
    ),
    "kerashub": Source("PRESET", load_kerashub, ("pooling",), "a KerasHub preset"),
    "torch": Source("PACKAGE.MODULE.CALLABLE", load_torch_module, ("size", "mean", "std", "keep_head")),
    "plain": Source("NAME", load_plain),
}
"""Maps prefixes to sources, in the order of messages. A new source is one entry."""


def _checked(prefix: str, options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that a source's `load` takes. Raises an error for others."""
    source = SOURCES[prefix]
    if source.options is None:
        return options
    if not source.options and options:
        raise ValueError(f"{prefix}: backbones take pictures and have no options. Received: {options}")
    known = ("long_text", *source.options) if source.own_length else source.options
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{prefix}: backbones have the options {', '.join(known)}. Received: {unknown}")
    given = dict(options)
    if source.own_length and (long_text := given.pop("long_text", "truncate")) != "truncate":
        raise ValueError(
            f"{source.own_length} has a length of its own for texts: long_text must be 'truncate'. "
            f"Received: long_text={long_text!r}"
        )
    return given
