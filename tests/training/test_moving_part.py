import gc
import weakref

import numpy as np
import pytest
from small_networks import coloured, convolutional

from tfautolabel.heads import build_head
from tfautolabel.training import ContrastiveSettings, FineTuneSettings, contrastive_tune, fine_tune
from tfautolabel.training.moving_part import MovingPart, shuffled


def train_once(tuner, data):
    tuner.put_on_top(
        build_head("linear", 8, 3),
        "sparse_categorical_crossentropy",
        rate=1e-3,
        top_rate=1e-3,
        decay=1.0,
        pull=0.0,
    )
    return tuner.train(np.arange(len(data)), shuffled(4), epochs=1)


@pytest.mark.parametrize("eager", [False, True])
def test_nothing_keeps_a_tuner_once_it_is_done(eager):
    data = coloured(4)
    with MovingPart(
        convolutional(),
        data,
        data.class_ids,
        scope="all",
        statistics=False,
        augment=0.0,
        seed=0,
        eager=eager,
    ) as tuner:
        assert np.isfinite(train_once(tuner, data).history["loss"]).all()
    alive = weakref.ref(tuner)
    del tuner
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(
    ("tune", "settings"),
    [
        (fine_tune, FineTuneSettings(epochs=1, scope="all")),
        (contrastive_tune, ContrastiveSettings(steps=4, scope="all")),
    ],
)
def test_nothing_keeps_a_tuned_backbone(tune, settings):
    data, backbone, head = coloured(4), convolutional(), build_head("linear", 8, 3)
    tune(backbone, head, data, settings=settings)
    alive = weakref.ref(backbone.network)
    del backbone, head
    gc.collect()
    assert alive() is None
