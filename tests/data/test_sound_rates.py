"""Sound that is brought to a lower rate block by block is what the graph makes of the whole."""

import numpy as np
import pytest
import tensorflow as tf

from tfautolabel.data.sound_rates import RateLowering, can_lower
from tfautolabel.preprocessors.sounds.resample import resample


def lowered(samples, rate, target, blocks):
    lowering = RateLowering(rate, target)
    parts = [lowering.feed(part) for part in np.split(samples, blocks)]
    return np.concatenate([*parts, lowering.end()])


@pytest.mark.parametrize(
    ("rate", "target"),
    [(22_050, 16_000), (44_100, 16_000), (48_000, 16_000), (192_000, 16_000), (48_000, 32_000)],
)
def test_blocks_give_what_the_graph_gives(rate, target):
    samples = np.random.default_rng(0).uniform(-1, 1, rate // 3 + 7).astype(np.float32)
    wanted = resample(tf.constant(samples), tf.constant(rate, tf.int64), target).numpy()
    for blocks in ([], [1, 2, 500], list(range(0, len(samples), 999))):
        found = lowered(samples, rate, target, blocks)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 150, 441, 442])
def test_short_clips(count):
    samples = np.full(count, 0.5, np.float32)
    wanted = (
        resample(tf.constant(samples), tf.constant(44_100, tf.int64), 16_000).numpy() if count else samples
    )
    np.testing.assert_allclose(lowered(samples, 44_100, 16_000, []), wanted, rtol=0, atol=2e-6)


def test_rates_that_stay():
    assert can_lower(44_100, 16_000)
    assert can_lower(768_000, 16_000)
    assert not can_lower(16_000, 16_000)
    assert not can_lower(8000, 16_000)
    assert not can_lower(40_123, 16_000)
    assert not can_lower(767_975, 16_000)
