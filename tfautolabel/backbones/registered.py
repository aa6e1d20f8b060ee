"""Finds the modules of the classes that saved backbones name.

A saved backbone names classes as Keras registers them ("tfautolabel>WavePreprocessor"). It never names their
modules, so a module can be moved. Keras knows a class only after an import of its module. This table says
which module to import.
"""

from __future__ import annotations

import importlib
from typing import Any

import keras

PACKAGE = "tfautolabel"
_BACKBONES = f"{PACKAGE}.backbones"
_PREPROCESSORS = f"{PACKAGE}.preprocessors"

HOMES: dict[str, str] = {
    "BandStatistics": f"{_BACKBONES}.plain.spectrum",
    "BucketCounts": f"{_BACKBONES}.plain.word_counts",
    "ByteLevelPreprocessor": f"{_PREPROCESSORS}.texts.byte_level",
    "ClipTextPreprocessor": f"{_PREPROCESSORS}.texts.clip_words",
    "ConvolutionalPosition": f"{_BACKBONES}.huggingface.wave_layers",
    "CoveredFrames": f"{_BACKBONES}.huggingface.whisper",
    "EncoderBlock": f"{_BACKBONES}.networks.bert",
    "FlooredLeakyReLU": f"{_BACKBONES}.packaged.speech_embedding",
    "FrameCounts": f"{_BACKBONES}.huggingface.wave_layers",
    "HashedWordsPreprocessor": f"{_BACKBONES}.plain.word_counts",
    "ImagePreprocessor": f"{_PREPROCESSORS}.pictures.image",
    "KerasHubSpectrogram": f"{_BACKBONES}.kerashub.audio",
    "KerasHubTextPreprocessor": f"{_BACKBONES}.kerashub.preprocessor",
    "LogMel": f"{_BACKBONES}.packaged.speech_embedding",
    "MeanOverClip": f"{_BACKBONES}.kerashub.audio",
    "MeanOverFrames": f"{_BACKBONES}.huggingface.transformer",
    "MeanVoice": f"{_BACKBONES}.packaged.resemblyzer",
    "NgramBranches": f"{_BACKBONES}.packaged.use_multilingual",
    "PatchEmbedding": f"{_BACKBONES}.huggingface.vit",
    "PoolOverTime": f"{_BACKBONES}.packaged.speech_embedding",
    "PoolTokens": f"{_BACKBONES}.huggingface.vit",
    "QuantisedEmbedding": f"{_BACKBONES}.packaged.use_multilingual",
    "RelativePositions": f"{_BACKBONES}.networks.bert",
    "RowAtEnd": f"{_BACKBONES}.huggingface.clip",
    "SentencePiecePreprocessor": f"{_PREPROCESSORS}.texts.sentencepiece",
    "SentenceSum": f"{_BACKBONES}.packaged.use_multilingual",
    "SilenceAround": f"{_BACKBONES}.packaged.speech_embedding",
    "StandardisedWave": f"{_BACKBONES}.huggingface.wave_layers",
    "StringPreprocessor": f"{_BACKBONES}.hub.preprocessor",
    "TextModulePreprocessor": f"{_BACKBONES}.hub.preprocessor",
    "TokenEmbedding": f"{_BACKBONES}.networks.bert",
    "TokenRows": f"{_BACKBONES}.huggingface.clip",
    "TokenPooling": f"{_BACKBONES}.networks.pooling",
    "TransformerBlock": f"{_BACKBONES}.huggingface.transformer",
    "UnitLength": f"{_BACKBONES}.networks.pooling",
    "VoiceWindows": f"{_BACKBONES}.packaged.resemblyzer",
    "WavePreprocessor": f"{_PREPROCESSORS}.sounds.wave",
    "WaveConvolution": f"{_BACKBONES}.huggingface.wave_layers",
    "WhisperLogMel": f"{_BACKBONES}.huggingface.whisper",
    "WhisperStem": f"{_BACKBONES}.huggingface.whisper",
    "WindowMean": f"{_PREPROCESSORS}.contract",
    "WordPiecePreprocessor": f"{_PREPROCESSORS}.texts.wordpiece",
}
"""Maps registered names without the package to the modules that define them."""


def registered_class(name: str) -> Any:
    """Returns a class by its registered name.

    Args:
        name: "tfautolabel>WavePreprocessor", or a path such as
            "tfautolabel.backbones.preprocessors.wave.WavePreprocessor". Versions before registered names
            wrote such paths. Only the last part of a path is used, so the class may have moved.

    Raises:
        ValueError: If the name is not in `HOMES`.
    """
    package, _, bare = name.rpartition(">" if ">" in name else ".")
    if package.partition(".")[0] != PACKAGE or bare not in HOMES:
        raise ValueError(f"a saved class is one of tfautolabel's own. Received: {name!r}")
    importlib.import_module(HOMES[bare])
    return keras.saving.get_registered_object(f"{PACKAGE}>{bare}")
