"""One string selects any backbone: an ordered list of sources, and a miss that says what was tried."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfautolabel._cache import offline
from tfautolabel.backbones.backbone import Backbone, saved_model_network
from tfautolabel.backbones.keras_applications import load_keras_application
from tfautolabel.backbones.packaged import PACKAGED, build
from tfautolabel.backbones.preprocessors import ImagePreprocessor
from tfautolabel.backbones.saved_model import SavedModelLayer

DEFAULT_SIZE = 224
"""Side in pixels for an image module that takes any size."""


def load_backbone(handle: str, **options: Any) -> Backbone:
    """Loads a backbone, frozen.

    Args:
        handle: one of

            - `packaged:NAME`: weights from the package index, see `tfautolabel backbones list`;
            - `keras:NAME` or `keras:NAME:WEIGHTS`: one of keras.applications, see `load_keras_application`;
            - `hub:HANDLE`: a TF-Hub URL or folder, found by tensorflow_hub;
            - a path: the folder of a SavedModel. Loading a SavedModel runs its graph: load what you trust.
        **options: of the backbone's preprocessor: for texts `long_text`, "truncate" (what is beyond the
            backbone's length counts for nothing) or "average" (the mean over all of a text).

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
        ValueError: a packaged backbone must be one of ['efficientnet-lite0', ...]. Received: 'lenet'
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


def _from_hub(handle: str, **options: Any) -> Backbone:  # noqa: ARG001 - text modules will take them
    folder = _resolve(handle)
    size = _image_size(SavedModelLayer(folder).module_input, handle)
    network = saved_model_network(folder, size)
    return Backbone(
        f"hub:{handle}", ImagePreprocessor(size), network, f"saved_model:{_content_digest(folder)}"
    )


def _from_keras(reference: str, **options: Any) -> Backbone:
    if options:
        raise ValueError(f"keras: backbones take pictures and have no options. Received: {options}")
    return load_keras_application(reference)


SOURCES: dict[str, Callable[..., Backbone]] = {
    "packaged": _from_package,
    "keras": _from_keras,
    "hub": _from_hub,
}


def _resolve(handle: str) -> Path:
    """The local folder of a hub module, downloaded and cached by tensorflow_hub where needed."""
    if "://" not in handle:
        folder = Path(handle).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"a hub module is a URL or the folder of a SavedModel. Received: {handle!r}"
            )
        return folder
    if offline() and not _hub_cached(handle):
        raise FileNotFoundError(
            f"{handle} is not in tensorflow_hub's cache and TFAUTOLABEL_OFFLINE is set: load it once on a "
            "machine with a network, and copy the folder that TFHUB_CACHE_DIR names"
        )
    import tensorflow_hub

    try:
        return Path(tensorflow_hub.resolve(handle))
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise RuntimeError(
            f"tensorflow_hub could not resolve the module ({type(error).__name__}: {error}). "
            f"Received: {handle!r}"
        ) from error


def _hub_cached(handle: str) -> bool:
    """tensorflow_hub keeps a module in a folder named by the SHA-1 of its handle."""
    cache = os.environ.get("TFHUB_CACHE_DIR") or os.path.join(tempfile.gettempdir(), "tfhub_modules")
    return (Path(cache) / hashlib.sha1(handle.encode(), usedforsecurity=False).hexdigest()).is_dir()


def _image_size(spec: tf.TensorSpec, handle: str) -> int:
    """The side in pixels that an image module takes."""
    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    if spec.dtype != tf.float32 or len(shape) != 4 or shape[3] not in (3, None) or shape[1] != shape[2]:
        raise ValueError(
            "an image module takes (n, height, width, 3) float32 with height = width, as TF-Hub's convention "
            f"for image feature vectors says. Received: {handle!r}, which takes {spec.shape} "
            f"{spec.dtype.name}"
        )
    return DEFAULT_SIZE if shape[1] is None else int(shape[1])


def _content_digest(folder: Path) -> str:
    """Hash of graph and assets; the variables are hashed as weights, because training changes them."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        relative = file.relative_to(folder)
        if file.is_file() and relative.parts[0] in ("saved_model.pb", "assets"):
            digest.update(relative.as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
