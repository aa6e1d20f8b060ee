"""An exported model in a program without Python: examples/label.c and the library in TensorFlow's wheel."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from separable import CLASSES, picture
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

SOURCE = Path(__file__).parents[2] / "examples" / "label.c"
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    library = Path(tf.sysconfig.get_lib())
    missing = [name for name in LIBRARIES if not (library / name).is_file()]
    if missing:
        pytest.skip(f"this wheel of TensorFlow has no {', '.join(missing)}")
    made = tmp_path_factory.mktemp("program") / "label"
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", str(SOURCE), "-o", str(made)]
    command += [f"-I{tf.sysconfig.get_include()}", f"-L{library}", f"-Wl,-rpath,{library}"]
    done = subprocess.run(
        [*command, *(f"-l:{name}" for name in LIBRARIES)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def tensors(exported):
    """The names of `examples`, `label` and `confidence`, which the signature in the file gives."""
    found = SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    signature = found.meta_graphs[0].signature_def["serving_default"]
    outputs = [signature.outputs[name].name for name in ("label", "confidence")]
    return [signature.inputs["examples"].name, *outputs]


def run(*command):
    # Nothing of Python's is left in the environment: the program stands alone.
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, env=environment
    )


def test_it_gives_what_python_gives(program, tensors, exported, served, tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(len(CLASSES))]
    for file, name in zip(files, CLASSES, strict=True):
        file.write_bytes(picture(name, 70))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is \0 no picture")
    files.append(broken)
    done = run(program, exported, *tensors, *files)
    assert done.returncode == 0, done.stderr
    rows = []
    rest = done.stdout
    for file in files:  # a label may itself hold line ends
        row, rest = rest.split(f"\t{file}\n", 1)
        rows.append(row.rsplit("\t", 1))
    assert rest == ""
    expected = served.signatures["serving_default"](examples=tf.constant([f.read_bytes() for f in files]))
    assert [row[0] for row in rows] == [label.decode() for label in expected["label"].numpy()]
    assert len({row[0] for row in rows}) == len(CLASSES) + 1
    confidence = np.array([float(row[1]) for row in rows])
    np.testing.assert_allclose(confidence, expected["confidence"].numpy(), atol=2e-6)


def test_a_mistake_ends_it_with_one_line(program, tensors, exported, tmp_path):
    missing = tmp_path / "missing.png"
    for arguments, part in (
        ([exported, "nothing:0", *tensors[1:], missing], "nothing:0: the model has no such tensor"),
        ([exported, *tensors, missing], f"{missing}: the file cannot be opened"),
        ([tmp_path, *tensors, missing], str(tmp_path)),
    ):
        done = run(program, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert part in done.stderr.splitlines()[-1]
