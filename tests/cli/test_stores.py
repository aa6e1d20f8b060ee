"""A run, its model and new labels, with everything but the run's folder in a store."""

import csv
import io
import json
from unittest.mock import MagicMock

import pytest
from command import tfautolabel
from stores import KEY, SECRET

WORDS = {"cat": "purring whiskers meow kitten", "dog": "barking fetch bone puppy"}


@pytest.fixture
def texts(store):
    """Texts in a folder for each class, and in one folder, and a table that names some of them."""
    for row in range(40):
        name = ("cat", "dog")[row % 2]
        words = WORDS[name].split()
        text = f"It was {words[row % 4]} and {words[(row + 1) % 4]} number {row}"
        store.put(f"flat/{row:02d}.txt", text)
        if row < 24:
            store.put(f"labelled/{name}/{row:02d}.txt", text)
    rows = "".join(f"{store.address(f'flat/{row:02d}.txt')},{('cat', 'dog')[row % 2]}\n" for row in range(24))
    store.put("labels.csv", f"path,label\n{rows}")
    return store


def test_from_labels_to_a_report(texts, tmp_path, monkeypatch):
    from tfautolabel.export import saved_model

    monkeypatch.setattr(saved_model, "SelfCheck", MagicMock())  # tested elsewhere, and slow
    cache, out = tmp_path / "cache", tmp_path / "out"
    query = f"?X-Amz-Signature={SECRET}"
    flat, labels = texts.address("flat"), texts.address("labels.csv") + query
    done = tfautolabel(
        "run", flat, "--labels", labels, "--out", out, "--backbone", "plain:words", cache=cache
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((out / "run.json").read_text())
    assert record["inputs"]["data"] == flat
    assert record["inputs"]["labels"] == texts.address("labels.csv")
    texts.put_tree(out / "model", "model")

    labelled = texts.address("labels/new.csv")
    again = tfautolabel("label", texts.address("model"), flat, "--out", labelled, cache=cache)
    assert again.returncode == 0, again.stderr
    assert labelled in again.stdout
    found = {
        row["id"]: row["label"] for row in csv.DictReader(io.StringIO(texts.get("labels/new.csv").decode()))
    }
    assert found == {f"{row:02d}.txt": ("cat", "dog")[row % 2] for row in range(40)}

    report = tmp_path / "report.html"
    examples = texts.address("labelled")
    measured = tfautolabel(
        "evaluate", texts.address("model"), examples, "--report", report, "--json", cache=cache
    )
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout)["accuracy"] == 1
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    written += [one.encode() for ran in (done, again, measured) for one in (ran.stdout, ran.stderr)]
    for content in written:
        assert KEY.encode() not in content
        assert SECRET.encode() not in content
    assert not any("s3:" in path.name for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "s3://{}:{}@bucket/a", "--labels", "l.csv", "--out", "out"),
        ("label", "model", "s3://{}:{}@bucket/a", "--out", "labels.csv"),
        ("label", "model", "texts", "--out", "s3://{}:{}@bucket/labels.csv"),
        ("label", "s3://{}:{}@bucket/model", "texts", "--out", "labels.csv"),
        ("evaluate", "s3://{}:{}@bucket/model", "texts"),
        ("merge", "s3://{}:{}@bucket/labels.csv"),
        ("query", "s3://{}:{}@bucket/a", "--output", "q.csv"),
        ("audit", "s3://{}:{}@bucket/a"),
        ("serve", "s3://{}:{}@bucket/a"),
        ("check", "s3://{}:{}@bucket/a"),
    ],
)
def test_keys_in_addresses_are_refused_and_not_shown(arguments, tmp_path):
    arguments = [word.format(KEY, SECRET) for word in arguments]
    done = tfautolabel(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "credentials come from the environment" in done.stderr
    assert KEY not in done.stdout + done.stderr
    assert SECRET.split("/")[-1] not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
