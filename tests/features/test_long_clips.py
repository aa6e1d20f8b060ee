"""Features of clips that pass through the network in groups are those of clips that pass as a whole."""

import io

import numpy as np
import pytest
from clips import broken, tones, wav
from damage import damaged

from tfautolabel.backbones import load_backbone
from tfautolabel.data import Dataset, load_dataset, long_sounds
from tfautolabel.features import extract_features, long_clips

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("plain:spectrum")


def in_groups(monkeypatch, numbers):
    """Everything is long, and a group has about so many numbers."""
    monkeypatch.setattr(long_sounds, "LONG_SECONDS", 0)
    monkeypatch.setattr(long_sounds, "HELD_FILE", 0)
    monkeypatch.setattr("tfautolabel.data.row_groups.HELD_FILE", 0)
    monkeypatch.setattr(long_clips, "GROUP_NUMBERS", numbers)
    monkeypatch.setattr(long_clips, "granted_cores", lambda: 1)


def noise(seconds, rate=16_000, seed=0):
    return np.random.default_rng(seed).uniform(-0.4, 0.4, int(seconds * rate)) * tones(seconds, rate)[:, 0]


def encoded(kind, samples, rate=16_000):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind)
    return stream.getvalue()


def same(found, wanted):
    np.testing.assert_allclose(found.features, wanted.features, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    assert found.unreadable == wanted.unreadable
    assert (found.computed, found.reused, found.shortened) == (
        wanted.computed,
        wanted.reused,
        wanted.shortened,
    )
    assert (found.digest, found.contents) == (wanted.digest, wanted.contents)


@pytest.mark.parametrize("numbers", [1, 1_000_000])
def test_groups_of_any_size_give_the_same(backbone, numbers, monkeypatch, tmp_path):
    clips = {
        "a.wav": wav(noise(31)),
        "b.flac": encoded("FLAC", noise(21, seed=1)),
        "c.ogg": encoded("OGG", noise(44, seed=2)),
        "d.mp3": encoded("MP3", noise(25, 8000, seed=3), 8000),
        "e.wav": wav(noise(0.5, seed=4)),
        "f.wav": wav(noise(31)),
        "g.wav": wav(noise(1, seed=5), content=b"\1"),
        "h.ogg": encoded("OGG", noise(5, seed=6))[:900],
    }
    for name, data in clips.items():
        (tmp_path / name).write_bytes(data)
    dataset = load_dataset(tmp_path, None, modality="audio")
    wanted = extract_features(dataset, backbone, use_cache=False)
    assert (len(wanted.rows), wanted.reused) == (6, 1)
    in_groups(monkeypatch, numbers)
    same(extract_features(dataset, backbone, use_cache=False), wanted)
    held = Dataset.from_inputs(list(clips.values()), ids=list(clips), modality="audio")
    same(extract_features(held, backbone, use_cache=False), wanted)


def test_short_and_long_clips_beside_each_other(backbone, monkeypatch):
    clips = [wav(noise(seconds, seed=seed)) for seed, seconds in enumerate([2, 31, 1, 12, 40, 3, 3])]
    dataset = Dataset.from_inputs(clips, modality="audio")
    wanted = extract_features(dataset, backbone, use_cache=False)
    in_groups(monkeypatch, 1)
    monkeypatch.setattr(long_sounds, "LONG_SECONDS", 10)
    same(extract_features(dataset, backbone, use_cache=False, batch_size=3), wanted)


def test_the_cache_finds_what_was_computed_in_the_other_way(backbone, monkeypatch, tmp_path):
    dataset = Dataset.from_inputs([wav(noise(11)), encoded("OGG", noise(12))], modality="audio")
    wanted = extract_features(dataset, backbone, cache_dir=tmp_path)
    in_groups(monkeypatch, 1)
    again = extract_features(dataset, backbone, cache_dir=tmp_path)
    assert (again.computed, again.reused) == (0, 2)
    np.testing.assert_array_equal(again.features, wanted.features)


def test_reasons_are_the_same(backbone, monkeypatch):
    whole = [wav(noise(0.2)), encoded("FLAC", noise(0.2)), encoded("MP3", noise(0.2))]
    clips = [data for data, _ in broken().values()]
    clips += [damaged(data, f"{place} {number}") for place, data in enumerate(whole) for number in range(40)]
    dataset = Dataset.from_inputs(clips, modality="audio")
    wanted = extract_features(dataset, backbone, use_cache=False)
    assert 20 < len(wanted.unreadable) < len(clips) - 20
    in_groups(monkeypatch, 1)
    monkeypatch.setattr(long_sounds, "LONG_BYTES", 0)
    same(extract_features(dataset, backbone, use_cache=False), wanted)


def test_a_clip_whose_last_sample_is_no_number_has_no_features(backbone, monkeypatch):
    samples = noise(35)
    samples[-1] = np.nan
    dataset = Dataset.from_inputs([wav(samples, 3, 32), wav(noise(15))], modality="audio")
    in_groups(monkeypatch, 1)
    found = extract_features(dataset, backbone, use_cache=False)
    assert found.rows.tolist() == [1]
    assert [one.reason for one in found.unreadable] == ["WAV with samples that are no numbers"]
