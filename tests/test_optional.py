import pytest

from tfautolabel._optional import MissingExtraError, require


def test_returns_the_module():
    assert require("os.path", extra="text").join("a", "b")


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_missing_names_the_command(module):
    with pytest.raises(MissingExtraError, match=r'pip install "tfautolabel\[audio\]"') as caught:
        require(module, extra="audio")
    assert isinstance(caught.value, ImportError)
    assert caught.value.name == module


def test_a_dependency_missing_inside_is_not_taken_for_the_extra(tmp_path, monkeypatch):
    (tmp_path / "installed_but_broken.py").write_text("import its_missing_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="its_missing_dependency") as caught:
        require("installed_but_broken", extra="text")
    assert not isinstance(caught.value, MissingExtraError)
