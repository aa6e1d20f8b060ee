"""Versions that come, go and are refused, on real SavedModels."""

import json
import shutil
import threading
import weakref

import numpy as np
import pytest
from report_runs import write_run
from served import Running, save_sums

from tfautolabel.runs.commit import staging
from tfautolabel.runs.identity import RUN_ID, digests
from tfautolabel.runs.outputs import check_model
from tfautolabel.runs.record import write_record
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.places import find_places
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.servable import load_servable

ASK = {"instances": [[1, 1, 1]]}


def states(models, name="sums"):
    found = models.status(name)["model_version_status"]
    return {int(each["version"]): each["state"] for each in found}


@pytest.fixture
def models(folder):
    models = ServedModels(find_places([str(folder)]))
    models.refresh(at_once=True)
    return models


def test_a_new_version_is_loaded_once_it_has_settled(models, folder, sums):
    shutil.copytree(sums / "2", folder / "sums" / "2")
    models.refresh()
    assert models.get("sums").version == 1
    models.refresh()
    assert models.get("sums").version == 2
    assert states(models) == {1: "END", 2: "AVAILABLE"}
    with pytest.raises(Refusal, match=r"Servable not found for request: Specific\(sums, 1\)"):
        models.get("sums", 1)


def test_more_versions_can_be_kept(folder, sums):
    shutil.copytree(sums / "2", folder / "sums" / "2")
    models = ServedModels(find_places([str(folder)]), keep=2)
    models.refresh(at_once=True)
    assert [models.get("sums", version).version for version in (1, 2)] == [1, 2]


def test_a_new_model_is_served(models, folder, sums):
    shutil.copytree(sums / "2", folder / "others" / "7")
    models.refresh(at_once=True)
    assert models.names() == ["others", "sums"]


def test_a_name_that_comes_twice_is_served_from_where_it_was_first(folder, sums, tmp_path, caplog):
    others = tmp_path / "others"
    shutil.copytree(sums / "1", others / "dogs" / "1")
    loaded = []

    def load(name, version, place):
        loaded.append(place)
        return load_servable(name, version, place)

    models = ServedModels(find_places([str(folder), str(others)]), load=load)
    models.refresh(at_once=True)
    shutil.copytree(sums / "2", others / "sums" / "2")
    caplog.set_level("ERROR", "tfautolabel.serving")
    for _ in range(3):
        models.refresh(at_once=True)
    assert models.get("sums").version == 1
    assert loaded == [folder / "sums" / "1", others / "dogs" / "1"]
    assert [record.error for record in caplog.records] == ["another model has its name"]


def test_an_old_version_comes_back_when_the_new_one_is_taken_away(models, folder, sums):
    shutil.copytree(sums / "2", folder / "sums" / "2")
    models.refresh(at_once=True)
    shutil.rmtree(folder / "sums" / "2")
    models.refresh(at_once=True)
    assert states(models) == {1: "AVAILABLE"}


def test_what_is_served_stays_when_all_folders_are_gone(models, folder):
    shutil.rmtree(folder)
    models.refresh(at_once=True)
    assert models.get("sums").version == 1


def test_a_version_that_is_let_go_frees_its_memory(models, folder, sums):
    old = weakref.ref(models.get("sums"))
    shutil.copytree(sums / "2", folder / "sums" / "2")
    models.refresh(at_once=True)
    assert old() is None


def _garbage(folder, sums):
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(bytes(range(256)) * 10)


def _half(folder, sums):
    shutil.copytree(sums / "2", folder)
    data = folder / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-10])


def _without_variables(folder, sums):
    shutil.copytree(sums / "2", folder)
    shutil.rmtree(folder / "variables")


def _without_graph(folder, sums):
    (folder / "variables").mkdir(parents=True)


def _not_an_export(folder, sums):
    shutil.copytree(sums / "2", folder)
    (folder / "labeler.json").write_text('{"classes": ["a"]}')


@pytest.mark.parametrize("spoil", [_garbage, _half, _without_variables, _without_graph, _not_an_export])
def test_bad_versions_are_refused_and_the_old_one_kept(models, folder, sums, spoil, caplog):
    spoil(folder / "sums" / "2", sums)
    for _ in range(3):
        models.refresh(at_once=True)
    assert models.get("sums").version == 1
    assert states(models) == {1: "AVAILABLE", 2: "END"}
    (bad,) = models.status("sums", 2)["model_version_status"]
    assert bad["status"]["error_code"] == "FAILED_PRECONDITION"
    assert bad["status"]["error_message"]
    # It is tried once, and again when it has changed.
    assert [record.message for record in caplog.records].count("version refused") == 1
    shutil.rmtree(folder / "sums" / "2")
    shutil.copytree(sums / "2", folder / "sums" / "2")
    models.refresh(at_once=True)
    assert states(models) == {1: "END", 2: "AVAILABLE"}


def test_a_version_that_is_written_again_is_loaded_again(models, folder, sums):
    before = models.get("sums")
    shutil.rmtree(folder / "sums" / "1")
    shutil.copytree(sums / "2", folder / "sums" / "1")
    models.refresh(at_once=True)
    assert models.get("sums") is not before
    (folder / "sums" / "1" / "saved_model.pb").write_bytes(b"garbage")
    after = models.get("sums")
    models.refresh(at_once=True)
    assert models.get("sums") is after
    assert "TensorFlow cannot load it" in str(models.status("sums"))


def test_an_export_that_does_not_give_what_was_recorded_is_refused(exports, tmp_path):
    shutil.copytree(exports / "texts" / "1", tmp_path / "1")
    assert load_servable("texts", 1, tmp_path / "1").description["modality"] == "text"
    description = json.loads((tmp_path / "1" / "labeler.json").read_text("utf-8"))
    description["examples"][0]["probabilities"][0] += 0.01
    (tmp_path / "1" / "labeler.json").write_text(json.dumps(description), "utf-8")
    with pytest.raises(ValueError, match=r"recorded examples are off by 0\.01"):
        load_servable("texts", 1, tmp_path / "1")


@pytest.fixture
def run(exports, tmp_path):
    """A function that makes the folder of a run with a model; runs of other ids have other models."""

    def make(name, run_id):
        out = write_run(tmp_path / name, evidence=False)
        shutil.copytree(exports / "texts" / "1", out / "model" / "1")
        description = json.loads((out / "model" / "1" / "labeler.json").read_text("utf-8"))
        (out / "model" / "1" / "labeler.json").write_text(json.dumps(description | {RUN_ID: run_id}), "utf-8")
        record = json.loads((out / "run.json").read_text("utf-8"))
        write_record(record | {"id": run_id, "files": digests(out)}, out)
        return out

    return make


def told(caplog):
    return [record.error for record in caplog.records if record.message == "version refused"]


@pytest.mark.parametrize("given", ["model", "model/1", "../../link", "."])
def test_a_mixture_of_runs_is_refused_while_the_old_model_is_served(run, tmp_path, caplog, given):
    out, other = run("out", "a" * 64), run("other", "b" * 64)
    (tmp_path / "link").symlink_to(out / "model")
    models = ServedModels(find_places([str(out) if given == "." else f"m={out / given}"]))
    models.refresh(at_once=True)
    name = "model" if given == "." else "m"
    old = models.get(name)
    assert old.description[RUN_ID] == "a" * 64

    shutil.rmtree(out / "model" / "1")
    shutil.copytree(other / "model" / "1", out / "model" / "1")
    for _ in range(3):
        models.refresh()
    assert models.get(name) is old
    with pytest.raises(
        ValueError, match=r"labeler\.json, which is not the one that run\.json tells of"
    ) as said:
        check_model(out / "model")
    assert told(caplog) == [str(said.value)], "once, in the words of the start"
    (state,) = models.status(name)["model_version_status"]
    assert state["status"]["error_message"] == str(said.value)

    # The record of the new run makes the folder whole, and the model itself does not change any more.
    shutil.copy(other / "run.json", out / "run.json")
    models.refresh()
    assert models.get(name).description[RUN_ID] == "b" * 64
    assert states(models, name) == {1: "AVAILABLE"}
    assert len(told(caplog)) == 1


def test_a_run_that_is_being_finished_is_served_once_it_is(run, caplog):
    out, other = run("out", "a" * 64), run("other", "b" * 64)
    models = ServedModels(find_places([f"m={out / 'model'}"]))
    models.refresh(at_once=True)
    # As a process that was killed between two steps leaves it.
    shutil.move(other / "model" / "1", out / "model" / "2")
    shutil.rmtree(out / "model" / "1")
    (out / "model" / "2").rename(out / "model" / "1")
    (out / ".commit").mkdir()
    shutil.copy(other / "run.json", out / ".commit" / "run.json")
    (out / ".commit" / "read.json").write_text("{}")
    for _ in range(3):
        models.refresh()
    assert models.get("m").description[RUN_ID] == "a" * 64
    (sentence,) = told(caplog)
    assert f"`tfautolabel report {out}` finishes it" in sentence
    with staging(out):
        pass
    models.refresh()
    assert models.get("m").description[RUN_ID] == "b" * 64


def test_a_version_that_changes_while_it_is_loaded_is_loaded_again(folder, sums):
    copies = [2]

    def load(name, version, place):
        loaded = load_servable(name, version, place)
        if copies:
            shutil.rmtree(place)
            shutil.copytree(sums / str(copies.pop()), place)
        return loaded

    models = ServedModels(find_places([str(folder)]), load=load)
    models.refresh(at_once=True)
    assert "its files changed while it was loaded" in str(models.status("sums"))
    models.refresh(at_once=True)
    assert models.get("sums").signature("").call({"x": np.ones((1, 3), np.float32)})["y"] == [6.0]


def test_versions_are_swapped_without_a_failed_request(folder):
    """Clients ask while one version after the other arrives, bad ones among them."""
    answers, stop = [], threading.Event()
    with Running(folder, poll=0.05) as server:

        def ask_on():
            while not stop.is_set():
                answers.append(server.predict(ASK))

        clients = [threading.Thread(target=ask_on) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            for version in range(2, 6):
                if version == 4:
                    _garbage(folder / "sums" / "4", None)
                    continue
                save_sums(folder / f".{version}", version)
                (folder / f".{version}").rename(folder / "sums" / str(version))
                while server.models.get("sums").version != version:
                    stop.wait(0.02)
        finally:
            stop.set()
            for client in clients:
                client.join()
        answers.append(server.predict(ASK))
    assert {status for status, _ in answers} == {200}
    seen = [answer["predictions"][0] for _, answer in answers]
    assert set(seen) == {3.0, 6.0, 9.0, 15.0}
    assert seen[-1] == 15.0
