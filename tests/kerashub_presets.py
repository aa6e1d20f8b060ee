"""Writes small, untrained presets as keras_hub's `save_to_preset` does."""

from pathlib import Path

import numpy as np

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS += ["a", "good", "great", "bad", "poor", "film", "the", "##s"]
LENGTH = 12
"""Tokens that the text networks take."""


def _random(model):
    """Other weights than most initializers give, so that every part of a network shows; always the same."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        scale = 0.1 if "variance" in weight.path else 0.3
        value = rng.normal(0, scale, weight.shape).astype("float32")
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
    return model


def _encoder(name):
    import keras_hub

    options = {
        "num_layers": 1,
        "num_heads": 2,
        "hidden_dim": 8,
        "intermediate_dim": 16,
        "max_sequence_length": LENGTH,
    }
    return lambda size: getattr(keras_hub.models, name)(vocabulary_size=size, **options)


def make_preset(kind: str, folder: Path) -> Path:
    """Saves one.

    Args:
        kind: "resnet", "vit", "bert", "distilbert", "roberta", "xlm-roberta" or "whisper".
        folder: where to write.
    """
    return {"resnet": _resnet, "vit": _vit, "whisper": _whisper}.get(kind, _text)(folder, kind)


def _save(folder, *parts):
    for part in parts:
        part.save_to_preset(str(folder))
    return folder


def _resnet(folder, _kind):
    import keras_hub

    network = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(32, 32), scale=[0.017, 0.018, 0.016], offset=[-2.1, -2.0, -1.8]
    )
    return _save(folder, _random(network), converter)


def _vit(folder, _kind):
    import keras_hub

    network = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16
    )
    converter = keras_hub.layers.ViTImageConverter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0)
    return _save(folder, _random(network), converter)


def _text(folder, kind):
    import keras_hub

    if kind == "bert":
        tokenizer = keras_hub.models.BertTokenizer(vocabulary=WORDS, lowercase=True)
        network = _encoder("BertBackbone")(len(WORDS))
    elif kind == "distilbert":
        tokenizer = keras_hub.models.DistilBertTokenizer(vocabulary=WORDS, lowercase=True)
        network = _encoder("DistilBertBackbone")(len(WORDS))
    elif kind == "roberta":
        letters = map(chr, range(33, 127))
        vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *letters, "Ġ", "oo", "Ġg", "Ġgoo", "Ġgood", "<mask>"]
        merges = ["o o", "Ġ g", "Ġg oo", "Ġgoo d"]
        tokenizer = keras_hub.models.RobertaTokenizer(
            vocabulary={word: place for place, word in enumerate(vocabulary)}, merges=merges
        )
        network = _encoder("RobertaBackbone")(len(vocabulary))
    else:
        tokenizer = keras_hub.models.XLMRobertaTokenizer(proto=_sentencepiece())
        network = _encoder("XLMRobertaBackbone")(tokenizer.vocabulary_size())
    return _save(folder, _random(network), tokenizer)


def _sentencepiece():
    import io

    import sentencepiece

    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a good film", "the bad film", "great films"]),
        model_writer=stream,
        vocab_size=12,
        model_type="WORD",
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        pad_piece="<pad>",
        unk_piece="<unk>",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        hard_vocab_limit=False,
    )
    return stream.getvalue()


def _whisper(folder, _kind):
    import keras_hub

    network = keras_hub.models.WhisperBackbone(
        vocabulary_size=20,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_encoder_sequence_length=200,
    )
    return _save(folder, _random(network), keras_hub.layers.WhisperAudioConverter(max_audio_length=2))
