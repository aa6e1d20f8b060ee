import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from command import assert_one_sentence, tfautolabel
from kills import kill_writers
from separable import write_flat, write_folder_per_class

from tfautolabel import _scratch
from tfautolabel.data import load_dataset, write_labels
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.writers import COLUMNS
from tfautolabel.jobs import label as job
from tfautolabel.jobs.label import label
from tfautolabel.labels import Labels, Unreadable

ROWS, PART = 100, 16
FORMATS = ("csv", "jsonl", "parquet")


class Hashes:
    """A model that labels a text by its hash, without TensorFlow; it dies after so many calls."""

    modality, description = "text", {}

    def __init__(self, folder, lives=10**9):
        self.folder, self.lives, self.labelled = folder, lives, 0

    def other_population(self, dataset):
        return None

    def label(self, dataset, *, min_confidence, batch_size, advance):
        if self.lives == 0:
            raise KeyboardInterrupt
        self.lives -= 1
        self.labelled += len(dataset)
        values = dataset.read(range(len(dataset)))
        kept = [row for row, value in enumerate(values) if not isinstance(value, ReadFailure)]
        scores = [int(hashlib.sha256(values[row]).hexdigest()[:6], 16) / 0xFFFFFF for row in kept]
        advance(len(dataset))
        return Labels.from_probabilities(
            dataset.ids[kept].tolist(),
            np.array([[score, 1 - score] for score in scores], np.float32).reshape(len(kept), 2),
            ["=good", "poor, or worse"],
            min_confidence=0.8 if min_confidence is None else min_confidence,
            unreadable=[
                Unreadable(dataset.ids[row], str(values[row]))
                for row in range(len(values))
                if row not in kept
            ],
            ood_score=np.array([np.nan if score < 0.1 else score for score in scores], np.float32),
        )


def stand_in(folder):
    """A model's folder, and texts in files and in a table, one of which cannot be read."""
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "weights").write_bytes(b"1")
    (folder / "texts").mkdir()
    texts = [f'text "{row}"'.encode() for row in range(ROWS)]
    texts[40] = b"\xff"
    for row, text in enumerate(texts):
        (folder / "texts" / f"r{row:03d}.txt").write_bytes(text)
    table = b"".join(b'r%03d,"%s"\n' % (row, text.replace(b'"', b'""')) for row, text in enumerate(texts))
    (folder / "texts.csv").write_bytes(b"name,text\n" + table)


@pytest.fixture
def place(tmp_path, monkeypatch):
    stand_in(tmp_path)
    monkeypatch.setattr(job, "PART_ROWS", PART)
    model = Hashes(tmp_path / "model")
    # In its place, TensorFlow is not imported.
    monkeypatch.setitem(sys.modules, "tfautolabel.export", SimpleNamespace(load_exported=lambda _: model))

    def run(name, lives=10**9, data="texts", **options):
        model.lives, model.labelled, said = lives, 0, []
        if data.endswith(".csv"):
            options |= {"input_column": "text", "id_column": "name"}
        result = label(
            tmp_path / "model", tmp_path / data, tmp_path / name, progress=False, say=said.append, **options
        )
        return SimpleNamespace(said=said, labelled=model.labelled, result=result)

    return SimpleNamespace(base=tmp_path, run=run, model=model)


def progress_folders(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("lives", [0, 1, 4])
def test_an_interrupted_job_goes_on_and_ends_with_the_same_bytes(place, ending, lives):
    whole = place.run(f"whole.{ending}")
    assert (whole.labelled, whole.result.kept, whole.result.total) == (ROWS, 0, ROWS - 1)
    with pytest.raises(KeyboardInterrupt):
        place.run(f"cut.{ending}", lives)
    assert not (place.base / f"cut.{ending}").exists()
    again = place.run(f"cut.{ending}")
    assert (again.labelled, again.result.kept) == (ROWS - lives * PART, lives * PART)
    words = f"{lives * PART} of {ROWS} rows had been labelled before the job was interrupted"
    assert (words in again.said) == bool(lives)
    for name in (f"{{}}.{ending}", "{}.unreadable.csv"):
        one, other = (place.base / name.format(which) for which in ("whole", "cut"))
        assert one.read_bytes() == other.read_bytes()
    assert (again.result.accepted, again.result.reasons) == (whole.result.accepted, whole.result.reasons)
    assert progress_folders(place.base) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_the_output_is_what_labelling_at_once_gives(place, ending):
    place.run(f"parts.{ending}")
    dataset = load_dataset(place.base / "texts", None)
    at_once = Hashes(None).label(dataset, min_confidence=None, batch_size=1, advance=lambda _: None)
    write_labels(at_once, place.base / f"at-once.{ending}")
    assert (place.base / f"parts.{ending}").read_bytes() == (place.base / f"at-once.{ending}").read_bytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda base: (base / "model" / "weights").write_bytes(b"2"), "model"),
        (lambda base: (base / "model" / "more").touch(), "model"),
        (lambda base: (base / "texts" / "r099.txt").unlink(), "list of rows"),
        (None, "settings"),
    ],
)
def test_another_model_list_or_setting_starts_anew(place, change, reason):
    with pytest.raises(KeyboardInterrupt):
        place.run("out.csv", 3)
    options = {}
    if change:
        change(place.base)
    else:
        options["min_confidence"] = 0.3
    again = place.run("out.csv", **options)
    assert again.result.kept == 0
    assert again.said[-1].endswith(f"out.csv are not used, because of another {reason}")
    fresh = place.run("fresh.csv", **options)
    assert (place.base / "out.csv").read_bytes() == (place.base / "fresh.csv").read_bytes()
    assert fresh.labelled == again.labelled


def test_rows_that_changed_are_labelled_again(place):
    with pytest.raises(KeyboardInterrupt):
        place.run("out.csv", 3)
    file = place.base / "texts" / "r020.txt"
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"20", b"2O"))  # as many bytes, at the same time
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = place.run("out.csv")
    assert (again.labelled, again.result.kept) == (ROWS - 2 * PART, 2 * PART)
    assert again.said[-1] == f"{PART} rows were labelled again, because some of them changed since"
    place.run("fresh.csv")
    assert (place.base / "out.csv").read_bytes() == (place.base / "fresh.csv").read_bytes()


def test_a_table_goes_on_too(place):
    whole = place.run("whole.csv", data="texts.csv")
    with pytest.raises(KeyboardInterrupt):
        place.run("cut.csv", 3, data="texts.csv")
    assert place.run("cut.csv", data="texts.csv").result.kept == 3 * PART
    assert (place.base / "cut.csv").read_bytes() == whole.result.labels_file.read_bytes()


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"PAR1"), lambda file: file.unlink()])
def test_a_part_that_is_damaged_or_gone_is_labelled_again(place, damage):
    place.run("fresh.csv")
    with pytest.raises(KeyboardInterrupt):
        place.run("out.csv", 3)
    damage(sorted((place.base / ".out.csv.progress").glob("part-*"))[1])
    assert place.run("out.csv").labelled == ROWS - 2 * PART
    assert (place.base / "out.csv").read_bytes() == (place.base / "fresh.csv").read_bytes()


def test_killed_after_the_output_was_written_it_ends_the_same(place, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(job.LabelledParts, "remove", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            place.run("out.csv")
    first = (place.base / "out.csv").read_bytes()
    assert place.run("out.csv").labelled == 0
    assert (place.base / "out.csv").read_bytes() == first
    assert progress_folders(place.base) == []


def test_a_mistake_leaves_nothing(place):
    with pytest.raises(FileNotFoundError):
        place.run("out.csv", data="nowhere")
    with pytest.raises(FileNotFoundError):
        place.run("folder", data="nowhere")
    assert sorted(os.listdir(place.base)) == ["model", "texts", "texts.csv"]


def test_the_same_job_at_the_same_time_is_refused(place):
    parts = job.LabelledParts(place.base / "out.csv")
    with parts.alone(), pytest.raises(BlockingIOError, match=r"another process is writing .*out\.csv"):
        place.run("out.csv")
    place.run("out.csv")


@pytest.mark.parametrize("name", ["mine.csv", "mine.jsonl", "mine.parquet"])
@pytest.mark.parametrize(
    "content", [b"path,label\na.jpg,cat\n", b'{"path": "a.jpg"}\n', b"\xff\x00", b"[]\n1"]
)
def test_a_file_of_somebody_else_is_not_overwritten(place, name, content):
    (place.base / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} exists and was not written by this command"):
        place.run(name)
    assert (place.base / name).read_bytes() == content


def test_neither_are_unreadable_rows_of_somebody_else(place):
    (place.base / "out.unreadable.csv").write_text("my,notes\n")
    with pytest.raises(ValueError, match=r"out\.unreadable\.csv exists"):
        place.run("out.csv")


@pytest.mark.parametrize("ending", FORMATS)
def test_its_own_output_is(place, ending):
    first = place.run(f"out.{ending}").result.labels_file.read_bytes()
    assert place.run(f"out.{ending}").result.labels_file.read_bytes() == first


def test_an_input_is_not_overwritten_even_if_it_is_ours(place):
    file = place.base / "texts.csv"
    file.write_text(",".join(COLUMNS) + "\n")
    (place.base / "link.csv").symlink_to("texts.csv")
    for name in ("texts.csv", "link.csv"):
        with pytest.raises(ValueError, match="results must not replace an input"):
            place.run(name, data="texts.csv")


def test_a_place_that_cannot_be_written_is_told_before_work(tmp_path):
    table = tmp_path / "texts.csv"
    table.write_text("text\ngood\n")
    done = tfautolabel("label", tmp_path / "no-model", table, "--out", "/proc/labels.csv")
    assert_one_sentence(done, "/proc/labels.csv cannot be written")


def once(folder, ending):
    """In a process that has no TensorFlow."""
    sys.modules["tfautolabel.export"] = SimpleNamespace(load_exported=lambda name: Hashes(Path(name)))
    job.PART_ROWS = PART
    if not (folder / "texts.csv").exists():
        stand_in(folder)
    return label(folder / "model", folder / "texts", folder / f"out.{ending}", progress=False)


def write(folder, number):
    once(folder, FORMATS[number % 3])


def check(folder):
    _scratch._swept.clear()  # Each look stands for another start.
    for ending in FORMATS:
        if not (folder / "fresh" / f"out.{ending}").exists():
            once(folder / "fresh", ending)
        once(folder, ending)
        assert (folder / f"out.{ending}").read_bytes() == (folder / "fresh" / f"out.{ending}").read_bytes()
    outputs = {f"out.{ending}" for ending in FORMATS}
    assert {*os.listdir(folder)} == outputs | {"out.unreadable.csv", "texts", "texts.csv", "model", "fresh"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_may_be_killed_at_any_moment(tmp_path):
    kill_writers("jobs/test_label", "write", "check", tmp_path, times=20, longest=0.1)


CHILD = """
import sys
from tfautolabel.jobs import label as job
job.PART_ROWS = int(sys.argv[1])
job.label(*sys.argv[2:], progress=False)
"""


@pytest.fixture
def colours(tmp_path, image_module, monkeypatch):
    """A small model, and pictures to label: enough for a process to be killed while it labels them."""
    import tfautolabel as tal
    from tfautolabel.export import saved_model

    monkeypatch.setattr(saved_model, "SelfCheck", MagicMock())  # tested elsewhere, and slow
    labelled = tal.load_dataset(write_folder_per_class(tmp_path / "labelled", 6))
    labeler = tal.Labeler(str(image_module), labelled.classes, cache_dir=tmp_path / "cache")
    labeler.fit(labelled)
    labeler.export(tmp_path / "model")
    write_flat(tmp_path / "photos", 150)
    (tmp_path / "photos" / "broken.png").write_bytes(b"nothing")
    return tmp_path


@pytest.mark.usefixtures("optimised_graphs")
def test_with_a_real_model_in_a_process_that_is_killed(colours, monkeypatch):
    part, model, photos, out = 16, colours / "model", colours / "photos", colours / "out.parquet"
    command = [sys.executable, "-c", CHILD, part, model, photos, out]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(colours.glob(".out.parquet.progress/part-*"))) < 3 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    monkeypatch.setattr(job, "PART_ROWS", part)
    again = label(model, photos, out, progress=False)
    assert 3 * part <= again.kept < 450
    assert again.total == 450
    fresh = label(model, photos, colours / "fresh.parquet", progress=False)
    assert fresh.kept == 0
    assert out.read_bytes() == fresh.labels_file.read_bytes()
    assert again.unreadable == fresh.unreadable
    assert again.unreadable[0].id == "broken.png"
    assert progress_folders(colours) == []


def test_data_of_another_population_is_warned_of(place, monkeypatch):
    monkeypatch.setattr(place.model, "other_population", lambda _: 0.0004)
    with pytest.warns(UserWarning, match=r"on which the model's labels were judged \(p = 0\.0004\)"):
        assert place.run("out.csv").result.other_population == 0.0004
