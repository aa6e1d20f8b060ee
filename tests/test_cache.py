import sys
from pathlib import Path

import pytest

from tfautolabel._cache import cache_dir, offline


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("TFAUTOLABEL_CACHE", "TFAUTOLABEL_OFFLINE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_own_setting_goes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "tfautolabel"
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    assert not cache_dir().exists()


def test_home_is_expanded_and_relative_paths_made_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("TFAUTOLABEL_CACHE", "~/weights")
    assert cache_dir() == Path.home() / "weights"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFAUTOLABEL_CACHE", "weights")
    assert cache_dir() == tmp_path / "weights"


@pytest.mark.parametrize(
    ("platform", "place"),
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")],
)
def test_platform_default(monkeypatch, platform, place):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_dir() == Path.home() / place / "tfautolabel"


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("TRUE", True), ("0", False), ("", False)])
def test_offline(monkeypatch, value, expected):
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", value)
    assert offline() is expected


def test_online_by_default_and_other_values_refused(monkeypatch):
    assert not offline()
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "maybe")
    with pytest.raises(ValueError, match="'maybe'"):
        offline()
