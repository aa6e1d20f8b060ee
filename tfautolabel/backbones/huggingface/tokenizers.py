"""Builds a preprocessor from a tokenizer's files. It gives the same token ids inside the graph.

https://github.com/huggingface/tokenizers writes tokenizer.json. If there are only files of older tokenizers
(vocab.txt; vocab.json and merges.txt; sentencepiece.bpe.model), its content is built from them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from tfautolabel.backbones.formats.sentencepiece_model import normalizer_of, normalizer_with, unigram_model
from tfautolabel.backbones.huggingface.checkpoint import Checkpoint
from tfautolabel.backbones.huggingface.old_tokenizers import described_by_old_files
from tfautolabel.preprocessors import Preprocessor
from tfautolabel.preprocessors.texts.byte_level import ByteLevelPreprocessor
from tfautolabel.preprocessors.texts.clip_words import ClipTextPreprocessor
from tfautolabel.preprocessors.texts.sentencepiece import SentencePiecePreprocessor
from tfautolabel.preprocessors.texts.spelled_out import SPACE
from tfautolabel.preprocessors.texts.wordpiece import WordPiecePreprocessor


def build_tokenizer(checkpoint: Checkpoint, max_length: int, long_text: str) -> Preprocessor:
    """Builds the preprocessor of a checkpoint for texts.

    Args:
        checkpoint: with tokenizer.json or the files of an older tokenizer.
        max_length: the most tokens of a text, special ones included.
        long_text: "truncate" or "average".

    Raises:
        ValueError: If the tokenizer's kind is unknown, or its files cannot be parsed.
        MissingExtraError: If TensorFlow Text is needed and not installed.
    """
    described = checkpoint.json("tokenizer.json") or described_by_old_files(checkpoint)
    settings = checkpoint.json("tokenizer_config.json") or {}
    try:
        return _build(described, settings, {"max_length": max_length, "long_text": long_text})
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            "tokenizer.json must be what the tokenizers library writes. Received: one in "
            f"{checkpoint.folder} that cannot be understood ({type(error).__name__}: {error})"
        ) from error


def _build(described: dict[str, Any], settings: dict[str, Any], lengths: dict[str, Any]) -> Preprocessor:
    kind = _kind(described["model"])
    if kind not in TOKENIZERS:
        raise ValueError(f"a tokenizer must be one of {', '.join(TOKENIZERS)}. Received: {kind!r}")
    single = [token["content"] for token in described.get("added_tokens") or [] if token.get("single_word")]
    if single:
        raise ValueError(f"added tokens may not be for single words only. Received: {single}")
    return TOKENIZERS[kind](described, settings, lengths)


def _kind(model: dict[str, Any]) -> str:
    """Returns the model's type. Older files do not state it."""
    if model.get("type"):
        return str(model["type"])
    if "merges" in model:
        return "BPE"
    return "Unigram" if isinstance(model["vocab"], list) else "WordPiece"


def _word_piece(described: dict[str, Any], settings: dict[str, Any], lengths: dict[str, Any]) -> Preprocessor:
    model, cleaning = described["model"], described.get("normalizer") or {}
    _expect("a WordPiece tokenizer's normalizer", cleaning.get("type"), "BertNormalizer")
    _expect("its pre-tokenizer", (described.get("pre_tokenizer") or {}).get("type"), "BertPreTokenizer")
    _expect("its prefix of pieces within a word", model.get("continuing_subword_prefix", "##"), "##")
    _expect("its clean_text", cleaning.get("clean_text", True), True)
    added = described.get("added_tokens") or []
    numbers = model["vocab"] | {token["content"]: token["id"] for token in added}
    begin, end = _marks(described)
    return WordPiecePreprocessor(
        _in_order(numbers),
        # transformers' own settings override the normalizer's, as in transformers itself.
        lowercase=bool(settings.get("do_lower_case", cleaning.get("lowercase", True))),
        strip_accents=settings.get("strip_accents", cleaning.get("strip_accents")),
        split_chinese=bool(
            settings.get("tokenize_chinese_chars", cleaning.get("handle_chinese_chars", True))
        ),
        begin=begin[0],
        end=end[0],
        unknown=model.get("unk_token", "[UNK]"),
        special=[token["content"] for token in added if not token.get("normalized")],
        folded_special=[token["content"] for token in added if token.get("normalized")],
        max_word=model.get("max_input_chars_per_word", 100),
        **lengths,
    )


_CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def _clip(described: dict[str, Any], lengths: dict[str, Any]) -> Preprocessor:
    """Builds CLIP's tokenizer: lower case, and pieces that end a word."""
    model, splitting, cleaning = described["model"], described["pre_tokenizer"], described["normalizer"]
    steps = [step["type"] for step in cleaning["normalizers"]]
    _expect("CLIP's normalizer", steps, ["NFC", "Replace", "Lowercase"])
    parts = splitting["pretokenizers"]
    _expect("its pre-tokenizer", [part["type"] for part in parts], ["Split", "ByteLevel"])
    _expect("its pattern", parts[0]["pattern"].get("Regex"), _CLIP_WORDS)
    _expect("its add_prefix_space", parts[1].get("add_prefix_space", False), False)
    _expect("its end_of_word_suffix", model["end_of_word_suffix"], "</w>")
    _expect("its continuing_subword_prefix", model.get("continuing_subword_prefix") or "", "")
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    begin, end = _marks(described)
    return ClipTextPreprocessor(
        model["vocab"], merges, begin=begin[1], end=end[1], special=_special(described), **lengths
    )


def _byte_level(described: dict[str, Any], settings: dict[str, Any], lengths: dict[str, Any]) -> Preprocessor:
    if described["model"].get("end_of_word_suffix"):
        return _clip(described, lengths)
    model, splitting = described["model"], described.get("pre_tokenizer") or {}
    _expect("a BPE tokenizer's pre-tokenizer", splitting.get("type"), "ByteLevel")
    _expect("its use_regex", splitting.get("use_regex", True), True)
    _expect("its normalizer", described.get("normalizer"), None)
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        _expect(f"its {name}", model.get(name) or "", "")
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    begin, end = _marks(described)
    return ByteLevelPreprocessor(
        model["vocab"],
        merges,
        begin=begin[1],
        end=end[1],
        special=_special(described),
        prefix_space=bool(settings.get("add_prefix_space", splitting.get("add_prefix_space", False))),
        whole_words=bool(model.get("ignore_merges", False)),
        **lengths,
    )


def _unigram(described: dict[str, Any], _settings: dict[str, Any], lengths: dict[str, Any]) -> Preprocessor:
    model = described["model"]
    _expect("a Unigram tokenizer's byte_fallback", model.get("byte_fallback", False), False)
    pieces, scores = zip(*model["vocab"], strict=True)
    begin, end = _marks(described)
    controls = {"bos": begin[1], "eos": end[1]}
    padding = next((number for number, piece in enumerate(pieces) if piece == "<pad>"), None)
    if padding is not None:
        controls["pad"] = padding
    normalizer = _normalizer(described)
    serialised = unigram_model(
        [piece.encode() for piece in pieces],
        scores,
        unknown=model["unk_id"],
        controls=controls,
        normalizer=normalizer,
    )
    return SentencePiecePreprocessor(
        serialised,
        begin=begin[1],
        end=end[1],
        unknown=model["unk_id"],
        special=_special(described),
        # SentencePiece's own tables turn all white space but U+0085 into spaces. Without a table, only U+0020
        # is a space.
        white_space=SPACE if normalizer == normalizer_with(b"") else r"\x{85}",
        **lengths,
    )


TOKENIZERS: dict[str, Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Preprocessor]] = {
    "WordPiece": _word_piece,
    "BPE": _byte_level,
    "Unigram": _unigram,
}
"""Builders by the type of the model in tokenizer.json."""


def _normalizer(described: dict[str, Any]) -> bytes:
    """Returns SentencePiece's specification of a normalizer, from the old model, else from tokenizer.json."""
    if "sentencepiece" in described:
        return normalizer_of(described["sentencepiece"])
    chain = described.get("normalizer") or {}
    steps = chain["normalizers"] if chain.get("type") == "Sequence" else [chain] if chain else []
    kinds = [step["type"] for step in steps]
    # The others only handle white space, and so does SentencePiece's own normalizer.
    if set(kinds) - {"Precompiled", "Replace", "Strip"} or kinds.count("Precompiled") > 1:
        raise ValueError(f"a Unigram tokenizer's normalizer must be Precompiled. Received: {kinds}")
    table = next((step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled"), "")
    return normalizer_with(base64.b64decode(table or ""))


def _special(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        token["content"]: {
            "id": token["id"],
            "lstrip": bool(token.get("lstrip")),
            "rstrip": bool(token.get("rstrip")),
        }
        for token in described.get("added_tokens") or []
    }


def _marks(described: dict[str, Any]) -> tuple[tuple[str, int], tuple[str, int]]:
    """Returns the tokens and ids that are added before and after a text."""
    processor = described.get("post_processor") or {}
    steps = processor["processors"] if processor.get("type") == "Sequence" else [processor]
    for step in steps:
        if step.get("type") in ("RobertaProcessing", "BertProcessing"):
            return tuple(step["cls"]), tuple(step["sep"])
        if step.get("type") == "TemplateProcessing":
            names = [part.get("SpecialToken", {}).get("id") for part in step["single"]]
            if len(names) == 3 and names[0] and names[2] and names[1] is None:
                known = step["special_tokens"]
                first, last = ((name, known[name]["ids"][0]) for name in (names[0], names[2]))
                return first, last
    raise ValueError(
        "a tokenizer's post-processor must put one token before and one behind a text. Received: "
        f"{[step.get('type') for step in steps]}"
    )


def _in_order(numbers: Mapping[str, int]) -> list[str]:
    """Returns the pieces in the order of their ids."""
    ordered = sorted(numbers, key=numbers.__getitem__)
    if [numbers[piece] for piece in ordered] != list(range(len(ordered))):
        raise ValueError(
            f"the ids of a vocabulary must be 0, 1, 2, …. Received: {len(ordered)} pieces with others"
        )
    return ordered


def _expect(what: str, received: object, wanted: object) -> None:
    if received != wanted:
        raise ValueError(f"{what} must be {wanted!r}. Received: {received!r}")
