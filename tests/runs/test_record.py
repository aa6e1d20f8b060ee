import json

import pytest
from report_runs import write_run

from tfautolabel.runs.inputs import Source
from tfautolabel.runs.record import read_record, settings_of, write_record


def test_what_is_written_is_read(tmp_path):
    record = read_record(write_run(tmp_path, extras=False, evidence=False))
    write_record(record | {"notes": ["Ünï😀"]}, tmp_path)
    assert read_record(tmp_path) == record | {"notes": ["Ünï😀"]}
    assert settings_of(record).min_confidence == 0.85
    assert Source.from_record(record).settings.modality == "image"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "must be what a run writes"),
        (b"", "must be what a run writes"),
        (b"[]", "must be what a run writes"),
        (b"{}", "must be what a run writes"),
        (b"null", "must be what a run writes"),
        (b"\xff\xfe", "must be what a run writes"),
        (b'{"format_version": 2}', "must be what a run writes"),
        (b'{"settings": {}, "counts": {}}', r"run again into a new folder\. .* of format 1,"),
        (b'{"format_version": 3}', r"run again into a new folder\. .* of format 3,"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_with_the_file(tmp_path, content, message):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as refusal:
        read_record(tmp_path)
    assert str(tmp_path / "run.json") in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "entry", ["versions", "inputs", "settings", "backbone", "counts", "cross_validation"]
)
def test_a_record_that_lacks_an_entry_is_refused(tmp_path, entry):
    out = write_run(tmp_path, extras=False, evidence=False)
    record = json.loads((out / "run.json").read_text())
    del record[entry]
    write_record(record, out)
    with pytest.raises(ValueError, match=f"{entry}.*run.json"):
        read_record(out)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds run\.json"):
        read_record(tmp_path)
