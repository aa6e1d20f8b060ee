"""Backbones from modules of TensorFlow Hub: what a module takes says what it is for.

The conventions are TensorFlow Hub's common signatures, https://www.tensorflow.org/hub/common_signatures.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

from tfautolabel._cache import offline
from tfautolabel.backbones.backbone import Backbone, saved_model_network
from tfautolabel.backbones.module_files import content_digest, requirements
from tfautolabel.backbones.preprocessors import ImagePreprocessor, Preprocessor
from tfautolabel.backbones.preprocessors.strings import MASK, StringPreprocessor, TextModulePreprocessor
from tfautolabel.backbones.preprocessors.wave import WavePreprocessor
from tfautolabel.backbones.saved_model import SavedModelLayer
from tfautolabel.backbones.waveform_module import WaveformModuleLayer

DEFAULT_SIZE = 224
"""Side in pixels for an image module that takes any size."""

PAIR = "+"
"""Stands between a text preprocessing module and the encoder that takes what it makes."""

SAMPLE_RATE = 16_000
MIN_SECONDS = 1.0
"""What audio modules of the convention take: samples a second, and the least that gives YAMNet a frame."""


def load_hub_module(
    handle: str, output_key: str | int | None = None, sample_rate: int = SAMPLE_RATE
) -> Backbone:
    """A backbone from a module's URL or folder.

    - (n, height, width, 3) float32: pictures with values in [0, 1];
    - (n,) string: texts;
    - a dictionary: tokens, which another module makes: the handle is then `PREPROCESSOR+ENCODER`;
    - (t,) float32: one waveform with values in [-1, 1], as YAMNet; frames are pooled over time.

    Args:
        handle: a URL that tensorflow_hub resolves or the folder of a SavedModel, or two joined by "+".
        output_key: which of several outputs to take; for an encoder "pooled_output" or "sequence_output",
            whose mean over the tokens is taken. By default what the conventions name.
        sample_rate: of an audio module, samples a second.

    Raises:
        ValueError: If the module follows none of the conventions.
        FileNotFoundError: If a folder is missing, or a module is not cached and may not be fetched.
        RuntimeError: If tensorflow_hub cannot resolve a URL, or operations are missing.
    """
    first, plus, second = ("", "", handle) if Path(handle).expanduser().is_dir() else _pair(handle)
    folder = resolve(second)
    preprocessor: Preprocessor
    if plus:
        preprocessor = TextModulePreprocessor(resolve(first))
        preprocessor.requires = tuple(dict.fromkeys((*preprocessor.requires, *requirements(folder))))
        network = _encoder(folder, preprocessor, output_key)
    else:
        preprocessor, network = _single(folder, handle, output_key, sample_rate)
    return Backbone(f"hub:{handle}", preprocessor, network, f"saved_model:{content_digest(folder)}")


def _pair(handle: str) -> tuple[str, str, str]:
    first, plus, second = handle.partition(PAIR)
    return (first, plus, second) if plus else ("", "", handle)


def _single(
    folder: Path, handle: str, output_key: str | int | None, sample_rate: int
) -> tuple[Preprocessor, keras.Model]:
    spec = SavedModelLayer(folder).module_input
    if isinstance(spec, Mapping):
        raise ValueError(
            f"an encoder of tokens needs the module that makes them: hub:PREPROCESSOR{PAIR}ENCODER. "
            f"Received: {handle!r}, which takes {sorted(spec)}"
        )
    rank = spec.shape.rank
    if spec.dtype == tf.string and rank in (1, None):
        texts = keras.Input((), dtype="string", name="texts")
        features = SavedModelLayer(folder, output_key, name="module")(texts)
        return StringPreprocessor(requirements(folder)), keras.Model(texts, features, name="text_module")
    if spec.dtype == tf.float32 and rank == 1:
        return _audio(folder, output_key, sample_rate)
    size = _image_size(spec, handle)
    return ImagePreprocessor(size), saved_model_network(folder, size, output_key)


def _audio(
    folder: Path, output_key: str | int | None, sample_rate: int
) -> tuple[WavePreprocessor, keras.Model]:
    shortest = int(MIN_SECONDS * sample_rate)
    waves = keras.Input((None,), name="waves")
    lengths = keras.Input((), dtype="int32", name="lengths")
    layer = WaveformModuleLayer(os.fspath(folder), output_key, shortest, name="module")
    network = keras.Model([waves, lengths], layer([waves, lengths]), name="audio_module")
    return WavePreprocessor(sample_rate, min_samples=shortest), network


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
    """The side in pixels that an image module takes."""
    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    if spec.dtype != tf.float32 or len(shape) != 4 or shape[3] not in (3, None) or shape[1] != shape[2]:
        raise ValueError(
            "a module takes pictures, (n, height, width, 3) float32 with height = width, texts, (n,) string, "
            "tokens, a dictionary, or one waveform, (t,) float32, as TF-Hub's common signatures say. "
            f"Received: {handle!r}, which takes {spec.shape} {spec.dtype.name}"
        )
    return DEFAULT_SIZE if shape[1] is None else int(shape[1])


def resolve(handle: str) -> Path:
    """The local folder of a hub module, downloaded and cached by tensorflow_hub where needed.

    Raises:
        FileNotFoundError: If a folder is missing, or a module is not cached and may not be fetched.
        RuntimeError: If tensorflow_hub cannot resolve a URL.
    """
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
