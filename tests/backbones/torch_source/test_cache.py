import json
import threading

import numpy as np
import pytest

from tfautolabel.backbones.torch_source import cache


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path))


def convert(folder):
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"weights")
    return {"size": 32}


def leftovers():
    return sorted(path.name for path in cache.folder_of("x").parent.iterdir() if path.name.startswith("."))


def test_what_is_written_is_read():
    assert cache.read("key") is None
    record = cache.write("key", convert)
    assert cache.read("key") == record
    assert record["size"] == 32
    assert sorted(record["files"]) == ["saved_model.pb", "variables/data"]
    assert leftovers() == []


def test_what_fails_leaves_nothing():
    def fail(folder):
        convert(folder)
        raise RuntimeError("differs")

    with pytest.raises(RuntimeError, match="differs"):
        cache.write("key", fail)
    assert cache.read("key") is None
    assert list(cache.folder_of("key").parent.iterdir()) == []


def test_folder_is_there_only_when_it_is_whole():
    def watch(folder):
        record = convert(folder)
        assert not cache.folder_of("key").exists()
        return record

    cache.write("key", watch)
    assert (cache.folder_of("key") / cache.MODULE / "saved_model.pb").is_file()


@pytest.mark.parametrize("damage", ["changed", "missing", "more", "record", "no record"])
def test_damaged_conversion_is_made_anew(damage):
    cache.write("key", convert)
    folder = cache.folder_of("key")
    file = folder / cache.MODULE / "variables" / "data"
    if damage == "changed":
        file.write_bytes(b"other")
    elif damage == "missing":
        file.unlink()
    elif damage == "more":
        (folder / cache.MODULE / "more").touch()
    elif damage == "record":
        (folder / cache.RECORD).write_text("{")
    else:
        (folder / cache.RECORD).unlink()
    assert cache.read("key") is None
    record = cache.write("key", convert)
    assert cache.read("key") == record
    assert file.read_bytes() == b"weights"
    assert leftovers() == []


def test_several_at_a_time_agree():
    together = threading.Barrier(4)
    records = []

    def convert_together(folder):
        record = convert(folder) | {"by": threading.get_ident()}
        together.wait(30)
        return record

    def work():
        records.append(cache.write("key", convert_together))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(records) == 4
    assert all(record == cache.read("key") for record in records)
    assert leftovers() == []


def test_newest_is_the_last_sound_one(tmp_path):
    import os

    assert cache.newest("a-") is None
    for number, key in enumerate(("a-1", "a-2", "b-1", "a-3")):
        cache.write(key, convert)
        os.utime(cache.folder_of(key) / cache.RECORD, (number, number))
    (cache.folder_of("a-3") / cache.MODULE / "saved_model.pb").write_bytes(b"damaged")
    assert cache.newest("a-") == "a-2"


def test_digests_tell_apart():
    assert cache.digest(1, "2") == cache.digest(1, "2")
    assert cache.digest(1, "2") != cache.digest("12")
    value = np.arange(6, dtype=np.float32)
    same = [cache.array_digest(each) for each in (value, value.copy(), value[::-1][::-1])]
    assert len(set(same)) == 1
    others = [value.reshape(2, 3), value.astype(np.float64), value + 1]
    assert cache.array_digest(value) not in [cache.array_digest(each) for each in others]


def test_record_is_json():
    cache.write("key", convert)
    assert json.loads((cache.folder_of("key") / cache.RECORD).read_text())["size"] == 32
