import numpy as np
from clips import tones, wav

from tfautolabel.data import Dataset, long_sounds
from tfautolabel.jobs.baseline import measure_baselines


def test_long_clips_are_described_as_short_ones_are(monkeypatch):
    rng = np.random.default_rng(0)
    # Of one length: short clips of others are padded to the longest beside them, which long ones are not.
    sounds = [tones(3.0, seed=row % 2) for row in range(16)]
    clips = [wav(sound + rng.normal(0, 0.01, sound.shape)) for sound in sounds]
    clips[5] = wav(np.array([0.1, np.nan]), 3, 32)
    dataset = Dataset.from_inputs(clips, ["ab"[row % 2] for row in range(16)], modality="audio")
    right = np.arange(16) % 3 > 0
    wanted = measure_baselines(dataset, ("a", "b"), right)
    assert wanted["probe"]["examples"] == 15
    assert wanted["probe"]["accuracy"] > 0.8
    monkeypatch.setattr(long_sounds, "LONG_SECONDS", 0)
    assert measure_baselines(dataset, ("a", "b"), right) == wanted
