"""Builds multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672) from 4-bit weights.

The file holds sizes, a unigram vocabulary, a table of character replacements and tensors. Large tensors are
stored in blocks of 32 weights. A block is a float16 scale and 16 bytes: byte j holds weight j in its low half
and weight j + 16 in its high half. A weight is (half - 8) times the scale.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel.backbones.formats.sentencepiece_model import normalizer_of, unigram_model
from tfautolabel.backbones.networks.bert import build_bert
from tfautolabel.preprocessors.texts.sentencepiece import SentencePiecePreprocessor

PREFIX = "query: "
"""Put before each text to classify or compare, as in training."""

MAX_LENGTH = 512
_MAGIC = b"E5S1"
_LAYER_NAMES = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "attention.output.LayerNorm": "aln",
    "output.LayerNorm": "oln",
}
"""Maps names in a Hugging Face checkpoint to names in this file."""


class E5File:
    """The content of the file.

    Args:
        data: its bytes.

    Attributes:
        depth: number of layers.
        heads: number of attention heads.
        epsilon: epsilon of the layer norms.
        pieces: the vocabulary, UTF-8.
        scores: (n,) float32 log-probabilities of the pieces.
        begin: id of the begin token. `end`, `padding` and `unknown` are ids too.

    Raises:
        ValueError: If it is a different file or is truncated.
    """

    def __init__(self, data: bytes) -> None:
        if not data.startswith(_MAGIC):
            raise ValueError("the weights of e5-small begin with E5S1. Received: another file")
        self._data, self._place = data, 8
        try:
            self._read_all()
        except (struct.error, ValueError) as error:
            raise ValueError(f"the weights of e5-small are cut off ({error})") from error

    def _read_all(self) -> None:
        self.width, self.depth, self.heads, self.hidden, _, _, _ = self._read("<7i")
        self.epsilon, self._block = self._read("<fi")
        count, self.begin, self.end, self.padding, self.unknown = self._read("<5i")
        (text_bytes,) = self._read("<Q")
        offsets = self._array("<u4", count + 1)
        self.scores = self._array("<f4", count)
        text = self._array("u1", text_bytes).tobytes()
        self.pieces = [text[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
        _, rule_bytes = self._read("<iI")
        self._place += rule_bytes  # replacements of characters, which the normalizer knows too
        self._tensors: dict[str, tuple[int, int, int]] = {}
        (tensors,) = self._read("<i")
        for _ in range(tensors):
            (length,) = self._read("<H")
            name = self._array("u1", length).tobytes().decode()
            _, number, offset, size = self._read("<BIQQ")
            self._tensors[name] = number, offset, size

    def _read(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(form, self._data, self._place)
        self._place += struct.calcsize(form)
        return values

    def _array(self, dtype: str, count: int) -> np.ndarray:
        array = np.frombuffer(self._data, dtype, count, self._place)
        self._place += array.nbytes
        return array

    def _tensor(self, name: str) -> np.ndarray:
        """Returns a tensor's numbers as (n,) float32."""
        number, offset, size = self._tensors[name]
        raw = np.frombuffer(self._data, np.uint8, size, offset)
        if size == 4 * number:
            return raw.view("<f4").copy()
        blocks = raw.reshape(-1, 2 + self._block // 2)
        scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
        packed = blocks[:, 2:]
        # In place, because the table of embeddings is large.
        values = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
        values -= 8
        values *= scale
        return values.reshape(-1)[:number]

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the tensors under the names of a Hugging Face BERT checkpoint."""
        found = {
            "embeddings.word_embeddings.weight": self._tensor("emb.word").reshape(-1, self.width),
            "embeddings.position_embeddings.weight": self._tensor("emb.pos").reshape(-1, self.width),
            "embeddings.token_type_embeddings.weight": self._tensor("emb.type").reshape(-1, self.width),
            "embeddings.LayerNorm.weight": self._tensor("emb.ln.w"),
            "embeddings.LayerNorm.bias": self._tensor("emb.ln.b"),
        }
        for layer in range(self.depth):
            for long, short in _LAYER_NAMES.items():
                bias, weight = (self._tensor(f"l{layer}.{short}.{kind}") for kind in "bw")
                is_norm = long.endswith("LayerNorm")
                found[f"encoder.layer.{layer}.{long}.bias"] = bias
                found[f"encoder.layer.{layer}.{long}.weight"] = (
                    weight if is_norm else weight.reshape(len(bias), -1)
                )
        return found

    def sentencepiece(self, normalizer: bytes) -> bytes:
        """Returns the vocabulary as a SentencePiece model."""
        return unigram_model(
            self.pieces,
            self.scores.tolist(),
            unknown=self.unknown,
            controls={"bos": self.begin, "eos": self.end, "pad": self.padding},
            normalizer=normalizer,
        )


def build_e5(
    weights: Path, normalizer_model: Path, long_text: str = "truncate"
) -> tuple[SentencePiecePreprocessor, keras.Model]:
    """Builds the tokenizer, and the network from token ids to unit vectors of 384 numbers.

    Args:
        weights: e5-small-q4.bin.
        normalizer_model: any SentencePiece model with the same normalisation (nmt_nfkc).
        long_text: "truncate" or "average", what to do with texts of more than 512 tokens.

    Raises:
        MissingExtraError: If TensorFlow Text is not installed.
    """
    file = E5File(weights.read_bytes())
    preprocessor = SentencePiecePreprocessor(
        file.sentencepiece(normalizer_of(normalizer_model.read_bytes())),
        begin=file.begin,
        end=file.end,
        unknown=file.unknown,
        prefix=PREFIX,
        max_length=MAX_LENGTH,
        long_text=long_text,
    )
    network = build_bert(
        file.weights(), heads=file.heads, epsilon=file.epsilon, name="e5_small", positions=MAX_LENGTH
    )
    return preprocessor, network
