"""Builds BERT and similar models from a checkpoint: a tokenizer, and an encoder with one vector per text.

BERT (Devlin et al. 2019, arXiv 1810.04805), RoBERTa (Liu et al. 2019, arXiv 1907.11692), XLM-RoBERTa (Conneau
et al. 2020, arXiv 1911.02116), DistilBERT (Sanh et al. 2019, arXiv 1910.01108), ELECTRA (Clark et al. 2020,
arXiv 2003.10555), MPNet (Song et al. 2020, arXiv 2004.09297).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfautolabel.backbones.huggingface.checkpoint import Checkpoint
from tfautolabel.backbones.huggingface.sentence_modules import add_modules, encoder_settings, read_modules
from tfautolabel.backbones.huggingface.tokenizers import build_tokenizer
from tfautolabel.backbones.networks.bert import BERT_NAMES, BlockNames, build_encoder
from tfautolabel.backbones.networks.pooling import TokenPooling
from tfautolabel.preprocessors import Preprocessor

POOLINGS = ("mean", "cls", "max")
"""Valid values of the option `pooling`."""

_WORDS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class TextFamily:
    """The differences between one family's checkpoints and BERT's.

    Attributes:
        names: names of a block's parts.
        heads: the key of config.json for the number of attention heads. `activation` is also a key.
        epsilon: epsilon of the layer norms, if config.json does not give it.
        padded_positions: whether the first token has the position after the padding's.
    """

    names: BlockNames = BERT_NAMES
    heads: str = "num_attention_heads"
    activation: str = "hidden_act"
    epsilon: float = 1e-12
    padded_positions: bool = False


TEXT_FAMILIES = {
    "bert": TextFamily(),
    "distilbert": TextFamily(
        BlockNames(
            "transformer.layer.",
            ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
            "attention.out_lin",
            "sa_layer_norm",
            "ffn.lin1",
            "ffn.lin2",
            "output_layer_norm",
        ),
        heads="n_heads",
        activation="activation",
    ),
    "electra": TextFamily(),
    "mpnet": TextFamily(
        BlockNames(
            qkv=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
            out="attention.attn.o",
            attention_norm="attention.LayerNorm",
        ),
        padded_positions=True,
    ),
    "roberta": TextFamily(padded_positions=True),
    "xlm-roberta": TextFamily(padded_positions=True),
}
"""By model_type."""


def build_text(
    checkpoint: Checkpoint, *, long_text: str = "truncate", pooling: str | None = None
) -> tuple[Preprocessor, keras.Model]:
    """Builds the tokenizer, and the network from token ids to vectors.

    Args:
        checkpoint: a checkpoint with a model_type in `TEXT_FAMILIES`, and with tokenizer.json or the files of
            an older tokenizer.
        long_text: "truncate" or "average": what to do with texts that have more tokens than the network
            takes. The limit comes from the settings of sentence-transformers or of the tokenizer. It is at
            most the number of positions.
        pooling: "mean" over the tokens, special ones included; "cls", the first token's row; or "max". By
            default, a folder of sentence-transformers keeps its own pooling and the modules after it. Any
            other folder uses the mean.

    Returns:
        A preprocessor for texts, and a functional model from (w, l) int32 to (w, d) float32.

    Raises:
        ValueError: If a tensor or setting is missing or an option is not valid.
        MissingExtraError: If the tokenizer needs TensorFlow Text and it is not installed.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}. Received: pooling={pooling!r}")
    config, family = checkpoint.config, TEXT_FAMILIES[checkpoint.config["model_type"]]
    kind = config.get("position_embedding_type") or "absolute"
    if kind != "absolute" or config.get("is_decoder"):
        raise ValueError(
            "an encoder must have absolute positions and see the whole text. Received: "
            f"position_embedding_type={kind!r}, is_decoder={config.get('is_decoder', False)!r}"
        )
    weights = _own_tensors(checkpoint.tensors)
    first = (config.get("pad_token_id") or 0) + 1 if family.padded_positions else 0
    if family.padded_positions and config.get("pad_token_id") is None:
        first = 2
    known = len(weights["embeddings.position_embeddings.weight"]) - first
    length = _max_length(checkpoint, known)
    tokens, rows = build_encoder(
        weights,
        heads=_setting(config, family.heads),
        epsilon=config.get("layer_norm_eps", family.epsilon),
        positions=length,
        first_position=first,
        activation=config.get(family.activation, "gelu"),
        names=family.names,
    )
    modules = read_modules(checkpoint)
    if modules and pooling is None:
        vectors = add_modules(checkpoint, modules, rows, tokens)
    else:
        vectors = TokenPooling([pooling or "mean"], name="pool")(rows, tokens)
    name = config["model_type"].replace("-", "_")
    return build_tokenizer(checkpoint, length, long_text), keras.Model(tokens, vectors, name=name)


def _own_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the encoder's tensors without the prefix that a model with a head has."""
    found = min((name for name in tensors if name.endswith(_WORDS)), key=len, default=None)
    if found is None:
        raise ValueError(f"the checkpoint must hold a tensor {_WORDS!r}. Received: {sorted(tensors)[:5]} …")
    prefix = found.removesuffix(_WORDS)
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if "embeddings.position_embeddings.weight" not in own:
        raise ValueError(
            f"the checkpoint must hold a tensor '{prefix}embeddings.position_embeddings.weight'. Received: "
            "none of that name"
        )
    return own


def _max_length(checkpoint: Checkpoint, positions: int) -> int:
    """Returns the most tokens of a text. A tokenizer without a limit states a very large number."""
    said = encoder_settings(checkpoint).get("max_seq_length")
    if said is None:
        said = (checkpoint.json("tokenizer_config.json") or {}).get("model_max_length")
    length = positions if said is None else int(min(said, positions))
    if length < 3:
        raise ValueError(f"a text must have room for 3 tokens at least. Received: a limit of {length}")
    return length


def _setting(config: Mapping[str, Any], name: str) -> Any:
    if config.get(name) is None:
        raise ValueError(f"config.json must say {name!r}. Received: {sorted(config)}")
    return config[name]
