"""A small CLIP checkpoint with made-up weights, the same at every call.

Names and shapes are those that transformers writes; the vocabulary is written by hand.
"""

import json
from pathlib import Path

from picture_and_sound_checkpoints import _PIXELS, HEADS, HIDDEN, _Weights, write_safetensors

WIDTH, TEXT_WIDTH, SHARED, POSITIONS, PATCH, SIDE, DEPTH = 32, 24, 16, 12, 6, 24, 2
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
WORDS = ["photo", "of", "cat", "dog", "the", "don", "'t", "!!", "é", "a"]

SENTENCES = [
    "A photo of a cat.",
    "the DOG, don't!!  PHOTO\n\tof 2024 cats",
    "Café naïve Zürich 中文 🙂 İx",
    "the <|endoftext|> cat",
    "word " * 30,
    "a",
]
"""What the golden vectors are of."""


def tokenizer():
    """tokenizer.json of CLIP's kind: words grow letter by letter, the last piece with the word's end."""
    from tfautolabel.preprocessors.texts.byte_level import byte_alphabet

    alphabet = byte_alphabet()
    pieces = [*alphabet.values(), *(f"{letter}</w>" for letter in alphabet.values())]
    merges = []
    for word in WORDS:
        letters = [alphabet[byte] for byte in word.encode()]
        letters[-1] += "</w>"
        grown = letters[0]
        for letter in letters[1:]:
            merges.append(f"{grown} {letter}")
            grown += letter
            pieces.append(grown)
    numbers = {piece: number for number, piece in enumerate([*dict.fromkeys(pieces), BEGIN, END])}
    special = [
        {"id": numbers[mark], "content": mark, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for mark in (BEGIN, END)
    ]  # fmt: skip
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Lowercase"},
            ],
        },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [END, numbers[END]],
            "cls": [BEGIN, numbers[BEGIN]],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": END,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": numbers,
            "merges": merges,
        },
    }


def _tower(weights, place, width, hidden):
    for index in range(DEPTH):
        layer = f"{place}encoder.layers.{index}."
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            weights.dense(f"{layer}self_attn.{part}", width, width)
        for number in "12":
            weights.norm(f"{layer}layer_norm{number}", width)
        weights.dense(f"{layer}mlp.fc1", width, hidden)
        weights.dense(f"{layer}mlp.fc2", hidden, width)


def write_clip(folder):
    """Writes the checkpoint into a folder; gives the folder."""
    folder, described, weights = Path(folder), tokenizer(), _Weights()
    folder.mkdir(parents=True, exist_ok=True)
    numbers = described["model"]["vocab"]
    weights.draw("text_model.embeddings.token_embedding.weight", len(numbers), TEXT_WIDTH, scale=1.0)
    weights.draw("text_model.embeddings.position_embedding.weight", POSITIONS, TEXT_WIDTH, scale=0.5)
    _tower(weights, "text_model.", TEXT_WIDTH, HIDDEN)
    weights.norm("text_model.final_layer_norm", TEXT_WIDTH)
    weights.draw("vision_model.embeddings.class_embedding", WIDTH, scale=0.5)
    weights.convolution("vision_model.embeddings.patch_embedding", WIDTH, 3, PATCH, PATCH, bias=False)
    positions = (SIDE // PATCH) ** 2 + 1
    weights.draw("vision_model.embeddings.position_embedding.weight", positions, WIDTH, scale=0.5)
    weights.norm("vision_model.pre_layrnorm")
    _tower(weights, "vision_model.", WIDTH, HIDDEN)
    weights.norm("vision_model.post_layernorm")
    weights.dense("visual_projection", WIDTH, SHARED, bias=False)
    weights.dense("text_projection", TEXT_WIDTH, SHARED, bias=False)
    weights.draw("logit_scale", scale=1.0)
    common = {"num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "intermediate_size": HIDDEN}
    text = {
        "hidden_size": TEXT_WIDTH, "vocab_size": len(numbers), "max_position_embeddings": POSITIONS,
        "bos_token_id": numbers[BEGIN], "eos_token_id": numbers[END],
    }  # fmt: skip
    config = {
        "model_type": "clip",
        "projection_dim": SHARED,
        "text_config": common | text,
        "vision_config": common | {"hidden_size": WIDTH, "image_size": SIDE, "patch_size": PATCH},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(_PIXELS))
    (folder / "tokenizer.json").write_text(json.dumps(described))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    write_safetensors(folder / "model.safetensors", weights)
    return folder
