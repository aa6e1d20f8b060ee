import csv

import pytest
from command import assert_one_sentence, tfautolabel
from hub_modules import make_image_module, make_text_module
from separable import write_flat, write_folder_per_class

import tfautolabel as tal
from tfautolabel.active import query
from tfautolabel.jobs.query import query_list
from tfautolabel.runs import RunSettings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos, labels of twelve of them, and a backbone."""
    folder = tmp_path_factory.mktemp("query")
    truth = write_flat(folder / "photos", 20)
    with open(folder / "labels.csv", "w", encoding="utf-8") as file:
        file.write("path,label\n" + "".join(f"{name},{truth[name]}\n" for name in list(truth)[:12]))
    return folder, truth, make_image_module(folder / "module")


def command(place, *words):
    return tfautolabel(*words, cache=place[0] / "cache", cwd=place[0])


def rows_of(file):
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def fill(file, truth, but=()):
    """Answers all questions, except some."""
    rows = rows_of(file)
    for row in rows:
        row["label"] = row["label"] or ("" if row["id"] in but else truth[row["id"]])
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return rows


def test_from_nothing_to_a_run_and_on_from_it(place, tmp_path):
    _, truth, module = place
    ask = tmp_path / "ask.csv"
    done = command(place, "query", "photos", "-n", "12", "--out", ask, "--backbone", module)
    assert done.returncode == 0, done.stderr
    rows = rows_of(ask)
    assert [list(row) for row in rows] == [["id", "label", "reason"]] * 12
    assert len({row["id"] for row in rows} & set(truth)) == 12
    assert {row["label"] for row in rows} == {""}
    assert len({row["reason"] for row in rows}) == 1
    left = rows[3]["id"]
    fill(ask, truth, but=[left])
    next_step = next(line for line in done.stdout.splitlines() if line.startswith("  tfautolabel run"))
    assert "--sampling chosen" in next_step
    out = tmp_path / "out"
    words = [str(out) if word == "out" else word for word in next_step.split()[1:]]
    learnt = command(place, *words)
    assert learnt.returncode == 0, learnt.stderr
    labels = rows_of(out / "predictions.csv")
    assert left in {row["id"] for row in labels}
    assert not {row["id"] for row in rows if row["id"] != left} & {row["id"] for row in labels}

    more = tmp_path / "more.csv"
    again = command(place, "query", out, "-n", "8", "--out", more)
    assert again.returncode == 0, again.stderr
    asked, known = rows_of(more)[:8], rows_of(more)[8:]
    assert {row["id"]: row["label"] for row in known} == {
        row["id"]: row["label"] for row in fill(ask, truth, but=[left]) if row["label"]
    }
    assert not {row["id"] for row in asked} & {row["id"] for row in known}
    assert {row["label"] for row in asked} == {""}
    assert "(so far: blue, green, red)" in again.stdout
    assert f"--labels {more} --out {out} " in again.stdout
    assert_one_sentence(command(place, "query", out, "--out", tmp_path / "x", "--seed", "3"), "names its own")


def test_a_file_that_may_hold_answers_is_kept(place, tmp_path):
    ask = tmp_path / "ask.csv"
    ask.write_text("id,label,reason\n000.png,red,\n")
    words = ("query", "photos", "-n", "3", "--out", ask, "--backbone", place[2])
    assert_one_sentence(command(place, *words), "may hold answers", "--overwrite")
    assert ask.read_text() == "id,label,reason\n000.png,red,\n"
    done = command(place, *words, "--overwrite", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert len(rows_of(ask)) == 3


def test_labels_in_a_file_are_learnt_from_and_handed_on(place, tmp_path):
    folder, truth, module = place
    settings = RunSettings(backbone=str(module))
    found = query_list(
        folder / "photos",
        tmp_path / "ask.csv",
        5,
        labels=folder / "labels.csv",
        settings=settings,
        cache_dir=tmp_path,
        progress=False,
    )
    rows = rows_of(found.file)
    assert (found.asked, found.known, found.classes) == (5, 12, ("blue", "green", "red"))
    assert [row["id"] for row in rows[5:]] == list(truth)[:12]
    assert {row["reason"] for row in rows[5:]} == {"It has this label already."}


def test_the_default_head_learns_from_those_without_a_label(place, tmp_path, monkeypatch):
    learnt = []
    monkeypatch.setattr("tfautolabel.heads.auto.POOL_ROWS", 48)
    whole = query.query
    monkeypatch.setattr(
        query, "query", lambda labeler, *rest, **more: learnt.append(labeler) or whole(labeler, *rest, **more)
    )
    settings = RunSettings(backbone=str(place[2]))
    options = {"labels": place[0] / "labels.csv", "cache_dir": tmp_path, "progress": False}
    query_list(place[0] / "photos", tmp_path / "ask.csv", 5, settings=settings, **options)
    of_pool = learnt[0].transfer_["pool"]
    assert (of_pool["level"], of_pool["pool_rows"]) == ("maps", 48)


def test_labels_in_folders_of_their_own(place, tmp_path):
    write_folder_per_class(tmp_path / "classes", 3, first=40)
    options = ("--labelled", tmp_path / "classes", "--backbone", place[2])
    done = command(place, "query", "photos", "-n", "5", "--out", tmp_path / "ask.csv", *options)
    assert done.returncode == 0, done.stderr
    assert len(rows_of(tmp_path / "ask.csv")) == 5
    assert f"add them to {tmp_path / 'classes'}" in done.stdout


def test_what_cannot_be_asked_is_refused(place, tmp_path):
    ask = tmp_path / "ask.csv"
    assert_one_sentence(command(place, "query", "photos", "-n", "0", "--out", ask), "n=0")
    assert_one_sentence(command(place, "query", "photos", "--strategy", "x", "--out", ask), "a strategy is")
    assert_one_sentence(command(place, "query", "nowhere", "--out", ask), "nowhere")
    words = ("query", "photos", "--labels", "labels.csv", "--out", "labels.csv", "--overwrite")
    assert_one_sentence(command(place, *words), "must not replace an input")
    assert not ask.exists()


def test_texts_stand_in_the_list_and_compute_nothing(tmp_path):
    module = make_text_module(tmp_path / "module")
    table = tmp_path / "texts.csv"
    lines = [f'"=1+1 {"late " * (number % 9 + 1)}\nagain {number}"' for number in range(20)]
    table.write_text("text\n" + "\n".join(lines) + "\n", encoding="utf-8")
    words = ("query", table, "-n", "4", "--out", tmp_path / "ask.csv", "--backbone", module)
    done = tfautolabel(*words, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "ask.csv")
    assert [list(row) for row in rows] == [["id", "label", "reason", "text"]] * 4
    for row in rows:
        assert row["text"].startswith("'=1+1 late")
        assert row["text"].endswith(f"again {int(row['id'])}")
    fill(tmp_path / "ask.csv", {row["id"]: "ab"[number % 2] for number, row in enumerate(rows)})
    labelled = tal.load_dataset(table, tmp_path / "ask.csv").labelled
    assert set(labelled.ids.tolist()) == {row["id"] for row in rows}
