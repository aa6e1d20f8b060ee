import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from report_runs import as_before_the_renaming, write_run

from tfautolabel.data.atomic import atomic_write
from tfautolabel.runs import commit
from tfautolabel.runs.commit import check_finished, finish, staging, staging_of_run
from tfautolabel.runs.identity import check_whole, digests
from tfautolabel.runs.outputs import check_model
from tfautolabel.runs.record import read_record, write_record

NEW = {
    "unreadable.csv": "id,reason\nnew,new\n",
    "predictions.csv": "id\nnew\n",
    "audit.csv": "number,id,label,correct\n1,new,cat,\n",
    "report.html": "new",
}


@pytest.fixture
def out(tmp_path):
    """A run with an audit list and a model."""
    out = write_run(tmp_path, evidence=False)
    (out / "audit.csv").write_text("number,id,label,correct\n1,old,cat,yes\n")
    (out / "predictions.csv").write_text("id\nold\n")
    (out / "model" / "1").mkdir(parents=True)
    (out / "model" / "1" / "labeler.json").write_text('{"tfautolabel.run": "old"}')
    (out / "model" / "1" / "graph").write_text("old")
    record = json.loads((out / "run.json").read_text())
    write_record(record | {"files": digests(out)}, out)
    return out


def write_new(staged):
    """Another run with the same names."""
    for name, content in NEW.items():
        (staged.folder / name).write_text(content)
    model = staged.folder / "model" / "1"
    model.mkdir(parents=True)
    (model / "labeler.json").write_text('{"tfautolabel.run": "new"}')
    (model / "graph").write_text("new")
    staged.will_replace("audit.csv")
    record = read_record(staged.out)
    write_record(record | {"id": "new", "files": digests(staged.folder)}, staged.folder)


def content(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def is_new(out):
    files = content(out)
    return (
        read_record(out)["id"] == "new"
        and all(files[name] == text.encode() for name, text in NEW.items())
        and files["model/1/graph"] == b"new"
        and not [name for name in files if name.startswith(".")]
    )


def test_all_files_take_their_places(out):
    with staging(out) as staged:
        write_new(staged)
        staged.commit()
    assert is_new(out)
    check_whole(out, read_record(out))
    check_model(out / "model")


def test_without_a_commit_all_is_as_it_was(out):
    before = content(out)
    with staging(out) as staged:
        write_new(staged)
    assert content(out) == before


class Killed(BaseException):
    """Stands for a process that ends on the spot."""


@pytest.mark.parametrize("exchanges", [True, False])
def test_killed_between_any_two_steps_it_is_the_old_run_or_finished_by_the_next_command(
    out, exchanges, monkeypatch, tmp_path
):
    """Each system call that changes a name is the last one of a process once."""
    if not exchanges:
        monkeypatch.setattr(commit, "exchange", lambda *_: False)
    rename, rmtree = os.rename, shutil.rmtree
    seen = {"old": 0, "unfinished": 0, "new": 0}
    for last in range(40):
        place = shutil.copytree(out, tmp_path / f"{last}")
        before, left = content(place), [last]

        def dying(call, left=left):
            def step(*arguments, **options):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return call(*arguments, **options)

            return step

        with monkeypatch.context() as patch, staging(place) as staged:
            write_new(staged)
            patch.setattr(os, "rename", dying(rename))
            patch.setattr(commit.shutil, "rmtree", dying(rmtree))
            try:
                staged.commit()
                died = False
            except Killed:
                died = True
            patch.undo()
        if not died:
            assert is_new(place)
            break
        if (place / ".commit" / "run.json").exists():
            seen["unfinished"] += 1
            with pytest.raises(ValueError, match=f"`tfautolabel report {place}` finishes it"):
                check_model(place / "model" / "1")
            with staging_of_run(place) as (_, record):
                check_whole(place, record)
            assert is_new(place)
        elif read_record(place)["id"] == "new":
            seen["new"] += 1
            with staging(place):
                assert is_new(place) or (place / ".lock").exists()
            assert is_new(place)
        else:
            seen["old"] += 1
            assert content(place) == before
    assert not died
    assert all(seen.values()), seen


def test_what_a_person_changed_is_kept(out):
    (out / "predictions.csv").write_text("id\nby hand\n")
    with staging(out) as staged:
        write_new(staged)
        (out / "audit.csv").write_text("number,id,label,correct\n1,old,cat,no\n")
        staged.commit()
    assert (out / "predictions-1.csv").read_text() == "id\nby hand\n"
    assert (out / "audit-1.csv").read_text().endswith("cat,no\n"), "it was changed while the run was at work"
    assert (out / "predictions.csv").read_text() == NEW["predictions.csv"]


@pytest.mark.parametrize("changed", [False, True])
def test_the_earlier_name_of_what_could_not_be_read_goes_with_its_run(out, changed):
    as_before_the_renaming(out)
    if changed:
        (out / "rejected.csv").write_text("id,reason\nby,hand\n")
    with staging(out) as staged:
        write_new(staged)
        staged.commit()
    assert is_new(out)
    assert not (out / "rejected.csv").exists()
    assert (out / "rejected-1.csv").exists() == changed


def test_somebodys_rejected_csv_stays(out):
    (out / "rejected.csv").write_text("my notes")
    with staging(out) as staged:
        write_new(staged)
        staged.commit()
    assert (out / "rejected.csv").read_text() == "my notes"


def test_a_list_of_an_earlier_run_goes_where_the_new_one_has_none(out):
    with staging(out) as staged:
        write_new(staged)
        (staged.folder / "audit.csv").unlink()
        write_record(read_record(staged.folder) | {"files": digests(staged.folder)}, staged.folder)
        staged.commit()
    assert not (out / "audit.csv").exists()


@pytest.mark.parametrize("name", ["predictions.csv", "predictions.parquet", "unreadable.csv", "audit.csv"])
def test_a_mixture_is_refused_and_what_is_gone_is_none(out, name):
    record = read_record(out)
    (out / name).write_text("number,id,label,correct\n1,other,cat,\n")
    with pytest.raises(ValueError, match=f"{name}, which is not the one .*: run again, or take it away"):
        check_whole(out, record)
    (out / name).unlink()
    check_whole(out, record)


def test_answers_are_no_mixture(out):
    (out / "audit.csv").write_text("number,id,label,correct,note\n1,old,cat,no,blurred\n")
    check_whole(out, read_record(out))


def test_the_model_of_another_run_is_refused(out, tmp_path):
    elsewhere = shutil.copytree(out / "model", tmp_path / "elsewhere" / "model")
    (out / "model" / "1" / "labeler.json").write_text('{"tfautolabel.run": "other"}')
    with pytest.raises(ValueError, match=r"labeler\.json, which is not the one"):
        check_model(out / "model")
    check_model(elsewhere)
    check_model(elsewhere / "1")


def test_a_full_disk_is_told_with_the_name_that_the_file_would_have(out):
    before, limits = content(out), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    message = f"^{re.escape(str(out / 'predictions.csv'))} cannot be written: file too large$"
    try:
        with pytest.raises(OSError, match=message), staging(out) as staged:
            fill(staged.folder / "predictions.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert content(out) == before


def fill(file):
    with atomic_write(file) as stream:
        stream.write("x" * 100_000)


HOLD = """
import sys, time
from pathlib import Path
from tfautolabel.runs.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_a_killed_one_leaves_the_way_free(tmp_path):
    out = tmp_path / "out"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, out], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RuntimeError, match=f"another process is at work on {out}"), staging(out):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with staging(out):
        pass
    assert not list(out.iterdir())
    with staging(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists(), "nothing was put into it"


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="which is a file"), staging(tmp_path / "file"):
        pass
    with (
        pytest.raises(OSError, match="out must be a folder that can be written"),
        staging(Path("/proc/none")),
    ):
        pass
    with pytest.raises(FileNotFoundError, match=r"holds run\.json"), staging_of_run(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()


def test_nothing_is_done_where_all_is_done(out):
    before = content(out)
    finish(out)
    check_finished(out)
    assert content(out) == before
