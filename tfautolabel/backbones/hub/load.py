"""Loads backbones from modules of TensorFlow Hub. A module's input decides its modality.

The conventions are TensorFlow Hub's common signatures, https://www.tensorflow.org/hub/common_signatures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import keras
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.backbone import Backbone, saved_model_network
from tfautolabel.backbones.hub.preprocessor import MASK, StringPreprocessor, TextModulePreprocessor
from tfautolabel.backbones.hub.resolver import fetch
from tfautolabel.backbones.modules.files import content_digest, requirements
from tfautolabel.backbones.modules.layer import SavedModelLayer
from tfautolabel.backbones.modules.waveform_layer import WaveformModuleLayer
from tfautolabel.preprocessors import ImagePreprocessor, Preprocessor
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

DEFAULT_SIZE = 224
"""The side in pixels for an image module that takes any size."""

PAIR = "+"
"""Joins the handles of a text preprocessing module and the encoder that takes its result."""

SAMPLE_RATE = 16_000
MIN_SECONDS = 1.0
"""Samples per second of the convention's audio modules, and the shortest clip with a frame in YAMNet."""


def load_hub_module(
    handle: str,
    output_key: str | int | None = None,
    sample_rate: int = SAMPLE_RATE,
    *,
    source: str = "hub",
    find: Callable[[str], Path] | None = None,
) -> Backbone:
    """Loads a backbone from a module's URL or folder. The module takes one of these inputs.

    - (n, height, width, 3) float32: pictures with values in [0, 1];
    - (n,) string: texts;
    - a dictionary: tokens from another module. The handle is then `PREPROCESSOR+ENCODER`;
    - (t,) float32: one waveform with values in [-1, 1], as for YAMNet. Frames are pooled over time.

    A module with a callable root (a reusable SavedModel) can be trained. A module that only has signatures,
    as in TensorFlow 1's format, is for inference. Making its network trainable raises ValueError.

    Args:
        handle: a URL or the folder of a SavedModel, or two of them joined by "+", see `resolve`.
        output_key: the output to use if there are several. For an encoder "pooled_output", or
            "sequence_output" with the mean over the tokens. By default the output that the conventions name.
        sample_rate: samples per second of an audio module.
        source: the prefix of the backbone's own handle.
        find: returns a module's folder; `resolve` by default.

    Raises:
        ValueError: If the module follows none of the conventions.
        FileNotFoundError: If a folder is missing, or a module is not cached and may not be fetched.
        RuntimeError: If a module cannot be fetched, or operations are missing.
    """
    first, plus, second = ("", "", handle) if Path(handle).expanduser().is_dir() else _pair(handle)
    find = find or resolve
    folder = find(second)
    preprocessor: Preprocessor
    if plus:
        preprocessor = TextModulePreprocessor(find(first))
        preprocessor.requires = tuple(dict.fromkeys((*preprocessor.requires, *requirements(folder))))
        network = _encoder(folder, preprocessor, output_key)
    else:
        request = Request(folder, handle, SavedModelLayer(folder).module_input, output_key, sample_rate)
        kind = next(one for one in CONVENTIONS.values() if one.fits(request.spec))
        preprocessor, network = kind.build(request)
    network.trainable = False
    # Other outputs of the same module are other features, so they need a different cache key.
    output = "" if output_key is None else f":{output_key!r}"
    architecture = f"saved_model:{content_digest(folder)}{output}"
    return Backbone(f"{source}:{handle}", preprocessor, network, architecture)


def _pair(handle: str) -> tuple[str, str, str]:
    first, plus, second = handle.partition(PAIR)
    return (first, plus, second) if plus else ("", "", handle)


class Request(NamedTuple):
    """A request for a backbone from a module.

    Attributes:
        folder: the module's folder.
        handle: as the user gave it.
        spec: the module's input: a `tf.TensorSpec`, or a dictionary of them.
        output_key: the output to use if there are several.
        sample_rate: samples per second of sound.
    """

    folder: Path
    handle: str
    spec: Any
    output_key: str | int | None
    sample_rate: int


class Convention(NamedTuple):
    """One of the common signatures.

    Attributes:
        fits: returns whether a module's input is of this kind.
        build: returns the preprocessor and the network.
    """

    fits: Callable[[Any], bool]
    build: Callable[[Request], tuple[Preprocessor, keras.Model]]


def _tokens(request: Request) -> tuple[Preprocessor, keras.Model]:
    raise ValueError(
        f"an encoder of tokens needs the module that makes them: hub:PREPROCESSOR{PAIR}ENCODER. "
        f"Received: {request.handle!r}, which takes {sorted(request.spec)}"
    )


def _texts(request: Request) -> tuple[Preprocessor, keras.Model]:
    texts = keras.Input((), dtype="string", name="texts")
    features = SavedModelLayer(request.folder, request.output_key, name="module")(texts)
    return StringPreprocessor(requirements(request.folder)), keras.Model(texts, features, name="text_module")


def _waveform(request: Request) -> tuple[Preprocessor, keras.Model]:
    shortest = int(MIN_SECONDS * request.sample_rate)
    waves = keras.Input((None,), name="waves")
    lengths = keras.Input((), dtype="int32", name="lengths")
    layer = WaveformModuleLayer(os.fspath(request.folder), request.output_key, shortest, name="module")
    network = keras.Model([waves, lengths], layer([waves, lengths]), name="audio_module")
    return WavePreprocessor(request.sample_rate, min_samples=shortest), network


def _pictures(request: Request) -> tuple[Preprocessor, keras.Model]:
    size = _image_size(request.spec, request.handle)
    return ImagePreprocessor(size), saved_model_network(request.folder, size, request.output_key)


CONVENTIONS: dict[str, Convention] = {
    "tokens": Convention(lambda spec: isinstance(spec, Mapping), _tokens),
    "texts": Convention(lambda spec: spec.dtype == tf.string and spec.shape.rank in (1, None), _texts),
    "waveform": Convention(lambda spec: spec.dtype == tf.float32 and spec.shape.rank == 1, _waveform),
    "pictures": Convention(lambda _: True, _pictures),
}
"""The conventions, in the order of their check. The last one raises an error that says what is valid."""


def _encoder(folder: Path, tokens: TextModulePreprocessor, output_key: str | int | None) -> keras.Model:
    inputs = {
        key: keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=key)
        for key, spec in zip(tokens.keys, tokens.specs, strict=True)
    }
    features = SavedModelLayer(folder, output_key, name="module")(inputs)
    if len(features.shape) == 3:
        mask = inputs[MASK] > 0 if MASK in inputs else None
        features = layers.GlobalAveragePooling1D(name="mean_over_tokens")(features, mask=mask)
    return keras.Model(list(inputs.values()), features, name="text_encoder")


def _image_size(spec: tf.TensorSpec, handle: str) -> int:
    """Returns the side in pixels that an image module takes."""
    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    if spec.dtype != tf.float32 or len(shape) != 4 or shape[3] not in (3, None) or shape[1] != shape[2]:
        raise ValueError(
            "a module takes pictures, (n, height, width, 3) float32 with height = width, texts, (n,) string, "
            "tokens, a dictionary, or one waveform, (t,) float32, as TF-Hub's common signatures say. "
            f"Received: {handle!r}, which takes {spec.shape} {spec.dtype.name}"
        )
    return DEFAULT_SIZE if shape[1] is None else int(shape[1])


def resolve(handle: str) -> Path:
    """Returns the local folder of a hub module, and downloads it if needed.

    Args:
        handle: a folder or a URL. http:// and https:// are downloaded into TensorFlow Hub's cache. file://
            names a folder. tensorflow_hub's own resolvers handle all other URLs.

    Raises:
        FileNotFoundError: If a folder is missing, or a module is not cached and may not be fetched.
        RuntimeError: If a module cannot be fetched.
    """
    scheme, separator, _ = handle.partition("://")
    if separator and scheme in ("http", "https"):
        return fetch(handle)
    if separator and scheme != "file":
        return _resolved_by_tensorflow_hub(handle)
    path = url2pathname(urlsplit(handle).path) if separator else handle
    folder = Path(path).expanduser()
    if not folder.is_dir():
        hint = ", which is a file: unpack an archive first" if folder.is_file() else ""
        raise FileNotFoundError(
            f"a hub module is a URL or the folder of a SavedModel. Received: {handle!r}{hint}"
        )
    return folder


def _resolved_by_tensorflow_hub(handle: str) -> Path:
    import tensorflow_hub

    try:
        found = tensorflow_hub.resolve(handle)
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0]
        raise RuntimeError(
            f"tensorflow_hub could not resolve the module ({type(error).__name__}: {reason}). "
            f"Received: {handle!r}"
        ) from error
    if not Path(found).is_dir():
        raise RuntimeError(
            "a backbone needs a module's files in a local folder: copy the module there, or give the address "
            f"of its .tar.gz. Received: {handle!r}"
        )
    return Path(found)
