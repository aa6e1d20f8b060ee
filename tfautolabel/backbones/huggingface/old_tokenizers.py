"""Builds the content of tokenizer.json from the files of older tokenizers."""

from __future__ import annotations

from typing import Any

from tfautolabel.backbones.formats.sentencepiece_model import read_pieces
from tfautolabel.backbones.huggingface.checkpoint import Checkpoint, read_json
from tfautolabel.preprocessors.texts.wordpiece import SPECIAL, read_vocabulary

_MARKS = ("<s>", "<pad>", "</s>", "<unk>")
"""The special tokens that fairseq (Ott et al. 2019, arXiv 1904.01038) puts first, in order of their ids."""


def described_by_old_files(checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns the content of a tokenizer.json.

    Raises:
        ValueError: If the folder has no tokenizer files, or they cannot be read.
    """
    folder = checkpoint.folder
    if (folder / "sentencepiece.bpe.model").is_file():
        return _sentence_piece((folder / "sentencepiece.bpe.model").read_bytes())
    if (folder / "vocab.txt").is_file():
        return _word_piece(checkpoint, read_vocabulary(folder / "vocab.txt"))
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        lines = (folder / "merges.txt").read_text("utf-8").split("\n")
        return _byte_level(checkpoint, read_json(folder / "vocab.json"), lines)
    raise ValueError(
        "a checkpoint for texts must hold tokenizer.json, vocab.txt, vocab.json with merges.txt, or "
        f"sentencepiece.bpe.model. Received: {sorted(path.name for path in folder.iterdir())[:20]}"
    )


def _word_piece(checkpoint: Checkpoint, vocabulary: list[str]) -> dict[str, Any]:
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    begin, end = _named(checkpoint, "cls_token", "[CLS]"), _named(checkpoint, "sep_token", "[SEP]")
    # The special tokens of BERT's own tokenizer, and the checkpoint's names for begin, end, padding and mask.
    special = {
        *SPECIAL,
        begin,
        end,
        *(_named(checkpoint, f"{name}_token", "[PAD]") for name in ("pad", "mask")),
    }
    return {
        "model": {
            "type": "WordPiece",
            "vocab": numbers,
            "unk_token": _named(checkpoint, "unk_token", "[UNK]"),
        },
        "normalizer": {"type": "BertNormalizer"},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _around(numbers, begin, end),
        "added_tokens": _added(numbers, sorted(special)),
    }


def _byte_level(checkpoint: Checkpoint, numbers: dict[str, int], lines: list[str]) -> dict[str, Any]:
    begin, end = _named(checkpoint, "cls_token", "<s>"), _named(checkpoint, "sep_token", "</s>")
    return {
        "model": {
            "type": "BPE",
            "vocab": numbers,
            # The first line is a comment.
            "merges": [line.rstrip("\r").split(" ") for line in lines[1:] if line.strip()],
        },
        "pre_tokenizer": {"type": "ByteLevel"},
        "post_processor": _around(numbers, begin, end),
        "added_tokens": _added(numbers, [*_MARKS, "<mask>"]),
    }


def _sentence_piece(model: bytes) -> dict[str, Any]:
    """Describes a SentencePiece model with fairseq's ids.

    The special tokens come first, then the model's other pieces, then the mask.
    """
    pieces = read_pieces(model)
    if [piece for piece, _ in pieces[:3]] != ["<unk>", "<s>", "</s>"]:
        raise ValueError(
            "sentencepiece.bpe.model must begin with <unk>, <s> and </s>. Received: "
            f"{[piece for piece, _ in pieces[:3]]}"
        )
    own = [*((mark, 0.0) for mark in _MARKS), *pieces[3:], ("<mask>", 0.0)]
    numbers = {piece: number for number, (piece, _) in enumerate(own)}
    return {
        "model": {"type": "Unigram", "vocab": own, "unk_id": numbers["<unk>"]},
        "sentencepiece": model,
        "post_processor": _around(numbers, "<s>", "</s>"),
        "added_tokens": _added(numbers, [*_MARKS, "<mask>"]),
    }


def _named(checkpoint: Checkpoint, name: str, default: str) -> str:
    """Returns a special token by its role."""
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        found = (checkpoint.json(file) or {}).get(name)
        if found is not None:
            return str(found["content"]) if isinstance(found, dict) else str(found)
    return default


def _around(numbers: dict[str, int], begin: str, end: str) -> dict[str, Any]:
    missing = [token for token in (begin, end) if token not in numbers]
    if missing:
        raise ValueError(f"a vocabulary must hold {begin} and {end}. Received: none of {missing}")
    return {"type": "BertProcessing", "cls": (begin, numbers[begin]), "sep": (end, numbers[end])}


def _added(numbers: dict[str, int], tokens: list[str]) -> list[dict[str, Any]]:
    return [
        {"content": token, "id": numbers[token], "lstrip": token == "<mask>"}
        for token in tokens
        if token in numbers
    ]
