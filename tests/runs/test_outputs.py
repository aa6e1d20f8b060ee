import os

import pytest
from report_runs import write_run

from tfautolabel.report import write_report
from tfautolabel.runs.files import FILES
from tfautolabel.runs.outputs import check_no_run, check_outputs, check_places


def test_a_folder_of_a_run_is_ours(tmp_path):
    out = write_run(tmp_path)
    write_report(out)
    with pytest.raises(ValueError, match=r"predictions\.parquet, which is something else"):
        check_places(out, [])
    os.remove(out / "predictions.parquet")  # the made-up one carries no id
    check_places(out, [tmp_path / "labels.csv", None, object()])


@pytest.mark.parametrize("name", [name for name in FILES if name != "run.json"])
@pytest.mark.parametrize(
    "content", [b"", b"path,label\na.png,cat\n", b"\x00\xff"], ids=["empty", "csv", "bytes"]
)
def test_what_somebody_made_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"must not replace what no run wrote. Received: {tmp_path / name},"):
        check_places(tmp_path, [])
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"mine": 1}', b'{"settings": {}}'])
def test_a_record_that_cannot_be_used_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{tmp_path}/run\.json"):
        check_places(tmp_path, [])


def test_somebodys_model_is_refused(tmp_path):
    (tmp_path / "model" / "1").mkdir(parents=True)
    check_places(tmp_path, [])
    (tmp_path / "model" / "1" / "labeler.json").write_text('{"classes": []}')
    with pytest.raises(ValueError, match=r"Received: .*model/1,"):
        check_places(tmp_path, [])


@pytest.mark.parametrize("name", ["predictions.csv", "report.html", "model", "model/1", "run.json"])
def test_links_are_refused(tmp_path, name):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=f"are no links. Received: {out / name}"):
        check_places(out, [])


@pytest.mark.parametrize("how", ["name", "dots", "link", "hard link", "linked folder"])
def test_an_input_is_no_output_whatever_leads_to_it(tmp_path, how):
    folder = tmp_path / "out"
    folder.mkdir()
    labels = folder / "labels.csv"
    labels.write_text("path,label\n")
    given = {
        "name": labels,
        "dots": folder / ".." / "out" / "labels.csv",
        "link": tmp_path / "link",
        "hard link": tmp_path / "hard",
        "linked folder": tmp_path / "folder" / "labels.csv",
    }[how]
    (tmp_path / "link").symlink_to(labels)
    (tmp_path / "hard").hardlink_to(labels)
    (tmp_path / "folder").symlink_to(folder)
    with pytest.raises(ValueError, match=f"must not replace an input. Received: {labels}, which is {given}"):
        check_outputs([labels], [None, str(given)])


def test_a_file_of_a_run_is_no_place_for_other_labels(tmp_path):
    out = write_run(tmp_path)
    with pytest.raises(ValueError, match=r"holds a run, of which predictions\.csv is a part"):
        check_no_run(out / "predictions.csv")
    check_no_run(out / "mine.csv")
    check_no_run(tmp_path / "predictions.csv")
