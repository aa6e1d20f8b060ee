import json

import pytest
from command import assert_one_sentence, tfautolabel
from separable import CLASSES, NAMES, picture

import tfautolabel as tal
from tfautolabel.data import Dataset
from tfautolabel.export import export_onnx, export_tflite

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tf2onnx")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder and a file of labels; the names of classes are awkward."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["path,label"]
    for number in range(12):
        (folder / f"{number}.png").write_bytes(picture(CLASSES[number % 3], 80 + number))
        name = NAMES[number % 3].replace('"', '""')
        rows.append(f'{number}.png,"{name}"')
    labels = folder.parent / f"{folder.name}.csv"
    labels.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder, labels


def test_onnx_with_labelled_examples(exported, photos, tmp_path):
    folder, labels = photos
    out = tmp_path / "colours.onnx"
    done = tfautolabel(
        "export", exported.parent, "--format", "onnx", "--out", out, "--examples", folder, "--labels", labels
    )
    assert done.returncode == 0, done.stderr
    assert "agreement  100.00% of the labels on 12 windows of your examples" in done.stdout
    assert "accuracy   100.0%, the SavedModel 100.0% (+0.0 points)" in done.stdout
    assert " MB, float32) and " in done.stdout
    assert "ms a window" in done.stdout
    assert json.loads(out.with_name("colours.onnx.json").read_text())["format"] == "onnx"


def test_tflite_with_recorded_examples(exported, tmp_path):
    out = tmp_path / "colours.tflite"
    done = tfautolabel("export", exported, "--format", "tflite", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "on 5 recorded examples" in done.stdout
    assert "name real ones with --examples" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["colours.tflite", "colours.tflite.json"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--format", "coreml"], ["tflite, onnx", "'coreml'"]),
        (["--format", "onnx", "--int8"], ["--int8 and --length are for --format tflite"]),
        (["--format", "tflite", "--labels", "x.csv"], ["--labels alone"]),
        (["--format", "tflite", "--limit", "0"], ["--limit must be at least 1"]),
    ],
)
def test_mistakes_end_with_one_sentence(tmp_path, options, parts):
    done = tfautolabel("export", tmp_path, "--out", tmp_path / "file", *options)
    assert_one_sentence(done, *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.packaged
def test_efficientnet_lite0(tmp_path):
    inputs = [picture(name, number) for number in range(8) for name in CLASSES]
    dataset = Dataset.from_inputs(inputs, list(CLASSES) * 8)
    labeler = tal.Labeler("packaged:efficientnet-lite0", CLASSES, cache_dir=tmp_path / "cache")
    labeler.fit(dataset)
    model = labeler.export(tmp_path / "model" / "1")
    for done in (
        export_tflite(model, tmp_path / "m.tflite", dataset, progress=False),
        export_onnx(model, tmp_path / "m.onnx", dataset, progress=False),
    ):
        assert done.parity.agreement == 1.0
        assert done.parity.max_difference < 1e-4
        assert 13 < done.megabytes < 14.5
    small = export_tflite(model, tmp_path / "i.tflite", dataset, int8=True, progress=False)
    assert small.megabytes < 5
