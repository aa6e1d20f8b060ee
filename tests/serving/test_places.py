import pytest

from tfautolabel.serving.places import find_places, fingerprint


def make(folder):
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    return folder


def found(*arguments):
    return {
        name: sorted(versions)
        for place in find_places([str(argument) for argument in arguments])
        for name, versions in place.models()
    }


def test_a_folder_of_models_a_model_and_a_version_are_told_apart(tmp_path):
    for name in ("cats/1", "cats/12", "dogs/3"):
        make(tmp_path / "all" / name)
    (tmp_path / "all" / "notes").mkdir()
    (tmp_path / "all" / "cats" / ".partial-1").mkdir()
    assert found(tmp_path / "all") == {"cats": [1, 12], "dogs": [3]}
    assert found(tmp_path / "all" / "cats") == {"cats": [1, 12]}
    assert found(tmp_path / "all" / "cats" / "12") == {"cats": [12]}
    assert found(make(tmp_path / "plain")) == {"plain": [1]}


def test_names_can_be_given(tmp_path):
    make(tmp_path / "x=y" / "1")
    assert found(f"pets={tmp_path / 'x=y'}", tmp_path / "x=y") == {"pets": [1], "x=y": [1]}


def test_models_that_come_later_are_seen(tmp_path):
    make(tmp_path / "all" / "cats" / "1")
    (place,) = find_places([str(tmp_path / "all")])
    make(tmp_path / "all" / "dogs" / "1")
    assert [name for name, _ in place.models()] == ["cats", "dogs"]


@pytest.mark.parametrize("path", ["", "empty", "pets=empty"])
def test_where_there_is_no_model_that_is_said(tmp_path, monkeypatch, path):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"numbered versions.*Received: {path}"):
        find_places([path])
    with pytest.raises(FileNotFoundError, match="there is no folder 'nowhere'"):
        find_places(["nowhere"])


@pytest.mark.parametrize("name", ["a:b", "a/b", ".a"])
def test_names_must_fit_into_an_address(tmp_path, name):
    with pytest.raises(ValueError, match="Received: '"):
        find_places([f"{name}={make(tmp_path / 'cats' / '1').parent}"])


def test_two_models_of_one_name_are_refused(tmp_path):
    one, other = (make(tmp_path / side / "cats" / "1").parent for side in "ab")
    with pytest.raises(ValueError, match="NAME=PATH"):
        find_places([str(one), str(other)])


def test_links_that_lead_nowhere_hide_nothing(tmp_path, monkeypatch):
    make(tmp_path / "cats" / "1")
    (tmp_path / "dogs").symlink_to("x" * 300)  # too long to be looked at: neither there nor not there
    (tmp_path / "loop").symlink_to("loop")
    assert [name for place in find_places([str(tmp_path)]) for name, _ in place.models()] == ["cats"]


def test_fingerprints_see_rights_and_behind_links(tmp_path):
    make(tmp_path / "elsewhere")
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "variables").symlink_to(tmp_path / "elsewhere")
    (folder / "back").symlink_to(folder)
    found = [fingerprint(folder)]
    (tmp_path / "elsewhere" / "saved_model.pb").chmod(0o600)
    found.append(fingerprint(folder))
    (tmp_path / "elsewhere" / "more").write_text("x")
    found.append(fingerprint(folder))
    assert len(set(found)) == 3


def test_fingerprints_change_with_the_files(tmp_path):
    folder = make(tmp_path / "1")
    seen = [fingerprint(folder)]
    assert fingerprint(folder) == seen[0]
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(b"1")
    seen.append(fingerprint(folder))
    (folder / "variables" / "data").write_bytes(b"12")
    seen.append(fingerprint(folder))
    (folder / "saved_model.pb").unlink()
    seen.append(fingerprint(folder))
    assert len(set(seen)) == 4
