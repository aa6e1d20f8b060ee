import ast
import json
from pathlib import Path

import pytest

import tfautolabel
from tfautolabel._model_folder import newest_version, next_version, read_description, write_description
from tfautolabel.serving.places import Place

GOOD = {
    "format_version": 1, "classes": ["a", "b"], "modality": "text", "min_confidence": 0.8, "limits": {},
    "requires": ["tensorflow"],
}  # fmt: skip


def make(folder, description=GOOD):
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    write_description(folder, description)
    return folder


@pytest.fixture
def model(tmp_path):
    """Versions 2, 9 and 10, and what looks like one and is none."""
    for name in ("2", "9", "10", "old", "٣", str(2**63), "-11"):
        make(tmp_path / name)
    (tmp_path / "12").write_text("a file")
    return tmp_path


def test_the_newest_version_is_that_of_the_highest_number(model):
    assert newest_version(model) == model / "10"
    assert newest_version(str(model / "9")) == model / "9"
    assert newest_version(model / "nowhere") == model / "nowhere"


def test_the_server_takes_the_same_one(model):
    ((_, versions),) = Place("model", model, "colours").models()
    assert versions[max(versions)] == newest_version(model)


def test_the_next_version_is_free(model, tmp_path):
    assert next_version(model) == model / "13"
    assert next_version(model / "4") == model / "4"
    assert next_version(model / "new") == model / "new" / "1"


def test_a_description_is_read_as_it_was_written(model):
    described = GOOD | {"classes": ["猫", "b"], "more": 1}
    write_description(model / "10", described)
    assert read_description(model) == read_description(model / "10") == described
    assert "猫" in (model / "10" / "labeler.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "does not describe an exported model"),
        ("[1]", "does not describe an exported model"),
        ("{}", "KeyError: 'format_version'"),
        (json.dumps({name: value for name, value in GOOD.items() if name != "limits"}), "KeyError: 'limits'"),
        ('{"format_version": 99}', "this version reads format 1. Received: .* of format 99"),
    ],
)
def test_a_description_of_something_else_is_refused(model, content, message):
    (model / "10" / "labeler.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_description(model)


def test_what_is_not_there_is_named(model):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        read_description(model / "nowhere")
    (model / "10" / "saved_model.pb").unlink()
    with pytest.raises(FileNotFoundError, match="an exported model is a folder with"):
        read_description(model / "10")


def test_nobody_else_knows_the_file():
    # The script runs where this package is not installed.
    package, knowing = Path(tfautolabel.__file__).parent, {"_model_folder.py", "export/standalone_check.py"}
    for file in package.rglob("*.py"):
        names = {
            node.value
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.Constant)
        }
        if file.relative_to(package).as_posix() not in knowing:
            assert "labeler.json" not in names, file
