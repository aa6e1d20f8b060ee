"""Loads a backbone by the name of a repository or folder."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import keras

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.backbones.huggingface.checkpoint import Checkpoint, read_checkpoint
from tfautolabel.backbones.huggingface.clip import build_clip, build_clip_texts
from tfautolabel.backbones.huggingface.download import find_folder
from tfautolabel.backbones.huggingface.text import build_text
from tfautolabel.backbones.huggingface.vit import build_vit
from tfautolabel.backbones.huggingface.wav2vec2 import build_wav2vec2
from tfautolabel.backbones.huggingface.whisper import build_whisper
from tfautolabel.preprocessors import Preprocessor

FAMILIES: dict[str, Callable[..., tuple[Preprocessor, keras.Model]]] = {
    "bert": build_text,
    "distilbert": build_text,
    "electra": build_text,
    "mpnet": build_text,
    "roberta": build_text,
    "xlm-roberta": build_text,
    "clip": build_clip,
    "deit": build_vit,
    "dinov2": build_vit,
    "vit": build_vit,
    "hubert": build_wav2vec2,
    "wav2vec2": build_wav2vec2,
    "whisper": build_whisper,
}
"""Maps the model_type in config.json to the builder of a `Checkpoint`'s preprocessor and network."""

TEXT_TOWERS: dict[str, Callable[..., tuple[Preprocessor, keras.Model]]] = {"clip": build_clip_texts}
"""Maps the model_type of checkpoints for pictures to the builder of their tower for texts."""


def load_hugging_face(reference: str, **options: Any) -> Backbone:
    """Loads a checkpoint in Hugging Face's format as a frozen backbone.

    Args:
        reference: the folder of a checkpoint, or a repository on the Hugging Face Hub as OWNER/NAME or
            OWNER/NAME@REVISION.
        **options: options of the family's builder. For texts: `long_text` ("truncate" or "average") and
            `pooling` ("mean", "cls" or "max"), see `build_text`. For pictures: `pooling` ("cls" or "mean")
            and `size`, see `build_vit`; CLIP has none. For sound: `layer` and `window_seconds`, see
            `build_wav2vec2` and `build_whisper`.

    Raises:
        ValueError: If the checkpoint's family is not in `FAMILIES`, it cannot be read, or an option is not
            valid.
        FileNotFoundError: If a file is missing, or the repository is not cached and may not be fetched.
        RuntimeError: If the repository cannot be fetched; the message says why.
        MissingExtraError: If a package that the checkpoint needs is not installed.
    """
    checkpoint = read_checkpoint(find_folder(reference))
    kind = checkpoint.config.get("model_type")
    if kind not in FAMILIES:
        raise ValueError(
            f"a checkpoint's model_type must be one of {', '.join(FAMILIES)}. Received: {kind!r} in "
            f"{reference}"
        )
    build = FAMILIES[kind]
    known = [name for name in inspect.signature(build).parameters if name != "checkpoint"]
    if "long_text" not in known and options.get("long_text") == "truncate":
        del options["long_text"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{kind} backbones have the options {', '.join(known)}. Received: {unknown}")
    preprocessor, network = build(checkpoint, **options)
    network.trainable = False
    backbone = Backbone(f"hf:{reference}", preprocessor, network, _architecture(kind, network))
    if kind in TEXT_TOWERS:
        backbone.text_tower = functools.cache(lambda: _text_tower(checkpoint, reference))
    return backbone


def _text_tower(checkpoint: Checkpoint, reference: str) -> Backbone:
    kind = checkpoint.config["model_type"]
    preprocessor, network = TEXT_TOWERS[kind](checkpoint)
    network.trainable = False
    return Backbone(f"hf:{reference} (texts)", preprocessor, network, _architecture(kind, network))


def _architecture(kind: str, network: keras.Model) -> str:
    """Returns the settings of all layers, which decide what the weights do."""
    settings = [
        [type(layer).__name__, {name: v for name, v in layer.get_config().items() if _is_setting(name, v)}]
        for layer in network.layers
    ]
    return f"hf:{kind} {json.dumps(settings, sort_keys=True)}"


def _is_setting(name: str, value: object) -> bool:
    return name not in ("name", "trainable", "dtype") and isinstance(value, (bool, int, float, str, list))
