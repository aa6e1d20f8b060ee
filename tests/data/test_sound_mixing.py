"""Several channels become their mean, unless they cancel in it."""

import numpy as np
import pytest
from clips import tones

from tfautolabel.data.sound_mixing import ChannelEnergies

TONE = tones(0.1)[:, 0]
OTHER = tones(0.1, seed=1)[:, 0]
CHANNELS = {
    "two that are one": ([TONE, TONE], None),
    "two that differ": ([TONE, OTHER], None),
    "one beside silence": ([TONE, 0 * TONE], None),
    "one of six": ([TONE, *5 * [0 * TONE]], None),
    "a faint copy of opposite sign": ([TONE, -0.2 * TONE], None),
    "silence": ([0 * TONE, 0 * TONE], None),
    "opposite signs": ([TONE, -TONE], 0),
    "opposite signs but for rounding": ([TONE, -0.999 * TONE], 0),
    "opposite signs, the second louder": ([0.6 * TONE, -TONE], 1),
    "opposite signs with noise": ([TONE, -TONE + 0.01 * OTHER], 0),
    "opposite signs and one offset": ([TONE + 0.5, 0.5 - TONE], 0),
    "opposite signs and other offsets": ([0.6 * TONE - 0.2, 0.3 - TONE], 1),
    "offsets of opposite signs": ([0.1 * TONE + 0.5, 0.1 * TONE - 0.5], None),
    "two offsets alone": ([0 * TONE + 0.3, 0 * TONE - 0.3], None),
    "opposite signs and two of silence": ([0 * TONE, TONE, 0 * TONE, -TONE], 1),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_the_louder_channel_where_they_cancel(name):
    channels, louder = CHANNELS[name]
    samples = np.stack(channels, axis=1).astype(np.float32)
    energies = ChannelEnergies(samples.shape[1])
    for part in np.array_split(samples, 3):
        energies.add(part, part.mean(axis=1))
    assert energies.louder == louder


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_channel_with_what_is_no_number_is_not_left_out(value):
    samples = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    samples[500, 1] = value
    energies = ChannelEnergies(2)
    energies.add(samples, samples.mean(axis=1))
    assert energies.louder is None
