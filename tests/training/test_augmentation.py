import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from pictures import pixels

from tfautolabel.training import ContrastiveSettings, FineTuneSettings
from tfautolabel.training.augmentation import augmentation_of, picture_views, sound_views


def seed(number=0):
    return tf.constant([number, 0], tf.int32)


@pytest.fixture(scope="module")
def pictures():
    return np.stack([pixels(number, 32) for number in range(6)]).astype(np.float32)


@pytest.fixture(scope="module")
def sounds():
    lengths = np.array([8000, 5000, 300], np.int32)
    waves = np.zeros((3, 8000), np.float32)
    for row, length in enumerate(lengths):
        waves[row, :length] = 0.5 * tones(1.0)[:length, 0]
    return waves, lengths


def test_views_of_pictures_keep_shape_and_range_and_differ(pictures):
    (views,) = picture_views((tf.constant(pictures),), seed())
    assert views.shape == pictures.shape
    assert views.numpy().min() >= 0
    assert views.numpy().max() <= 255
    assert (np.abs(views - pictures).mean(axis=(1, 2, 3)) > 1).all()


def test_views_repeat_with_the_seed_and_change_with_it(pictures):
    views = [picture_views((tf.constant(pictures),), seed(number))[0].numpy() for number in (1, 1, 2)]
    np.testing.assert_array_equal(views[0], views[1])
    assert np.abs(views[0] - views[2]).mean() > 1


def test_a_view_shows_the_picture_it_is_of(pictures):
    """Its mean colour is nearer to that of its own picture than to those of plainly different ones."""
    plain = np.stack([np.full((32, 32, 3), colour, np.float32) for colour in ((220, 30, 30), (30, 30, 220))])
    (views,) = picture_views((tf.constant(plain),), seed())
    means = views.numpy().mean(axis=(1, 2))
    assert means[0, 0] > means[0, 2] + 50
    assert means[1, 2] > means[1, 0] + 50


def test_views_of_sounds_keep_lengths_and_stay_within_the_clip(sounds):
    waves, lengths = sounds
    views, same = sound_views((tf.constant(waves), tf.constant(lengths)), seed())
    np.testing.assert_array_equal(same, lengths)
    assert views.shape == waves.shape
    assert np.isfinite(views).all()
    for row, length in enumerate(lengths):
        assert not views[row, length:].numpy().any()
    assert (np.abs(views - waves).max(axis=1) > 1e-3).all()


def test_silencing_takes_away_and_adds_nothing(sounds):
    """Bands and spans are silenced, so a view has less energy than the clip, but not nearly none."""
    waves, lengths = sounds
    energies = []
    for number in range(20):
        views, _ = sound_views((tf.constant(waves), tf.constant(lengths)), seed(number))
        energies.append((views.numpy()[0] ** 2).sum() / (waves[0] ** 2).sum())
    assert max(energies) < 1.1
    assert 0.2 < np.mean(energies) < 1.0


def test_texts_have_no_views():
    assert augmentation_of("text") is None


def mean_of_views(modality, strength, inputs, measure):
    draw = augmentation_of(modality, strength)
    inputs = tuple(map(tf.constant, inputs))
    return np.mean([measure(draw(inputs, seed(number))[0].numpy()) for number in range(12)])


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_the_weaker_the_less_is_changed(pictures, sounds, modality):
    """Pictures differ less from their views, and less of a sound is silenced; without strength nothing is."""
    inputs, measure = {
        "image": ((pictures,), lambda views: np.abs(views - pictures).mean()),
        "audio": (sounds, lambda views: 1.0 - np.square(views).sum() / np.square(sounds[0]).sum()),
    }[modality]
    weak, middle, strong = (mean_of_views(modality, share, inputs, measure) for share in (0.05, 0.5, 1.0))
    assert weak < middle < strong
    assert augmentation_of(modality, 0.0) is None


@pytest.mark.parametrize("settings", [FineTuneSettings, ContrastiveSettings])
@pytest.mark.parametrize("augment", [-0.1, 1.5])
def test_a_strength_that_means_nothing_is_refused(settings, augment):
    with pytest.raises(ValueError, match=r"augment must lie in \[0, 1\]"):
        settings(augment=augment)
