"""A run's examples as tasks of Label Studio, and the way back."""

import csv
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from command import assert_one_sentence, tfautolabel
from hub_modules import make_image_module, make_text_module
from separable import write_flat
from unchecked_exports import unchecked_exports

from tfautolabel.jobs import run
from tfautolabel.jobs.export_tasks import export_tasks
from tfautolabel.runs import RunSettings
from tfautolabel.runs.label_config import parse_label_config

WORDS = {"praise": "good great film", "blame": "bad poor film"}


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with unchecked_exports():
        yield


def rows_of(file):
    with open(file, encoding="utf-8", newline="") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def quiet(folder):
    return {"cache_dir": folder / "cache", "progress": False}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A run on a table of texts, of which six have a label."""
    folder = tmp_path_factory.mktemp("texts")
    with open(folder / "texts.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "text", "label"])
        for number in range(20):
            name = list(WORDS)[number % 2]
            text = f'{WORDS[name]} "{number}"\nа ещё'
            writer.writerow([f"row-{number}", text, name if number < 6 else ""])
    settings = RunSettings(backbone=str(make_text_module(folder / "module")))
    run(folder / "texts.csv", folder / "out", settings=settings, **quiet(folder))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A run on a folder of pictures with names that addresses must escape."""
    folder = tmp_path_factory.mktemp("media")
    truth = write_flat(folder / "photos" / "a b#?%41é", 4)
    truth = {f"a b#?%41é/{name}": label for name, label in truth.items()}
    with open(folder / "labels.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *list(truth.items())[:6]])
    settings = RunSettings(backbone=str(make_image_module(folder / "module")))
    run(folder / "photos", folder / "out", labels=folder / "labels.csv", settings=settings, **quiet(folder))
    return folder, truth


def answered(tasks, answer):
    """What Label Studio exports for these tasks; `answer` gives the class for an id, or None to skip."""
    made = []
    for number, task in enumerate(tasks, 1):
        given = task.get("annotations")
        if given is None:
            label = answer(task["data"]["tal_id"])
            result = json.loads(json.dumps(task["predictions"][0]["result"]))
            result[0]["value"]["choices"] = [label]
            given = [{"was_cancelled": label is None, "result": [] if label is None else result}]
        given = [{"id": 7, "created_at": "2026-11-27T11:59:34.678946Z", **one} for one in given]
        made.append({"id": number, "data": task["data"], "annotations": given, "predictions": []})
    return made


def test_texts_there_and_back(texts, tmp_path):
    found = export_tasks(texts / "out", tmp_path / "tasks.json")
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    predicted = rows_of(texts / "out" / "predictions.csv")
    assert (found.asked, found.known, found.left_out, found.root) == (14, 6, 0, None)
    asked, known = tasks[:14], tasks[14:]
    unsure = [task["data"]["tal_uncertainty"] for task in asked]
    assert unsure == sorted(unsure, reverse=True)
    for task in asked:
        row = predicted[task["data"]["tal_id"]]
        (prediction,) = task["predictions"]
        assert prediction["result"][0]["value"] == {"choices": [row["label"]]}
        assert prediction["score"] == pytest.approx(float(row["confidence"]), abs=1e-4)
        assert task["data"]["tal_uncertainty"] == pytest.approx(1 - float(row["confidence"]), abs=1e-4)
        number = task["data"]["tal_id"].partition("-")[2]
        assert task["data"]["text"].endswith(f'film "{number}"\nа ещё')
        assert "annotations" not in task
    record = json.loads((texts / "out" / "run.json").read_text(encoding="utf-8"))
    assert {task["predictions"][0]["model_version"].rpartition(" ")[2] for task in asked} == {
        record["id"][:12]
    }
    assert {task["data"]["tal_id"] for task in known} == {f"row-{number}" for number in range(6)}
    config = parse_label_config(found.config.read_text(encoding="utf-8"))
    assert (config.modality, config.key, config.classes) == ("text", "text", ("blame", "praise"))

    # People answer half of them, and skip the others.
    def answer(name):
        number = int(name.partition("-")[2])
        return list(WORDS)[number % 2] if number < 13 else None

    (tmp_path / "export.json").write_text(json.dumps(answered(tasks, answer)), encoding="utf-8")
    done = tfautolabel(
        "run", texts / "texts.csv", "--labels", tmp_path / "export.json", "--out", tmp_path / "out",
        "--backbone", texts / "module", "--sampling", "chosen", cache=texts / "cache",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "people skipped 7 of 20 tasks: no label" in done.stderr
    assert set(rows_of(tmp_path / "out" / "predictions.csv")) == {f"row-{n}" for n in range(13, 20)}


def test_pictures_are_named_where_label_studio_serves_them(photos, tmp_path):
    folder, truth = photos
    found = export_tasks(folder / "out", tmp_path / "a.json", n=3)
    assert (found.asked, found.known, found.root) == (3, 6, folder / "photos")
    tasks = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    for task in tasks:
        address = urlsplit(task["data"]["image"])
        assert (address.path, address.fragment) == ("/data/local-files/", "")
        assert parse_qs(address.query)["d"] == [task["data"]["tal_id"]]
    (tmp_path / "b").mkdir()
    export_tasks(folder / "out", tmp_path / "b" / "b.json", root=folder)
    tasks = json.loads((tmp_path / "b" / "b.json").read_text(encoding="utf-8"))
    named = {parse_qs(urlsplit(task["data"]["image"]).query)["d"][0] for task in tasks}
    assert named == {f"photos/{name}" for name in truth}
    (tmp_path / "c").mkdir()
    export_tasks(folder / "out", tmp_path / "c" / "c.json", prefix="https://media.example.org/")
    tasks = json.loads((tmp_path / "c" / "c.json").read_text(encoding="utf-8"))
    assert tasks[0]["data"]["image"].startswith("https://media.example.org/a%20b%23%3F%2541%C3%A9/")
    with pytest.raises(ValueError, match="a folder around all of the data"):
        export_tasks(folder / "out", tmp_path / "d" / "d.json", root=folder / "photos" / "a b#?%41é" / "no")
    assert not list((tmp_path / "d").glob("*"))


def test_the_command_says_how_to_go_on_and_overwrites_nothing(photos, tmp_path):
    folder, _ = photos
    words = ("export-tasks", folder / "out", "--to", "label-studio", "-o", tmp_path / "tasks.json")
    done = tfautolabel(*words)
    assert done.returncode == 0, done.stderr
    assert "6 tasks with predictions" in done.stdout
    assert f"LOCAL_FILES_DOCUMENT_ROOT={folder / 'photos'}" in done.stdout
    assert "--labels export.json" in done.stdout
    assert "--sampling chosen" in done.stdout
    before = (tmp_path / "tasks.json").read_bytes()
    assert_one_sentence(tfautolabel(*words), "never overwritten")
    (tmp_path / "tasks.json").unlink()
    assert_one_sentence(tfautolabel(*words), "label_config.xml exists")
    assert not (tmp_path / "tasks.json").exists()
    assert before.startswith(b"[\n{")


def test_what_cannot_be_written_is_refused(texts, tmp_path):
    file = tmp_path / "tasks.json"
    with pytest.raises(ValueError, match="to='doccano'"):
        export_tasks(texts / "out", file, to="doccano")
    with pytest.raises(ValueError, match="n=0"):
        export_tasks(texts / "out", file, n=0)
    with pytest.raises(ValueError, match="need no root"):
        export_tasks(texts / "out", file, root=tmp_path)
    with pytest.raises(ValueError, match="must be an address"):
        export_tasks(texts / "out", file, prefix="photos")
    with pytest.raises(FileNotFoundError, match="which has none"):
        export_tasks(tmp_path, file)
    assert not file.exists()
