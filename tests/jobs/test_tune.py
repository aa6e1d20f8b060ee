import csv
import json
from dataclasses import replace

import pytest
from hub_modules import make_image_module
from separable import write_flat, write_folder_per_class

import tfautolabel as tal
import tfautolabel.jobs.tune as tune_job
from tfautolabel.jobs import run
from tfautolabel.jobs.tune import tune
from tfautolabel.runs import RunSettings
from tfautolabel.runs.lock import locked


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A backbone, a cache, labelled pictures in folders, and others."""
    base = tmp_path_factory.mktemp("place")
    make_image_module(base / "module")
    write_folder_per_class(base / "labelled", 5)
    write_flat(base / "pool", 2, first=50)
    (base / "labels.csv").write_text("path,label\n000.png,blue\n001.png,green\n")
    return base


def test_tuning_writes_trials_a_model_and_a_record(place):
    said = []
    result = tune(
        place / "labelled", place / "tuned", settings=RunSettings(backbone=str(place / "module"), trials=2),
        say=said.append, cache_dir=place / "cache", progress=False,
    )  # fmt: skip
    record = json.loads((place / "tuned" / "tune.json").read_text())
    assert record["tuning"]["trials"] == 2
    assert record["tuning"]["reason"] == said[-1] == result.searches.head.reason
    assert record["cross_validation"]["examples"] == 15
    names = {path.name for path in (place / "tuned").iterdir()}
    assert names >= {"trials.csv", "trials.json", "trials.svg", "tensorboard", "model", "tune.json"}
    labels = tal.load_exported(result.model).label(tal.load_dataset(place / "pool"))
    assert len(labels) == 6


def test_what_a_run_takes_tuning_takes_too(place, monkeypatch):
    settings = RunSettings(backbone=str(place / "module"), trials=1)
    read, found = tune_job.read_examples, []

    def stop(source, out):
        found.append(read(source, out))
        raise InterruptedError

    monkeypatch.setattr(tune_job, "read_examples", stop)
    for options in ({"labelled": place / "labelled"}, {"labels": place / "labels.csv"}):
        with pytest.raises(InterruptedError):
            tune(place / "pool", place / "same", settings=settings, **options)
    assert [len(dataset.labelled) for dataset in found] == [15, 2]
    assert found[0].classes == ("blue", "green", "red")
    monkeypatch.undo()
    both = {"labelled": place / "labelled", "labels": place / "labels.csv"}
    with pytest.raises(ValueError, match="Received: both"):
        tune(place / "pool", place / "same", settings=settings, **both)
    with pytest.raises(FileNotFoundError, match=r"there is no folder or file .*nowhere"):
        tune(place / "nowhere", place / "same", settings=settings, labelled=place / "labelled")


def test_a_run_tunes_first_and_records_it(place):
    settings = RunSettings(backbone=str(place / "module"), tune=True, trials=2)
    result = run(
        place / "pool", place / "out", labelled=place / "labelled", settings=settings,
        cache_dir=place / "cache", progress=False,
    )  # fmt: skip
    assert RunSettings.from_dict(result.record["settings"]) == settings
    assert "--tune --trials 2" in result.report.read_text(encoding="utf-8")
    assert result.record["tuning"]["trials"] == 2
    with (place / "out" / "tuning" / "trials.csv").open(newline="") as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["default", "0", "1"]


def test_fine_tuning_is_searched_for_too(place):
    said = []
    settings = RunSettings(
        backbone=str(place / "module"), trials=1, transfer="model", class_weight="balanced", time_budget="10m"
    )
    result = tune(
        place / "labelled", place / "deep", settings=settings, cache_dir=place / "cache", progress=False,
        say=said.append,
    )  # fmt: skip
    found = result.record["tuning"]["fine_tuning"]
    assert found["reason"] == said[-1] == result.searches.fine_tuning.reason
    assert found["trials"] == 1
    assert found["in_time"]
    assert result.record["transfer"]["settings"] == found["settings"]
    assert (place / "deep" / "fine_tuning" / "trials.svg").is_file()


def test_a_search_that_goes_on_says_so(place):
    said, options = [], {"cache_dir": place / "cache", "progress": False}
    settings = RunSettings(backbone=str(place / "module"), trials=2)
    tune(place / "labelled", place / "again", settings=settings, **options)
    more = replace(settings, trials=3)
    result = tune(place / "labelled", place / "again", settings=more, say=said.append, **options)
    assert result.searches.head.made_before == result.record["tuning"]["made_before"] == 2
    assert any("2 trials of this very search were there already" in sentence for sentence in said)


def test_results_need_a_folder_that_can_be_written(place, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="which is a file"):
        tune(place / "labelled", tmp_path / "file")
    with pytest.raises(OSError, match=r"out must be a folder that can be written\. Received: /proc/none"):
        tune(place / "labelled", "/proc/none")


def test_one_process_at_a_time_searches_in_a_folder(place, tmp_path):
    with locked(tmp_path), pytest.raises(RuntimeError, match="another process is at work"):
        tune(place / "labelled", tmp_path)


def test_one_class_is_told(place, tmp_path):
    write_folder_per_class(tmp_path / "one", 2, classes=["red"])
    with pytest.raises(ValueError, match="at least two classes"):
        tune(tmp_path / "one", tmp_path / "out")
