import threading

import keras
import numpy as np
import pytest
from pictures import encode, image

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data import Dataset
from tfautolabel.features import extract as module
from tfautolabel.features import extract_features
from tfautolabel.features.batches import Example
from tfautolabel.features.prepared import expected_bytes, fixed_bytes, prepare
from tfautolabel.preprocessors import ImagePreprocessor

FILES = [encode(image(seed=seed), ("PNG", "JPEG", "GIF")[seed % 3]) for seed in range(13)]
FILES[5] = FILES[5][:100]


@pytest.fixture(scope="module")
def backbone():
    pixels = keras.Input((24, 24, 3))
    network = keras.Model(pixels, keras.layers.AveragePooling2D(12)(pixels))
    flat = keras.Model(pixels, keras.layers.Flatten()(network(pixels)))
    return Backbone("means", ImagePreprocessor(24), flat, "means")


def extract(backbone):
    return extract_features(Dataset.from_inputs(FILES), backbone, batch_size=2, use_cache=False)


def test_several_at_a_time_give_the_same_to_the_bit(backbone, monkeypatch):
    monkeypatch.setattr(module, "granted_cores", lambda: 2)
    alone = extract(backbone)
    meeting = threading.Barrier(3)

    def met(examples, *ways):
        if examples[0].row < 6:  # the first three batches go on only together
            meeting.wait(30)
        return prepare(examples, *ways)

    monkeypatch.setattr(module, "granted_cores", lambda: 6)
    monkeypatch.setattr(module, "prepare", met)
    together = extract(backbone)
    np.testing.assert_array_equal(together.features, alone.features)
    assert together.rows.tolist() == alone.rows.tolist() == [*range(5), *range(6, 13)]
    assert together.unreadable == alone.unreadable


def test_large_batches_are_prepared_one_at_a_time(backbone, monkeypatch):
    monkeypatch.setattr(module, "granted_cores", lambda: 16)
    monkeypatch.setattr(module, "MAX_WAITING", 2 * 24 * 24 * 3 * 4 - 1)
    waiting, most = set(), 0

    def counted(examples, *ways):
        nonlocal most
        waiting.add(examples[0].row)
        most = max(most, len(waiting))
        return prepare(examples, *ways)

    monkeypatch.setattr(module, "prepare", counted)
    store = module._Work.store
    monkeypatch.setattr(
        module._Work, "store", lambda *given: (waiting.discard(given[1].examples[0].row), store(*given))
    )
    assert extract(backbone).computed == 12
    assert most == 1


def test_what_a_batch_will_hold(backbone):
    assert fixed_bytes(backbone.network) == 24 * 24 * 3 * 4
    tokens = [keras.Input((None,), dtype="int32") for _ in range(2)]
    assert fixed_bytes(keras.Model(tokens, keras.layers.Add()(tokens))) == 0
    some = [Example(row, bytes(100), b"") for row in range(3)]
    assert (expected_bytes(some, 0), expected_bytes(some, 1000)) == (600, 3000)


def test_features_do_not_depend_on_the_way_of_decoding(backbone, monkeypatch):
    outside = module.FeatureExtractor(backbone, use_cache=False)._graphs.outside
    done = outside(FILES).done
    assert 0 < done.sum() < len(FILES)
    beside = extract(backbone)
    monkeypatch.setattr(module.FeatureExtractor(backbone, use_cache=False)._graphs, "outside", None)
    in_graph = extract(backbone)
    np.testing.assert_array_equal(beside.features, in_graph.features)
    assert beside.unreadable == in_graph.unreadable
    assert len(beside.unreadable) == 1
