"""Checkpoints are written here by hand, opcode by opcode, in both of PyTorch's layouts; no torch needed."""

import contextlib
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.backbones.formats.torch_checkpoint import read_torch_checkpoint

ARRAYS = {
    "conv.weight": np.arange(24, dtype="<f4").reshape(2, 3, 4),
    "bn.num_batches_tracked": np.array(7, dtype="<i8"),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 3), "<f4"),
}
_KINDS = {"<f4": "FloatStorage", "<i8": "LongStorage", "|b1": "BoolStorage", "<f2": "HalfStorage"}
END = b"."


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value):
    return b"J" + struct.pack("<i", value)


def sequence(*values):
    return b"(" + b"".join(values) + b"t"


def mapping(items):
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def call(module, name, *arguments):
    return f"c{module}\n{name}\n".encode() + sequence(*arguments) + b"R"


def storage(key, kind="FloatStorage", elements=4, view=b"N"):
    return (
        sequence(
            text("storage"), f"ctorch\n{kind}\n".encode(), text(key), text("cpu"), integer(elements), view
        )
        + b"Q"
    )


def tensor(store, shape, strides, offset=0):
    numbers = sequence(*map(integer, shape)), sequence(*map(integer, strides))
    hooks = call("collections", "OrderedDict")
    return call("torch._utils", "_rebuild_tensor_v2", store, integer(offset), *numbers, b"\x89", hooks)


def described(arrays):
    """The tensors as pickle code, by name, and the storages' bytes, by key."""
    codes, storages = {}, {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = [stride // array.itemsize for stride in array.strides]
        store = storage(str(key), _KINDS[array.dtype.str], array.size)
        codes[name] = tensor(store, array.shape, strides)
        storages[str(key)] = (array.size, array.tobytes())
    return codes, storages


def legacy(root, storages, little=b"\x88"):
    out = io.BytesIO()
    out.write(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2))
    out.write(b"\x80\x02" + mapping({"protocol_version": integer(1001), "little_endian": little}) + END)
    out.write(b"\x80\x02" + root + END + pickle.dumps(list(storages), 2))
    for elements, content in storages.values():
        out.write(struct.pack("<q", elements) + content)
    return out.getvalue()


def zipped(root, storages, compression=zipfile.ZIP_STORED, **extra):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + root + END)
        for key, (_, content) in storages.items():
            archive.writestr(f"archive/data/{key}", content)
        for name, content in extra.items():
            archive.writestr(f"archive/{name}", content)
    return out.getvalue()


def read(data, folder):
    path = folder / "file.pth"
    path.write_bytes(data)
    return read_torch_checkpoint(path)


LAYOUTS = pytest.mark.parametrize("layout", [legacy, zipped])


@LAYOUTS
def test_reads_every_tensor(layout, tmp_path):
    codes, storages = described(ARRAYS)
    found = read(layout(mapping(codes), storages), tmp_path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@LAYOUTS
def test_nested_names_attributes_and_other_values(layout, tmp_path):
    codes, storages = described({"w": ARRAYS["mask"]})
    ordered = b"ccollections\nOrderedDict\n)R" + text("w") + codes["w"] + b"s"
    ordered += b"}" + text("_metadata") + b"}sb"  # BUILD: torch's layer versions
    parameter = call("torch._utils", "_rebuild_parameter", codes["w"], b"\x88", b"}")
    listed = b"](" + parameter + integer(3) + b"e"
    root = mapping({"step": integer(9), "model": ordered, "ema": listed})
    assert sorted(read(layout(root, storages), tmp_path)) == ["ema.0", "model.w"]


def test_views_share_and_transpose(tmp_path):
    store = storage("0", elements=6)
    root = mapping({"t": tensor(store, (3, 2), (1, 3)), "tail": tensor(store, (2,), (1,), offset=4)})
    flat = np.arange(6, dtype="<f4")
    found = read(legacy(root, {"0": (6, flat.tobytes())}), tmp_path)
    np.testing.assert_array_equal(found["t"], flat.reshape(2, 3).T)
    np.testing.assert_array_equal(found["tail"], flat[4:])
    assert not found["t"].flags.writeable


def test_memo_and_newer_pickle_protocols(tmp_path):
    codes, storages = described({"w": ARRAYS["mask"]})
    name = b"\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94"  # STACK_GLOBAL and MEMOIZE
    root = b"\x80\x04" + name + text("w") + codes["w"] + b"q\x09s" + text("again") + b"h\x09s"
    assert sorted(read(zipped(root, storages, byteorder=b"little"), tmp_path)) == ["again", "w"]


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@LAYOUTS
@pytest.mark.parametrize("protocol", range(6))
def test_code_is_never_run(layout, protocol, tmp_path):
    victim = tmp_path / "victim"
    for attack in (
        Malicious(os.mkdir, str(victim)),
        Malicious(eval, f"__import__('os').mkdir({str(victim)!r})"),
    ):
        payload = pickle.dumps({"weights": attack}, protocol)[:-1]
        with pytest.raises(ValueError, match="refused"):
            read(layout(payload, {}), tmp_path)
        if layout is legacy:
            with pytest.raises(ValueError, match="refused"):
                read(payload + END, tmp_path)
    assert not victim.exists()


HOSTILE = {
    "a global of builtins": b"cbuiltins\ngetattr\n",
    "an attribute of a known name": b"\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93",
    "a known class with arguments": call("collections", "OrderedDict", b"]"),
    "a call of a string": text("x") + b")R",
    "a call with no tuple": b"ccollections\nOrderedDict\n}R",
    "an instance": b"(ios\nsystem\n",
    "a new object": b"ccollections\nOrderedDict\n)\x81",
    "an extension": b"\x82\x01",
    "a persistent id in text": b"Pstorage\n",
    "a persistent id of another kind": sequence(text("module")) + b"Q",
    "an endless nest": b"(" * 100_000 + b"t" * 100_000 + b"Q",
    "a state on a function": b"ctorch._utils\n_rebuild_tensor\n}b",
    "a memo entry that is not there": b"h\x07",
    "nothing on the stack": b"0" * 3,
    "a missing mark": b"t",
    "a mark taken for a value": b"(\x85",
    "items for a list": b"]" + integer(1) + integer(2) + b"s",
    "a key that is a list": b"}]" + integer(2) + b"s",
    "a key without a value": b"}(" + integer(2) + b"u",
    "a storage of another type": storage("0", kind="Storage"),
    "a view of a storage": storage("0", view=b")"),
    "a storage of negative size": storage("0", elements=-1),
    "two storages of one key": storage("0") + storage("0", elements=5) + b"\x86",
    "a tensor without storage": tensor(b"N", (1,), (1,)),
    "a tensor of negative shape": tensor(storage("0"), (-1,), (1,)),
    "a tensor before its storage": tensor(storage("0"), (1,), (1,), offset=-1),
    "a tensor that steps backwards": tensor(storage("0"), (2,), (-1,)),
    "a tensor beyond its storage": mapping({"w": tensor(storage("0"), (4,), (1,), offset=1)}),
    "a tensor that strides beyond": mapping({"w": tensor(storage("0"), (2,), (4,))}),
    "a tensor that repeats its storage": mapping({"w": tensor(storage("0"), (2**30, 2**30), (0, 0))}),
    "two tensors of one name": mapping(
        {"a.b": tensor(storage("0"), (1,), (1,)), "a": mapping({"b": tensor(storage("0"), (1,), (1,))})}
    ),
    "a dictionary in itself": b"}q\x00" + text("me") + b"h\x00s",
}


@LAYOUTS
@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pickles_are_refused(layout, code, tmp_path):
    with pytest.raises(ValueError, match=r"file\.pth is not a PyTorch checkpoint that can be read"):
        read(layout(code, {"0": (4, bytes(16))}), tmp_path)


def unfolding(levels):
    """A tuple that holds one tuple twice, which holds one twice, and so on."""
    code = b")"
    for level in range(levels):
        code += b"q" + bytes([level]) + b"h" + bytes([level]) + b"\x86"
    return code


@LAYOUTS
def test_unfolding_containers_end(layout, tmp_path):
    for code in (unfolding(100), mapping({"a": unfolding(100)}), unfolding(100) + b"Q"):
        with pytest.raises(ValueError):
            read(layout(code, {}), tmp_path)
    wide = b"](" + b"](N" + b"N" * 2000 + b"eq\x00" + b"h\x00" * 2000 + b"e"
    with pytest.raises(ValueError, match="nested too deeply or hold too much"):
        read(layout(wide, {}), tmp_path)


@LAYOUTS
def test_storages_must_have_their_bytes(layout, tmp_path):
    codes, storages = described(ARRAYS)
    for damaged in ({"0": (24, bytes(95))}, {"0": (25, bytes(100))}):
        with pytest.raises(ValueError):
            read(layout(mapping(codes), {**storages, **damaged}), tmp_path)
    root = mapping({"w": tensor(storage("0", elements=2**31 - 1), (4,), (1,))})
    with pytest.raises(ValueError):
        read(layout(root, {"0": (2**31 - 1, bytes(16))}), tmp_path)
    with pytest.raises(ValueError):
        read(layout(root, {}), tmp_path)


def test_other_byte_order_and_compression_are_refused(tmp_path):
    codes, storages = described(ARRAYS)
    with pytest.raises(ValueError, match="little-endian"):
        read(legacy(mapping(codes), storages, little=b"\x89"), tmp_path)
    with pytest.raises(ValueError, match="little-endian"):
        read(zipped(mapping(codes), storages, byteorder=b"big"), tmp_path)
    with pytest.raises(ValueError, match="compressed"):
        read(zipped(mapping(codes), storages, compression=zipfile.ZIP_DEFLATED), tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x02", b"GIF89a", pickle.dumps({"a": 1})])
def test_other_files_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="not a PyTorch checkpoint"):
        read(data, tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_torch_checkpoint(tmp_path / "none.pth")


@LAYOUTS
def test_truncated_anywhere(layout, tmp_path):
    codes, storages = described({"w": ARRAYS["conv.weight"]})
    data = layout(mapping(codes), storages)
    for length in range(0, len(data), 3):
        with pytest.raises(ValueError):
            read(data[:length], tmp_path)


@settings(deadline=None, max_examples=200)
@given(
    data=st.binary(max_size=300),
    start=st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04"]),
    layout=st.booleans(),
)
def test_random_bytes_never_do_more_than_fail(data, start, layout, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    for content in (start + data, (legacy if layout else zipped)(data, {})):
        with contextlib.suppress(ValueError):
            read(content, folder)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), layout=st.sampled_from([legacy, zipped]))
def test_mutations_never_do_more_than_fail(data, layout, tmp_path_factory):
    codes, storages = described(ARRAYS)
    content = bytearray(layout(mapping(codes), storages))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(content), tmp_path_factory.getbasetemp())
    except ValueError:
        return
    assert sum(array.nbytes for array in found.values()) <= len(content)
