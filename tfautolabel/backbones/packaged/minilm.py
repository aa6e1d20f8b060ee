"""Builds all-MiniLM-L6-v2 (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2)."""

from __future__ import annotations

from pathlib import Path

import keras

from tfautolabel.backbones.formats.safetensors import read_safetensors
from tfautolabel.backbones.networks.bert import build_bert
from tfautolabel.preprocessors.texts.wordpiece import WordPiecePreprocessor, read_vocabulary

MAX_LENGTH = 256
"""The most tokens of a text, as in the model's own settings."""


def build_minilm(
    weights: Path, vocabulary: Path, long_text: str = "truncate"
) -> tuple[WordPiecePreprocessor, keras.Model]:
    """Builds the tokenizer, and the network from token ids to unit vectors of 384 numbers.

    Args:
        weights: model.safetensors.
        vocabulary: vocab.txt.
        long_text: "truncate" or "average", what to do with texts of more than 256 tokens.
    """
    preprocessor = WordPiecePreprocessor(read_vocabulary(vocabulary), MAX_LENGTH, long_text)
    network = build_bert(
        read_safetensors(weights), heads=12, epsilon=1e-12, name="minilm_l6", positions=MAX_LENGTH
    )
    return preprocessor, network
