"""Exported models in stores are fetched once for each content."""

import pytest

from tfautolabel.data.remote_models import fetched_again, local_model


@pytest.fixture
def model(store, tmp_path, monkeypatch):
    """Versions of a model in a store."""
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path / "cache"))
    for version in ("1", "9", "10"):
        store.put(f"m/{version}/saved_model.pb", f"graph {version}")
        store.put(f"m/{version}/variables/data", f"variables {version}")
    store.put("m/11/readme", "no model")
    return store.address("m")


def test_the_highest_version_is_fetched(model, tmp_path):
    folder = local_model(model)
    assert folder.name == "10"
    files = {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }
    assert files == {"saved_model.pb": "graph 10", "variables/data": "variables 10"}
    assert local_model(f"{model}/9").name == "9"
    assert local_model(f"{model}/10") == folder
    assert local_model(tmp_path / "here") == tmp_path / "here"


def test_a_model_that_was_replaced_is_another_one(model, store):
    before = local_model(model)
    assert fetched_again_is(model, before)
    store.put("m/10/variables/data", "VARIABLES 10")  # as long as before
    after = local_model(model)
    assert after != before
    assert (after / "variables" / "data").read_text() == "VARIABLES 10"
    with pytest.raises(ValueError, match=r"was replaced since the command began"):
        fetched_again_is(model, before)


def fetched_again_is(model, folder):
    from tfautolabel.data.places import Place

    return fetched_again(Place(model), folder) == folder


def test_half_a_model_is_not_kept(model, store, tmp_path, monkeypatch):
    monkeypatch.setattr("tfautolabel.data.places.WAITS", ())
    store.fail("m/10/variables/data", 503, "GET")
    with pytest.raises(ConnectionError, match=r"variables/data cannot be read"):
        local_model(model)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    store.faults.clear()
    assert local_model(model).is_dir()


def test_a_model_that_changes_while_it_is_fetched_is_refused(model, store, tmp_path):
    def replace(environ):
        store.faults.clear()
        store.put("m/10/saved_model.pb", "another")

    store.fail("m/10/variables/data", replace, "GET")
    with pytest.raises(ConnectionError, match=r"replaced while it was read"):
        local_model(model)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("path", ["nothing", "m/11"])
def test_where_there_is_no_model(model, store, path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder|is a folder with saved_model\.pb"):
        local_model(store.address(path))


def test_names_that_lead_out_are_refused(model, store):
    store.put("m/10/a\\b", "x")
    with pytest.raises(ValueError, match=r"leads out of the folder"):
        local_model(model)
