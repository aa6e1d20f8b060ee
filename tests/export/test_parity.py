import json
import subprocess
import sys

import pytest

from tfautolabel.export import CheckFailure, check_saved_model, load_exported, standalone_check
from tfautolabel.export.parity import SelfCheck
from tfautolabel.export.standalone_check import check


def rewrite(folder, **changes):
    file = folder / "labeler.json"
    description = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(description | changes), encoding="utf-8")


def test_a_healthy_model_passes_and_is_left_as_it_was(copy, own_checks):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    assert check_saved_model(copy) == 6
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_classes_in_another_order_are_noticed(copy):
    classes = json.loads((copy / "labeler.json").read_text(encoding="utf-8"))["classes"]
    rewrite(copy, classes=classes[::-1])
    (failure,) = check(str(copy))[0]
    assert failure.startswith("labeler.json lists the classes ")
    with pytest.raises(ValueError, match="must list the classes that the model knows"):
        load_exported(copy)


def test_other_labels_and_probabilities_are_noticed(copy):
    examples = json.loads((copy / "labeler.json").read_text(encoding="utf-8"))["examples"]
    examples[1]["probabilities"] = [1.0, 0.0, 0.0]
    examples[2]["label"] = "wolf"
    examples[3]["probabilities"] = [1.0]
    rewrite(copy, examples=examples)
    with pytest.raises(CheckFailure) as failure:
        check_saved_model(copy)
    message = str(failure.value)
    assert message.startswith(f"{copy} is not healthy: ")
    assert "the probabilities of recorded example 1 differ by" in message
    assert "recorded example 2 is labelled" in message
    assert "'wolf' was recorded" in message
    assert "example 3" in message
    assert "example 0" not in message


def test_a_truncated_graph_is_noticed(copy):
    graph = copy / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:5000])
    with pytest.raises(CheckFailure, match=f"^{copy} is not healthy: TensorFlow cannot load it: ") as failure:
        check_saved_model(copy)
    assert "tfautolabel-check-" not in str(failure.value), "the copy is gone when this is read"
    assert "\n" not in str(failure.value)
    with pytest.raises(ValueError, match="the exported model cannot be loaded"):
        load_exported(copy)


@pytest.mark.parametrize("content", ["{", "[]", '{"classes": ["a"]}'])
def test_a_description_that_is_none_is_noticed(copy, content):
    (copy / "labeler.json").write_text(content)
    with pytest.raises(ValueError, match=r"labeler\.json does not describe an exported model"):
        load_exported(copy)
    (failure,) = check(str(copy))[0]
    assert failure.startswith("labeler.json is not what an export writes")


def test_a_description_without_examples_is_not_healthy(copy):
    rewrite(copy, examples=[])
    assert check(str(copy)) == (["labeler.json holds no recorded examples"], 0)


def test_another_savedmodel_is_not_healthy(copy, tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures={"serving_default": module.f})
    (tmp_path / "other" / "labeler.json").write_bytes((copy / "labeler.json").read_bytes())
    assert "there is no signature 'features'" in check(str(tmp_path / "other"))[0]
    with pytest.raises(ValueError, match="the exported model cannot be loaded"):
        load_exported(tmp_path / "other")


@pytest.mark.parametrize("name", ["saved_model.pb", "labeler.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"which has no {name}"):
        check_saved_model(copy)
    with pytest.raises(FileNotFoundError, match="an exported model is a folder with"):
        load_exported(copy)


def test_another_format_is_refused(copy):
    rewrite(copy, format_version=99)
    with pytest.raises(ValueError, match=r"reads format 1\. Received: .* of format 99"):
        load_exported(copy)


def test_a_check_that_nobody_asks_ends_with_whoever_began_it(own_checks):
    with SelfCheck() as check:
        process, scratch = check._process, check._scratch
        assert scratch.is_dir()
    assert process.poll() is not None
    assert not scratch.exists()
    waiting = subprocess.Popen(
        [sys.executable, "-I", standalone_check.__file__, "nowhere", "--wait"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    said, _ = waiting.communicate("")  # as where the process that exports was killed
    assert (waiting.returncode, said) == (0, "")
