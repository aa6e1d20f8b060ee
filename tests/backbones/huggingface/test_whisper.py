from pathlib import Path

import numpy as np
import pytest
from clips import tones
from picture_and_sound_checkpoints import DEPTH, write_checkpoint

from tfautolabel.backbones.huggingface.checkpoint import read_checkpoint
from tfautolabel.backbones.huggingface.whisper import CoveredFrames, build_whisper
from tfautolabel.preprocessors.sounds.wave import wav_bytes

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "hugging_face_whisper.npz") as stored:
        return dict(stored)


def clips_of(golden):
    """The golden clips in one batch, silence behind them, and their lengths."""
    wave, lengths = golden["wave"] / 32768, golden["lengths"]
    rows = [np.pad(wave[:length], (0, len(wave) + 999 - length)) for length in lengths]
    return [np.stack(rows).astype("float32"), lengths.astype("int32")]


@pytest.mark.parametrize("layer", [*range(DEPTH + 1), None])
@pytest.mark.parametrize("name", ["whisper", "whisper-128"])
def test_golden_parity(name, layer, golden, tmp_path):
    """What transformers gives for each clip padded to 30 seconds."""
    preprocessor, network = build_whisper(read_checkpoint(write_checkpoint(tmp_path, name)), layer=layer)
    assert (preprocessor.sample_rate, preprocessor.window_seconds) == (16_000, 30)
    wanted = golden[name][:, DEPTH if layer is None else layer]
    np.testing.assert_allclose(network(clips_of(golden)), wanted, atol=2e-5)
    frames = network.get_layer("log_mel")(clips_of(golden)[0]).numpy()
    assert frames.shape[1] == 3000
    shown = golden[f"{name}_log_mel"]
    np.testing.assert_allclose(frames[1, : len(shown)], shown, atol=2e-5)


def test_files_and_samples_give_the_same(golden, tmp_path):
    """A clip's file, decoded, and a longer clip cut in windows."""
    preprocessor, network = build_whisper(
        read_checkpoint(write_checkpoint(tmp_path, "whisper")), window_seconds=0.5
    )
    waves, lengths = clips_of(golden)
    ready = preprocessor(np.array([wav_bytes(waves[0, : lengths[0]] * 32768 / 32767, 16_000)], object))
    np.testing.assert_allclose(network(list(ready.inputs)), network([waves[:1], lengths[:1]]), atol=1e-4)
    ready = preprocessor(np.array([wav_bytes(tones(1.3)[:, 0], 16_000)], object))
    assert ready.example.numpy().tolist() == [0, 0, 0]
    assert np.isfinite(network(list(ready.inputs))).all()


def test_shorter_window(golden, tmp_path):
    """Its frames are the first of the long window's; only what the blocks make of the silence differs."""
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, "whisper"))
    preprocessor, short = build_whisper(checkpoint, layer=0, window_seconds=0.99)
    assert preprocessor.window_seconds == 1.0
    _, long = build_whisper(checkpoint, layer=0)
    np.testing.assert_allclose(short(clips_of(golden)), long(clips_of(golden)), atol=1e-5)
    _, short = build_whisper(checkpoint, window_seconds=1)
    assert short.get_layer("log_mel").output.shape == (None, 100, 80)
    assert np.abs(short(clips_of(golden)) - golden["whisper"][:, DEPTH]).max() > 1e-3


def test_frames_that_begin_within_a_clip():
    layer = CoveredFrames(320, 1500)
    assert layer(np.array([0, 1, 320, 321, 479_999, 500_000])).numpy().tolist() == [1, 1, 1, 2, 1500, 1500]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 3}, r"from 0 to 2\. Received: 3"),
        ({"window_seconds": 31}, r"from 0\.02 to 30\. Received: 31"),
        ({"window_seconds": 0}, r"Received: 0"),
    ],
)
def test_what_is_not_valid(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        build_whisper(read_checkpoint(write_checkpoint(tmp_path, "whisper")), **options)
