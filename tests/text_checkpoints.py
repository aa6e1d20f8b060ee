"""Small Hugging Face checkpoints of text models with made-up weights, the same at every call.

Names and shapes are those that transformers writes; the vocabularies are written by hand, so that nothing
has to be trained.
"""

import json
from pathlib import Path

import numpy as np
from picture_and_sound_checkpoints import write_safetensors

WIDTH, HEADS, HIDDEN, DEPTH, POSITIONS = 32, 4, 48, 2, 40
EMBEDDING = 24
"""Width of the embeddings of the ELECTRA, which are projected."""

WORDS = [
    "the",
    "parcel",
    "late",
    "torn",
    "box",
    "good",
    "day",
    "Great",
    "was",
    "and",
    "don",
    "wor",
    "th",
    "penny",
]
ENDINGS = ["ing", "ed", "es", "able", "y"]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789äéßøı中日あкеر한"
PUNCTUATION = "!,.-'#[]()，。€"

SENTENCES = [
    "The parcel was late, and the box was torn.",
    "A good day!",
    "Great!!! Worth every penny :-)   don't  miss it\n\n now",
    "Café naïve façade Zürich 中文 and 日本あ한국",
    "the <s> parcel [SEP] was <mask> [MASK] late</s>",
    "🙂👍🏽 x\u00a0y\u3000z 1234 ½",
    "word " * 60,
    "a",
]
"""What the golden vectors are of."""

_BERT_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_MPNET_MARKS = ("<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>")
_ROBERTA_MARKS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def word_pieces(marks):
    """The pieces of a WordPiece vocabulary."""
    letters = [*LETTERS, *PUNCTUATION]
    inner = [f"##{part}" for part in [*LETTERS, *ENDINGS]]
    return list(dict.fromkeys([*marks, *letters, *inner, *WORDS]))


def word_piece_tokenizer(marks, begin, end, lowercase, strip_accents=None):
    """tokenizer.json of BERT's kind."""
    numbers = {piece: number for number, piece in enumerate(word_pieces(marks))}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(mark, numbers[mark], lstrip=mark == "<mask>") for mark in marks],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": strip_accents,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(begin, end, numbers),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": numbers,
        },
    }


def byte_pairs():
    """The vocabulary and the merges of a byte-level tokenizer: words grow letter by letter."""
    from tfautolabel.preprocessors.texts.byte_level import byte_alphabet

    alphabet = byte_alphabet()
    numbers = {piece: number for number, piece in enumerate([*_ROBERTA_MARKS[:4], *alphabet.values()])}
    merges = []
    for word in [*(f" {word}" for word in WORDS), *WORDS, *ENDINGS, "aaaa", "  ", "中", "🙂", "é"]:
        letters = [alphabet[byte] for byte in word.encode()]
        grown = letters[0]
        for letter in letters[1:]:
            if [grown, letter] not in merges:
                merges.append([grown, letter])
            grown += letter
            numbers.setdefault(grown, len(numbers))
    return numbers, merges


def byte_level_tokenizer(prefix_space=False):
    """tokenizer.json of RoBERTa's kind."""
    numbers, merges = byte_pairs()
    marks = [added(mark, numbers.get(mark, len(numbers)), lstrip=mark == "<mask>") for mark in _ROBERTA_MARKS]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": marks,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": prefix_space,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", 2],
            "cls": ["<s>", 0],
            "trim_offsets": True,
            "add_prefix_space": prefix_space,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": numbers,
            "merges": merges,
        },
    }


def unigram_pieces():
    """Pieces and scores of a SentencePiece vocabulary, without marks."""
    pieces = ["▁", *LETTERS, *PUNCTUATION, *ENDINGS, *(f"▁{word}" for word in WORDS), *WORDS]
    return [
        [piece, -3.0 - 0.01 * number - (2.0 if len(piece) == 1 else 0.0)]
        for number, piece in enumerate(dict.fromkeys(pieces))
    ]


def unigram_tokenizer(charsmap=None):
    """tokenizer.json of XLM-RoBERTa's kind; `charsmap` is its normalizer's table in base64."""
    own = [*([mark, 0.0] for mark in _ROBERTA_MARKS[:4]), *unigram_pieces(), ["<mask>", 0.0]]
    numbers = {piece: number for number, (piece, _) in enumerate(own)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(mark, numbers[mark], lstrip=mark == "<mask>") for mark in _ROBERTA_MARKS],
        "normalizer": charsmap and {"type": "Precompiled", "precompiled_charsmap": charsmap},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            ],
        },
        "post_processor": template("<s>", "</s>", numbers),
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": own, "byte_fallback": False},
    }


def added(content, number, lstrip=False):
    """An entry of added_tokens."""
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def template(begin, end, numbers):
    """A post_processor."""
    marks = {mark: {"id": mark, "ids": [numbers[mark]], "tokens": [mark]} for mark in (begin, end)}
    first, last = ({"SpecialToken": {"id": mark, "type_id": 0}} for mark in (begin, end))
    text, other = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [first, text, last],
        "pair": [first, text, last, last, other, last],
        "special_tokens": marks,
    }


def _tokenizer(kind):
    if kind in ("roberta", "xlm-roberta"):
        return byte_level_tokenizer() if kind == "roberta" else unigram_tokenizer()
    if kind == "mpnet":
        return word_piece_tokenizer(_MPNET_MARKS, "<s>", "</s>", lowercase=True)
    return word_piece_tokenizer(_BERT_MARKS, "[CLS]", "[SEP]", lowercase=kind != "bert-cased")


def _settings(kind):
    """tokenizer_config.json."""
    classes = {
        "roberta": "RobertaTokenizerFast",
        "xlm-roberta": "XLMRobertaTokenizerFast",
        "mpnet": "MPNetTokenizerFast",
        "distilbert": "DistilBertTokenizerFast",
        "electra": "ElectraTokenizerFast",
    }
    settings = {"tokenizer_class": classes.get(kind, "BertTokenizerFast"), "model_max_length": POSITIONS - 4}
    if kind not in ("roberta", "xlm-roberta"):
        settings |= {"do_lower_case": kind != "bert-cased"}
    marks = (
        ("<s>", "</s>", "<pad>", "<mask>")
        if kind in ("roberta", "xlm-roberta", "mpnet")
        else ("[CLS]", "[SEP]", "[PAD]", "[MASK]")
    )
    settings |= dict(zip(("cls_token", "sep_token", "pad_token", "mask_token"), marks, strict=True))
    return settings | {"unk_token": "<unk>" if "roberta" in kind else "[UNK]"}


CONFIGS = {
    "bert": {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0},
    "bert-cased": {"hidden_act": "gelu_new", "layer_norm_eps": 1e-6, "pad_token_id": 0},
    "electra": {
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "embedding_size": EMBEDDING,
        "pad_token_id": 0,
    },
    "roberta": {"hidden_act": "gelu", "layer_norm_eps": 1e-5, "pad_token_id": 1},
    "xlm-roberta": {"hidden_act": "relu", "layer_norm_eps": 1e-5, "pad_token_id": 1},
    "mpnet": {
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
        "relative_attention_num_buckets": 32,
    },
    "distilbert": {"activation": "gelu", "pad_token_id": 0},
}
"""What each kind of checkpoint says beside its sizes."""


def make_text_checkpoint(folder, kind, prefix=""):
    """Writes a checkpoint.

    Args:
        folder: made if it is not there.
        kind: one of `CONFIGS`.
        prefix: before the tensors' names.

    Returns:
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(kind)
    vocabulary = tokenizer["model"]["vocab"]
    size = max(len(vocabulary), 1 + max(token["id"] for token in tokenizer["added_tokens"]))
    config = {"model_type": kind.removesuffix("-cased"), "vocab_size": size, **CONFIGS[kind]}
    sizes = {
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "num_hidden_layers": DEPTH,
        "intermediate_size": HIDDEN,
        "type_vocab_size": 1 if "roberta" in kind else 2,
    }
    if kind == "distilbert":
        sizes = {"dim": WIDTH, "n_heads": HEADS, "n_layers": DEPTH, "hidden_dim": HIDDEN}
    config |= {**sizes, "max_position_embeddings": POSITIONS}
    write(folder, "config.json", config)
    write(folder, "tokenizer.json", tokenizer)
    write(folder, "tokenizer_config.json", _settings(kind))
    weights = {prefix + name: value for name, value in _weights(kind, size).items()}
    write_safetensors(folder / "model.safetensors", weights)
    return folder


def write(folder, name, content):
    """A JSON file."""
    path = Path(folder, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def add_sentence_modules(folder, poolings=("mean",), dense=None, unit=True, max_length=16):
    """Makes a checkpoint one of sentence-transformers.

    Args:
        folder: of the checkpoint.
        poolings: in the words of its older versions: "mean_tokens", "cls_token", …
        dense: numbers that a dense layer gives; none without it.
        unit: vectors have unit length.
        max_length: tokens of a text.
    """
    names = ["Transformer", "Pooling", *(["Dense"] if dense else []), *(["Normalize"] if unit else [])]
    modules = [
        {
            "idx": number,
            "name": str(number),
            "path": f"{number}_{name}" if number else "",
            "type": f"sentence_transformers.models.{name}",
        }
        for number, name in enumerate(names)
    ]
    write(folder, "modules.json", modules)
    write(folder, "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    flags = (
        "cls_token",
        "mean_tokens",
        "max_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken",
    )
    modes = {f"pooling_mode_{flag}": flag in poolings for flag in flags}
    write(folder, "1_Pooling/config.json", {"word_embedding_dimension": WIDTH, **modes})
    if unit:
        Path(folder, modules[-1]["path"]).mkdir(exist_ok=True)
    if dense:
        inputs = WIDTH * len(poolings)
        settings = {"in_features": inputs, "out_features": dense, "bias": True}
        activation = "torch.nn.modules.activation.Tanh"
        write(folder, "2_Dense/config.json", {**settings, "activation_function": activation})
        rng = np.random.default_rng(11)
        weight, bias = 0.2 * rng.normal(size=(dense, inputs)), rng.normal(size=dense)
        tensors = {"linear.weight": weight.astype("<f4"), "linear.bias": bias.astype("<f4")}
        write_safetensors(Path(folder, "2_Dense", "model.safetensors"), tensors)


def _weights(kind, vocabulary):
    rng = np.random.default_rng(5)
    found = {}

    def draw(name, *shape, scale=None, around=0.0):
        scale = 1.5 / np.sqrt(shape[-1]) if scale is None else scale
        found[name] = np.asarray(around + scale * rng.normal(size=shape), "<f4")

    def dense(name, inputs, outputs):
        draw(f"{name}.weight", outputs, inputs)
        draw(f"{name}.bias", outputs, scale=0.2)

    def norm(name, width=WIDTH):
        draw(f"{name}.weight", width, scale=0.2, around=1.0)
        draw(f"{name}.bias", width, scale=0.2)

    embedding = EMBEDDING if kind == "electra" else WIDTH
    draw("embeddings.word_embeddings.weight", vocabulary, embedding, scale=1.0)
    draw("embeddings.position_embeddings.weight", POSITIONS, embedding, scale=0.5)
    if kind not in ("distilbert", "mpnet"):
        draw("embeddings.token_type_embeddings.weight", 1 if "roberta" in kind else 2, embedding, scale=0.5)
    norm("embeddings.LayerNorm", embedding)
    if kind == "electra":
        dense("embeddings_project", EMBEDDING, WIDTH)
    if kind == "mpnet":
        draw("encoder.relative_attention_bias.weight", 32, HEADS, scale=1.0)
    names = {
        "distilbert": "attention.q_lin attention.k_lin attention.v_lin attention.out_lin sa_layer_norm "
        "ffn.lin1 ffn.lin2 output_layer_norm",
        "mpnet": "attention.attn.q attention.attn.k attention.attn.v attention.attn.o attention.LayerNorm "
        "intermediate.dense output.dense output.LayerNorm",
    }
    bert = (
        "attention.self.query attention.self.key attention.self.value attention.output.dense "
        "attention.output.LayerNorm intermediate.dense output.dense output.LayerNorm"
    )
    *qkvo, first_norm, expand, contract, last_norm = names.get(kind, bert).split()
    for index in range(DEPTH):
        place = f"{'transformer' if kind == 'distilbert' else 'encoder'}.layer.{index}."
        for name in qkvo:
            dense(place + name, WIDTH, WIDTH)
        norm(place + first_norm)
        dense(place + expand, WIDTH, HIDDEN)
        dense(place + contract, HIDDEN, WIDTH)
        norm(place + last_norm)
    return found
