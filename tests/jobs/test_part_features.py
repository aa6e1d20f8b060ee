"""A run whose features are computed elsewhere gives the same as one that does it itself."""

import csv
import json
import pickle
import threading

import numpy as np
import pytest
from crews import Ended, Threads

from tfautolabel.jobs import outcome
from tfautolabel.jobs.run import run
from tfautolabel.jobs.runners import RUNNERS
from tfautolabel.jobs.runners.hand_out import hand_out
from tfautolabel.labeler.fitted import Fitted
from tfautolabel.runs import RunSettings
from tfautolabel.runs.files import CANDIDATES, EVIDENCE, PREDICTIONS, UNREADABLE

WORDS = ("film", "room", "late", "clean", "phone", "not", "very")
ROWS, PART = 120, 32


class Elsewhere:
    """What a worker holds: its own copy of what extracts parts, loaded when it is needed.

    Args:
        extract: a `PartExtractor`.
        deadly: a text that ends the worker that reads it.
        often: how many workers it ends.
        fails_at: the text at which the whole job fails, or None.
    """

    def __init__(self, extract, deadly, often, fails_at):
        self._pickled, self._here = pickle.dumps(extract), threading.local()
        self._deadly, self._left, self._fails_at = deadly, often, fails_at
        self.set_aside = extract.set_aside

    def __call__(self, part, advance):
        values = part.read(range(len(part)))
        if self._fails_at in values:
            raise OSError("the disk is gone")
        if self._deadly in values and self._left:
            self._left -= 1
            raise Ended("killed")
        if not hasattr(self._here, "extract"):
            self._here.extract = pickle.loads(self._pickled)
        return self._here.extract(part, advance)


@pytest.fixture
def job(tmp_path, text_module, monkeypatch):
    rng = np.random.default_rng(0)
    words = [["bad", "good"][row % 2 :][:1] + rng.choice(WORDS, 1 + row % 5).tolist() for row in range(ROWS)]
    texts = [f"{' '.join(some)} {row}" for row, some in enumerate(words)]
    with open(tmp_path / "t.csv", "w", newline="") as file:
        rows = [[text, "gb"[row % 2] if row < 16 else ""] for row, text in enumerate(texts)]
        csv.writer(file).writerows([["text", "label"], *rows])
    monkeypatch.setattr(outcome, "SAMPLE", 20)
    monkeypatch.setitem(Fitted.extracted_parts.__kwdefaults__, "part_rows", PART)

    def start(name, runner="local", cache=None, deadly=None, often=0, fails_at=None):
        def threads(extract, parts, advance):
            worker = Elsewhere(extract, deadly, often, fails_at)
            yield from hand_out(Threads(worker, 2), parts, advance, worker)

        monkeypatch.setitem(RUNNERS, "threads", lambda _: threads)
        said = []
        run(
            tmp_path / "t.csv", tmp_path / name, settings=RunSettings(backbone=text_module), progress=False,
            cache_dir=tmp_path / (cache or f"{name}-cache"), runner=runner, say=said.append,
        )  # fmt: skip
        assert any(line.startswith("20 of the 104 examples to label, drawn at random") for line in said)
        return tmp_path / name

    start.texts, start.folder = texts, tmp_path
    return start


def record(out):
    return json.loads((out / "run.json").read_text())


def features(folder):
    """Everything in a cache of features, by key."""
    found = {}
    for file in folder.glob("*/*.index.npy"):
        index, rows = np.load(file), np.load(file.with_name(file.name.replace(".index.", ".rows.")))
        found |= {key.tobytes(): row.tobytes() for key, row in zip(index["key"], rows, strict=True)}
    return found


def same(one, other):
    for name in (*PREDICTIONS, CANDIDATES, UNREADABLE, EVIDENCE):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_features_are_the_same_wherever_they_are_computed(job):
    here, there = job("here"), job("there", "threads", deadly=job.texts[60].encode(), often=2)
    same(here, there)
    assert record(here)["id"] == record(there)["id"]
    assert record(here)["counts"] == record(there)["counts"]
    assert record(here)["pool_sample"] == {"examples": 20, "of": ROWS - 16}
    assert features(job.folder / "here-cache") == features(job.folder / "there-cache")
    assert len(features(job.folder / "here-cache")) == ROWS
    assert not [path.name for path in there.iterdir() if path.name.startswith(".") and path.is_dir()]

    with pytest.raises(OSError, match="the disk is gone"):
        job("cut", "threads", fails_at=job.texts[-1].encode())
    again = job("again", "threads", cache="cut-cache")
    same(here, again)
    assert record(again)["counts"]["features_computed"] < ROWS - 16 - 2 * PART


def test_a_part_that_ends_each_worker_is_set_aside(job):
    out = job("out", "threads", deadly=job.texts[-1].encode(), often=9)
    with open(out / "unreadable.csv", newline="") as file:
        aside = list(csv.DictReader(file))
    assert [row["id"] for row in aside] == [str(row) for row in range(16 + 3 * PART, ROWS)]
    why = "not labelled: 3 workers ended while they had this part: killed"
    assert {row["reason"] for row in aside} == {why}
    assert record(out)["counts"]["to_label"] == 3 * PART
