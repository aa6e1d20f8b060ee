import pytest
from pictures import PICTURES

from tfautolabel.data import load_dataset

PICTURE = PICTURES["png-grey"]()


@pytest.fixture
def data(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in "abc":
        (tmp_path / "pictures" / f"{name}.png").write_bytes(PICTURE)
    (tmp_path / "texts").mkdir()
    for name in "abc":
        (tmp_path / "texts" / f"{name}.txt").write_text("some words")
    (tmp_path / "pictures.csv").write_text("file\npictures/a.png\npictures/b.png\n")
    (tmp_path / "texts.csv").write_text("text\nsome words\nothers\n")
    return tmp_path


@pytest.mark.parametrize("name", ["pictures", "pictures.csv", "texts", "texts.csv"])
@pytest.mark.parametrize("model", ["image", "text", "audio"])
def test_a_model_refuses_data_of_another_kind(data, name, model):
    holds = "image" if name.startswith("pictures") else "text"
    if model == holds:
        assert load_dataset(data / name, None, expected=model).modality == model
        return
    with pytest.raises(
        ValueError, match=r"the model takes \w+.*Received: .*which holds .*--modality"
    ) as refusal:
        load_dataset(data / name, None, expected=model)
    assert name in str(refusal.value)
    assert load_dataset(data / name, None, expected=model, modality=model).modality == model


def test_what_cannot_be_told_is_what_the_model_takes(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"\x00\x01\x02")
    assert load_dataset(tmp_path, None, expected="audio").modality == "audio"
    (tmp_path / "x.bin").rename(tmp_path / "x.png")
    (tmp_path / "x.png").write_text("<html>not found</html>")
    assert load_dataset(tmp_path, None, expected="image").modality == "image"
    with pytest.raises(ValueError, match="expected must be one of"):
        load_dataset(tmp_path, None, expected="smell")
