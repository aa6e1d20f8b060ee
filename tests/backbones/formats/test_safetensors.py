import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.backbones.formats.safetensors import DTYPES, read_safetensors


def written(tensors, metadata=None):
    """A file as the format's page describes it."""
    header, body = ({"__metadata__": metadata} if metadata else {}), b""
    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    for name, value in tensors.items():
        begin = len(body)
        body += value.tobytes()
        header[name] = {
            "dtype": names[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [begin, len(body)],
        }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


TENSORS = {
    "weight": np.arange(6, dtype="<f4").reshape(2, 3),
    "half": np.array([1.5, -2], "<f2"),
    "ids": np.array([[1], [2**40]], "<i8"),
    "flag": np.array([True, False]),
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 4), "<f4"),
}


def test_tensors_come_back(tmp_path):
    (tmp_path / "model").write_bytes(written(TENSORS, {"format": "pt"}))
    read = read_safetensors(tmp_path / "model")
    assert set(read) == set(TENSORS)
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype == value.dtype


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut off"),
        (b"\xff" * 20, "cut off"),
        (written(TENSORS)[:-3], "does not lie in the file"),
        (written(TENSORS).replace(b'"F32"', b'"F33"'), "has the type 'F33'"),
        (written(TENSORS).replace(b'"shape": [2, 3]', b'"shape": [2, 4]'), "'weight' does not lie"),
        (b"\x02" + bytes(7) + b"[]", "is not a safetensors file"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_safetensors(tmp_path / "model")


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_mutated_files_are_read_or_refused(tmp_path_factory, data):
    content = bytearray(written(TENSORS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "mutated.safetensors"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        read_safetensors(path)
    except ValueError as error:
        assert "is not a safetensors file" in str(error)  # noqa: PT017
