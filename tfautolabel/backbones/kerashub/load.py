"""Loads backbones from KerasHub presets, each with the preset's own preprocessing.

https://keras.io/keras_hub

A preset is a folder that `backbone.save_to_preset` wrote, or a name that keras_hub resolves to one.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras
from keras import layers

from tfautolabel._cache import offline
from tfautolabel._optional import require
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.backbones.kerashub.audio import KerasHubSpectrogram, MeanOverClip
from tfautolabel.backbones.kerashub.preprocessor import KEYS, KerasHubTextPreprocessor
from tfautolabel.preprocessors import ImagePreprocessor, Preprocessor
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

DEFAULT_SIZE = 224
"""The side in pixels if neither the preset's image converter nor its network gives one."""

POOLINGS = ("average", "cls")

CLASS_TOKENS = ("ViTBackbone", "DeiTBackbone", "DINOV2Backbone", "DINOV3Backbone")
"""Image families whose first token represents the picture. A network of theirs may be built without it."""

CONFIG = "config.json"


def load_kerashub(preset: str, pooling: str | None = None) -> Backbone:
    """Loads a backbone from a preset of keras_hub.

    - pictures: rescaled by the preset's image converter and average-pooled. A vision transformer gives its
      class token. The whole picture is stretched to the size, as for every other backbone;
    - texts: tokenized and packed by the preset's tokenizer. The features are the mean over a text's tokens;
    - sound: Whisper's encoder on the preset's spectrogram. The features are the mean over a clip's frames.

    Args:
        preset: a folder, the name of a preset ("bert_base_en"), or "kaggle://…" or "hf://…".
        pooling: for texts and vision transformers: "average", or "cls" for the first token. None for the
            defaults above.

    Returns:
        The backbone, frozen.

    Raises:
        ValueError: If there is no such preset, it does not fit any modality, or the pooling does not fit it.
        FileNotFoundError: If the preset is not cached and TFAUTOLABEL_OFFLINE forbids fetching.
        RuntimeError: If it cannot be fetched.
        MissingExtraError: If keras_hub is not installed.
    """
    if pooling not in (None, *POOLINGS):
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}. Received: pooling={pooling!r}")
    keras_hub = require("keras_hub", extra="kerashub")
    source = _source(keras_hub, preset)
    hub = _load(preset, keras_hub.models.Backbone.from_preset, source)
    preprocessor: Preprocessor
    if isinstance(hub, keras_hub.models.WhisperBackbone):
        converter = _load(preset, keras_hub.layers.AudioConverter.from_preset, source)
        preprocessor, network = _audio(hub, converter, preset, pooling)
    elif isinstance(hub.input, dict) and set(KEYS[:2]) <= set(hub.input) <= set(KEYS):
        layer = _load(preset, keras_hub.models.TextClassifierPreprocessor.from_preset, source)
        preprocessor, network = _text(hub, layer, pooling or "average")
    elif not isinstance(hub.input, dict) and len(hub.input.shape) == 4 and hub.input.shape[-1] == 3:
        converter = _load(preset, keras_hub.layers.ImageConverter.from_preset, source)
        preprocessor, network = _image(hub, converter, preset, pooling)
    else:
        raise ValueError(
            "a preset's backbone takes pictures, (n, height, width, 3), or tokens with a mask, as encoders "
            f"of texts do, or is Whisper. Received: kerashub:{preset}, a {type(hub).__name__}"
        )
    network.trainable = False
    return Backbone(f"kerashub:{preset}", preprocessor, network, _architecture(hub, network))


def _source(keras_hub: Any, preset: str) -> str:
    """Returns the source for keras_hub: an absolute folder, or a name that it knows and may download."""
    folder = Path(preset).expanduser()
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            content = sorted(path.name for path in folder.iterdir())[:10]
            raise ValueError(f"a preset's folder holds {CONFIG}. Received: {preset!r}, which holds {content}")
        return os.fspath(folder.absolute())
    known = keras_hub.models.Backbone.presets
    if preset not in known and not preset.startswith(("kaggle://", "hf://")):
        close = difflib.get_close_matches(preset, known, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(
            "kerashub: is followed by a preset's folder, its name (https://keras.io/keras_hub/presets), "
            f"kaggle://OWNER/MODEL/keras/VARIATION or hf://OWNER/NAME. Received: {preset!r}{hint}"
        )
    handle = known[preset]["kaggle_handle"] if preset in known else preset
    if offline() and not _is_cached(handle):
        raise FileNotFoundError(
            f"kerashub:{preset} is not in kagglehub's cache and TFAUTOLABEL_OFFLINE is set: load it once on "
            "a machine with a network, or give a folder that save_to_preset wrote"
        )
    return preset


def _is_cached(handle: str) -> bool:
    """Returns whether kagglehub has a preset's description. Without a version it would ask for the newest."""
    parts = handle.removeprefix("kaggle://").split("/")
    cache = Path(os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub")
    return len(parts) == 5 and cache.joinpath("models", *parts, CONFIG).is_file()


def _load(preset: str, load: Any, source: str) -> Any:
    """Loads one part of a preset. Turns keras_hub's various errors into a single sentence."""
    try:
        return load(source)
    except Exception as error:  # keras_hub, kagglehub, h5py and huggingface_hub raise classes of their own
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        if not Path(source).is_dir():
            raise RuntimeError(
                f"the preset could not be fetched or loaded ({type(error).__name__}: {reason}). "
                f"Received: 'kerashub:{preset}'"
            ) from error
        raise ValueError(
            f"the folder is no preset that can be loaded ({type(error).__name__}: {reason}); it holds "
            "what save_to_preset writes for a backbone and for its tokenizer or converter. "
            f"Received: 'kerashub:{preset}'"
        ) from error


def _image(
    hub: Any, converter: Any, preset: str, pooling: str | None
) -> tuple[ImagePreprocessor, keras.Model]:
    height, width = converter.image_size or hub.input.shape[1:3]
    if height != width or hub.input.shape[1] not in (None, height):
        raise ValueError(
            "a preset's pictures are squares of the size that its network takes. Received: "
            f"kerashub:{preset}, whose converter gives {converter.image_size} and whose "
            f"network takes {hub.input.shape[1:3]}"
        )
    size = DEFAULT_SIZE if height is None else int(height)
    pixels = keras.Input((size, size, 3), name="pixels")
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    output = hub(layers.Rescaling(scale, offset, name="rescale")(pixels))
    if isinstance(output, dict) or len(output.shape) not in (2, 3, 4):
        raise ValueError(
            "a preset's image backbone gives one map of features. Received: "
            f"kerashub:{preset}, a {type(hub).__name__}, which gives {output}"
        )
    if len(output.shape) == 3:
        has_token = type(hub).__name__ in CLASS_TOKENS and getattr(hub, "use_class_token", True)
        pooled = _pool_tokens(output, None, pooling or ("cls" if has_token else "average"))
    elif pooling == "cls":
        family = type(hub).__name__
        raise ValueError(f"pooling must be average: {family} has no tokens. Received: pooling='cls'")
    else:
        pooled = layers.GlobalAveragePooling2D(name="mean")(output) if len(output.shape) == 4 else output
    return ImagePreprocessor(size), keras.Model(pixels, pooled, name="kerashub_image")


def _text(hub: Any, layer: Any, pooling: str) -> tuple[KerasHubTextPreprocessor, keras.Model]:
    longest = getattr(hub, "max_sequence_length", None) or layer.sequence_length
    layer.sequence_length = min(layer.sequence_length, longest)
    preprocessor = KerasHubTextPreprocessor(layer)
    inputs = {key: keras.Input((None,), dtype="int32", name=key) for key in preprocessor.keys}
    output = hub({key: inputs[key] for key in hub.input})
    sequence = output["sequence_output"] if isinstance(output, dict) else output
    pooled = _pool_tokens(sequence, inputs["padding_mask"], pooling)
    return preprocessor, keras.Model(list(inputs.values()), pooled, name="kerashub_text")


def _pool_tokens(sequence: keras.KerasTensor, mask: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """Pools (n, t, d) to (n, d)."""
    if pooling == "cls":
        return sequence[:, 0]
    mask = None if mask is None else mask > 0
    return layers.GlobalAveragePooling1D(name="mean_over_tokens")(sequence, mask=mask)


def _audio(
    hub: Any, converter: Any, preset: str, pooling: str | None
) -> tuple[WavePreprocessor, keras.Model]:
    if pooling == "cls":
        raise ValueError("pooling must be average: a clip has no first token. Received: pooling='cls'")
    if hub.num_mels != converter.num_mels:
        raise ValueError(
            f"a preset's audio converter gives as many mels as its network takes, {hub.num_mels}. Received: "
            f"kerashub:{preset}, whose converter gives {converter.num_mels}"
        )
    waves = keras.Input((None,), name="waves")
    lengths = keras.Input((), dtype="int32", name="lengths")
    encoded = hub.output["encoder_sequence_output"]
    encoder = keras.Model(hub.input["encoder_features"], encoded, name="encoder")
    frames = encoder(KerasHubSpectrogram(converter, name="spectrogram")(waves))
    # The encoder's second convolution halves the frames.
    pooled = MeanOverClip(2 * converter.stride, name="mean_over_clip")([frames, lengths])
    preprocessor = WavePreprocessor(converter.sampling_rate, window_seconds=converter.max_audio_length)
    return preprocessor, keras.Model([waves, lengths], pooled, name="kerashub_audio")


def _architecture(hub: Any, network: keras.Model) -> str:
    """Returns class, settings and the layers around the backbone, without names, which decide nothing."""
    settings = {key: value for key, value in hub.get_config().items() if key not in ("name", "trainable")}
    around = [
        (type(operation).__name__, getattr(operation, "scale", None), getattr(operation, "offset", None))
        for operation in network.operations
        if operation is not hub
    ]
    described = json.dumps([settings, around], sort_keys=True, default=str)
    return f"keras_hub.{type(hub).__name__}:{hashlib.sha256(described.encode()).hexdigest()}"
