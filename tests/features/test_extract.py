import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from pictures import encode, image

from tfautolabel.backbones.backbone import Backbone, run_network
from tfautolabel.data import Dataset, Learnt, load_dataset
from tfautolabel.features import cache as cache_module
from tfautolabel.features import extract as module
from tfautolabel.features import extract_features
from tfautolabel.features.backbone_graphs import BackboneGraphs
from tfautolabel.features.batches import Example
from tfautolabel.features.prepared import Computed
from tfautolabel.preprocessors import ImagePreprocessor

FILES = [encode(image(seed=seed), ("PNG", "JPEG", "BMP", "GIF", "WEBP")[seed % 5]) for seed in range(23)]


def tiny_backbone(size=32, max_pixels=10**6):
    pixels = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 255)(pixels)
    kernel = keras.initializers.GlorotUniform(seed=0)
    x = keras.layers.Conv2D(16, 5, strides=4, kernel_initializer=kernel)(x)
    network = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x))
    return Backbone("tiny", ImagePreprocessor(size, max_pixels), network, "tiny")


@pytest.fixture(scope="module")
def backbone():
    """One for all tests that do not change it, because its graphs take seconds to make."""
    return tiny_backbone()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def expected_features(backbone, encoded):
    ready = backbone.preprocessor(tf.constant(encoded))
    assert ready.readable.numpy().all()
    return run_network(backbone.network, ready.inputs).numpy()


def check(extraction, features, computed, reused):
    np.testing.assert_allclose(extraction.features, features, atol=1e-5)
    assert (extraction.computed, extraction.reused) == (computed, reused)
    assert extraction.features.dtype == np.float32
    assert extraction.rows.dtype == np.int64


def test_features_are_those_of_the_network(backbone):
    extraction = extract_features(Dataset.from_inputs(FILES), backbone)
    check(extraction, expected_features(backbone, FILES), 23, 0)
    assert extraction.rows.tolist() == list(range(23))
    assert extraction.unreadable == ()
    assert np.ptp(extraction.features, axis=0).max() > 1e-3, "rows must differ for this test to mean anything"


@pytest.mark.parametrize("batch_size", [1, 7, 23, 100])
def test_batch_size_does_not_matter(backbone, batch_size):
    extraction = extract_features(Dataset.from_inputs(FILES), backbone, batch_size=batch_size)
    check(extraction, expected_features(backbone, FILES), 23, 0)


def test_second_run_computes_nothing(backbone, monkeypatch):
    first = extract_features(Dataset.from_inputs(FILES), backbone)
    monkeypatch.setattr(BackboneGraphs, "_make", None)
    again = extract_features(Dataset.from_inputs(FILES[::-1]), backbone)
    check(again, first.features[::-1], 0, 23)


def test_without_cache(backbone, cache_folder):
    dataset = Dataset.from_inputs(FILES[:3])
    for _ in range(2):
        assert extract_features(dataset, backbone, use_cache=False).computed == 3
    assert not cache_folder.exists()


def test_cache_dir_is_obeyed(backbone, cache_folder, tmp_path):
    extract_features(Dataset.from_inputs(FILES[:3]), backbone, cache_dir=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [backbone.fingerprint]
    assert not cache_folder.exists()


def test_renamed_moved_and_duplicate_files_cost_nothing(backbone, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for row, encoded in enumerate(FILES[:4]):
        (folder / f"{row}.img.png").write_bytes(encoded)
    first = extract_features(load_dataset(folder), backbone)
    assert (first.computed, first.reused) == (4, 0)
    (folder / "0.img.png").rename(folder / "deep" / "renamed.jpg")
    (folder / "1.img.png").rename(folder / "zzz.png")
    (folder / "copy.png").write_bytes(FILES[2])
    dataset = load_dataset(folder)
    again = extract_features(dataset, backbone)
    check(again, expected_features(backbone, dataset.read(range(5))), 0, 5)


def test_copies_in_one_run_are_computed_once(backbone):
    order = [0, 1, 0, 2, 1, 0, 0]
    encoded = [FILES[row] for row in order]
    extraction = extract_features(Dataset.from_inputs(encoded), backbone, batch_size=2, use_cache=False)
    check(extraction, expected_features(backbone, encoded), 3, 4)


def test_broken_files_and_their_copies_are_set_aside(backbone, tmp_path):
    broken = FILES[0][:200]
    contents = {
        "a": FILES[0],
        "b": broken,
        "c": b"",
        "d": FILES[1],
        "e": broken,
        "f": b"some text",
        "g": FILES[0],
    }
    dataset = Dataset.from_inputs(list(contents.values()), ids=list(contents))
    for computed in (2, 0):
        extraction = extract_features(dataset, backbone, batch_size=3)
        check(
            extraction,
            expected_features(backbone, [FILES[0], FILES[1], FILES[0]]),
            computed,
            3 - computed,
        )
        assert extraction.rows.tolist() == [0, 3, 6]
        assert [one.id for one in extraction.unreadable] == ["b", "c", "e", "f"]
        assert extraction.unreadable[0].reason == extraction.unreadable[2].reason == "truncated PNG"
        assert extraction.unreadable[1].reason == "empty file"


def test_contents_are_those_that_learnt_examples_are_known_by(backbone, tmp_path):
    for name, content in {"a.png": FILES[0], "b.png": b"no picture", "c.png": FILES[0]}.items():
        (tmp_path / name).write_bytes(content)
    dataset = load_dataset(tmp_path, None, modality="image", exclude=[tmp_path / "cache"])
    found = extract_features(dataset, backbone, progress=False)
    assert len(found.rows) == 2
    assert found.contents[0] == found.contents[2] != found.contents[1]
    assert Learnt.of(dataset, found.contents) == Learnt.of(dataset)


def test_files_that_vanish_are_set_aside(backbone, tmp_path):
    for row in range(4):
        (tmp_path / f"{row}.png").write_bytes(FILES[row])
    dataset = load_dataset(tmp_path)
    (tmp_path / "1.png").unlink()
    extraction = extract_features(dataset, backbone)
    assert extraction.rows.tolist() == [0, 2, 3]
    assert [one.id for one in extraction.unreadable] == ["1.png"]
    assert extraction.unreadable[0].reason


def test_nothing_readable_and_nothing_at_all(backbone):
    for inputs, unreadable in (([b"?", b"!"], 2), ([], 0)):
        extraction = extract_features(Dataset.from_inputs(inputs), backbone)
        assert (extraction.features.shape, extraction.rows.shape) == ((0, 16), (0,))
        assert (len(extraction.unreadable), extraction.computed, extraction.reused) == (unreadable, 0, 0)


def test_pixel_limit_of_the_preprocessor_holds():
    extraction = extract_features(Dataset.from_inputs([FILES[0]]), tiny_backbone(max_pixels=1000))
    assert "at most 1,000 are decoded" in extraction.unreadable[0].reason


def interrupt_after(monkeypatch, backbone, calls):
    graphs = module.FeatureExtractor(backbone, use_cache=False)._graphs
    real = graphs.network
    done = []

    def network(pixels):
        if len(done) == calls:
            raise KeyboardInterrupt
        done.append(len(pixels))
        return real(pixels)

    stand_in = types.SimpleNamespace(preprocess=graphs.preprocess, network=network, outside=None)
    monkeypatch.setattr(module, "graphs_of", lambda *_: stand_in)


def test_interrupted_run_keeps_what_it_has(backbone, monkeypatch):
    dataset = Dataset.from_inputs(FILES)
    with monkeypatch.context() as patch:
        interrupt_after(patch, backbone, 2)
        with pytest.raises(KeyboardInterrupt):
            extract_features(dataset, backbone, batch_size=5)
    check(extract_features(dataset, backbone, batch_size=5), expected_features(backbone, FILES), 13, 10)


def test_changed_weights_are_noticed():
    backbone = tiny_backbone()
    dataset = Dataset.from_inputs(FILES[:3])
    before = extract_features(dataset, backbone)
    weight = backbone.network.weights[0]
    weight.assign(weight * 2.0 + 0.1)
    after = extract_features(dataset, backbone)
    check(after, expected_features(backbone, FILES[:3]), 3, 0)
    assert not np.allclose(before.features, after.features, atol=1e-4)


def test_size_of_the_pictures_is_part_of_the_key():
    assert tiny_backbone(32).fingerprint != tiny_backbone(48).fingerprint
    assert tiny_backbone(32).fingerprint == tiny_backbone(32).fingerprint


def test_damaged_cache_is_redone(backbone, cache_folder):
    dataset = Dataset.from_inputs(FILES)
    extract_features(dataset, backbone)
    (rows_file,) = cache_folder.rglob("*.rows.npy")
    damaged = bytearray(rows_file.read_bytes())
    damaged[-5] ^= 1
    rows_file.write_bytes(bytes(damaged))
    expected = expected_features(backbone, FILES)
    check(extract_features(dataset, backbone), expected, 1, 22)
    check(extract_features(dataset, backbone), expected, 0, 23)


@pytest.mark.parametrize("rows_in_a_shard", [2, 1000])
def test_cache_that_cannot_be_written(backbone, monkeypatch, rows_in_a_shard):
    def refuse(*_):
        raise PermissionError("read-only file system")

    monkeypatch.setattr(cache_module, "SHARD_ROWS", rows_in_a_shard)
    monkeypatch.setattr(cache_module, "atomic_write", refuse)
    with pytest.warns(UserWarning, match="not kept for the next run: read-only") as caught:
        extraction = extract_features(Dataset.from_inputs(FILES), backbone)
    check(extraction, expected_features(backbone, FILES), 23, 0)
    assert len([one for one in caught if "not kept" in str(one.message)]) == 1


def test_cache_folder_that_is_a_file(backbone, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="not kept for the next run"):
        extraction = extract_features(Dataset.from_inputs(FILES[:2]), backbone, cache_dir=tmp_path / "file")
    check(extraction, expected_features(backbone, FILES[:2]), 2, 0)


def test_no_warning_otherwise(backbone):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        extract_features(Dataset.from_inputs(FILES[:2]), backbone)


def test_wrong_arguments(backbone, monkeypatch):
    dataset = Dataset.from_inputs(FILES[:2])
    with pytest.raises(ValueError, match=r"at least 1\. Received: batch_size=0"):
        extract_features(dataset, backbone, batch_size=0)
    monkeypatch.setattr(backbone, "modality", "text")
    with pytest.raises(ValueError, match=r"tiny takes text data\. Received: data of modality image"):
        extract_features(dataset, backbone)


def test_features_that_are_not_finite():
    backbone = tiny_backbone()
    weight = backbone.network.weights[-1]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(ValueError, match="not finite"):
        extract_features(Dataset.from_inputs(FILES[:1]), backbone)


def test_progress_counts_every_row(backbone, monkeypatch):
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def record(total, description, enabled):
        seen.append((total, enabled))
        yield seen.append

    monkeypatch.setattr(module, "progress_of", record)
    inputs = [FILES[0], FILES[0], b"broken", FILES[1]]
    extract_features(Dataset.from_inputs(inputs), backbone, progress=False)
    assert seen[0] == (4, False)
    assert sum(seen[1:]) == 4


@pytest.mark.parametrize(
    ("precision", "hint"), [("float32", ""), ("float16", " in float16: --precision float32")]
)
def test_features_that_are_not_finite_are_set_aside(precision, hint):
    work = module._Work(np.zeros((2, 3), np.float32), None, precision)
    examples = [Example(row, b"", b"%d" % row) for row in range(2)]
    features = np.array([[1, 2, 3], [1, np.inf, 3]], np.float32)
    work.store(Computed(examples, features, np.ones(2, bool), np.zeros(2, bool)), str)
    assert work.features.tolist() == [[1, 2, 3], [0, 0, 0]]
    assert list(work.reasons) == [1]
    assert work.reasons[1].startswith(f"its features are not finite{hint}")
