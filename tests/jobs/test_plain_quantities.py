import numpy as np
import pytest
import tensorflow as tf

import tfautolabel as tal
from tfautolabel.jobs.plain_quantities import QUANTITIES, differences
from tfautolabel.preprocessors.sounds.wave import wav_bytes


def png(value, side=16, seed=0):
    noise = np.random.default_rng(seed).normal(0, 5, (side, side, 3))
    return tf.io.encode_png(np.clip(value + noise, 0, 255).astype(np.uint8)).numpy()


def test_darker_pictures_of_another_size():
    labelled = tal.Dataset.from_inputs([png(200, 16, seed) for seed in range(30)])
    pool = tal.Dataset.from_inputs([png(90, 24, seed) for seed in range(40)] + [b"no picture"])
    told = differences(labelled, pool)
    assert "brightness of 255: 90 in the pool, 200 among the labelled examples" in told
    assert "width in pixels: 24 in the pool, 16 among the labelled examples" in told


def test_longer_texts_with_other_words():
    labelled = tal.Dataset.from_inputs([f"Good battery {number}" for number in range(30)])
    pool = tal.Dataset.from_inputs([f"This film {number} is far too long for me" for number in range(40)])
    told = differences(labelled, pool)
    assert any(one.startswith("length in characters") for one in told)
    assert "words that are more frequent in the pool: film, long, this" in told
    assert "words that are more frequent among the labelled examples: battery, good" in told


def test_quieter_clips_at_another_rate():
    def clips(level, rate, seed):
        rng = np.random.default_rng(seed)
        return tal.Dataset.from_inputs(
            [wav_bytes((level * rng.normal(size=rate)).astype(np.float32), rate) for _ in range(12)],
            modality="audio",
        )

    told = differences(clips(0.2, 8_000, 0), clips(0.02, 4_000, 1))
    assert any(one.startswith("loudness in dB of full scale: -34 in the pool, -14") for one in told)
    assert any(one.startswith("samples a second: 4,000 in the pool, 8,000") for one in told)


def test_the_same_differs_in_nothing():
    texts = [f"Sentence number {number}" for number in range(60)]
    assert differences(tal.Dataset.from_inputs(texts[::2]), tal.Dataset.from_inputs(texts[1::2])) == []


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_what_cannot_be_decoded_is_left_out(modality):
    assert QUANTITIES[modality](b"nothing") is None
