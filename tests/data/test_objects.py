"""Folders, tables and lists of labels in a store are read as local ones are."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from stores import SECRET
from table_files import FILE_KINDS, write_table

from tfautolabel.data import ReadFailure, load_dataset, named_objects
from tfautolabel.data.addresses import place_at
from tfautolabel.data.folder import list_folder
from tfautolabel.data.named_objects import NamedObjects
from tfautolabel.data.narrowed import narrowed
from tfautolabel.data.objects import ObjectReader, list_objects
from tfautolabel.data.readers import read_rows


@pytest.fixture
def waits(monkeypatch):
    """No waiting between attempts."""
    monkeypatch.setattr("tfautolabel.data.places.WAITS", (0.0,))


def texts(folder, count=6):
    for row in range(count):
        (folder / "ab"[row % 2]).mkdir(parents=True, exist_ok=True)
        (folder / "ab"[row % 2] / f"{row}.txt").write_text(f"This is text number {row}, of a few words.")
    return folder


def same(remote, local, address, path):
    """Whether two data sets are equal but for the address of the one and the path of the other."""
    assert remote.ids.tolist() == local.ids.tolist()
    assert remote.class_ids.tolist() == local.class_ids.tolist()
    assert (remote.classes, remote.modality) == (local.classes, local.modality)
    assert remote.unreadable == local.unreadable
    assert [note.replace(address, str(path)) for note in remote.notes] == list(local.notes)
    rows = range(len(local))
    assert read_rows(remote.reader, rows) == read_rows(local.reader, rows)


TREES = {
    "a folder a class": ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/notes.txt"],
    "hidden and of systems": [".git/x", "a/.x.jpg", "a/1.jpg", "@eaDir/1.jpg", "a/Thumbs.db", "~$x.jpg"],
    "thumbnails among others": ["thumbs/1.jpg", "a/thumbs/2.jpg", "a/1.jpg"],
    "nothing but thumbnails": ["thumbs/1.jpg", "b/thumbs/2.jpg"],
    "folders called like files": ["a.jpg/1.jpg", "b.wav/2.jpg", "a.jpg/b.jpg/3.jpg"],
    "left out": ["out/predictions.csv", "labels.csv", "labels.csv.txt", "a/1.jpg"],
    "names of many kinds": ["ä/é 1.jpg", "a b/100%25.jpg", "what?x=1.jpg", "a/#1+2.jpg", "日本/語.jpg"],
}


@pytest.mark.parametrize("tree", TREES)
def test_folders_are_listed_alike(tree, tmp_path, store):
    for name in TREES[tree]:
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_bytes(name.encode())
    store.put_tree(tmp_path / "t", "t")
    exclude = ["out", "labels.csv", "not_there"]
    place = place_at(store.address("t"))
    local = list_folder(tmp_path / "t", [tmp_path / "t" / name for name in exclude])
    remote = list_objects(place, [store.address(f"t/{name}") for name in exclude])
    assert (remote.paths, remote.ids, remote.unreadable) == (local.paths, local.ids, local.unreadable)
    assert [note.replace(str(place), local.root) for note in remote.notes] == list(local.notes)
    reader = ObjectReader(place, remote.paths, remote.sizes)
    assert read_rows(reader, range(len(reader))) == [name.encode() for name in local.paths]
    assert [reader.size(row) for row in range(len(reader))] == [len(name.encode()) for name in local.paths]


def test_class_folders(tmp_path, store):
    store.put_tree(texts(tmp_path / "t"), "t")
    address = store.address("t")
    same(load_dataset(address), load_dataset(tmp_path / "t"), address, tmp_path / "t")


def test_flat_pictures_with_a_list_of_labels(tmp_path, store):
    (tmp_path / "t").mkdir()
    for row in range(4):
        Image.new("L", (2, 2), row).save(tmp_path / "t" / f"{row}.png")
    store.put_tree(tmp_path / "t", "t")
    names = ["0.png", "./1.png", store.address(f"t/2.png?X-Amz-Signature={SECRET}"), "t/3.png"]
    table = pd.DataFrame({"path": names, "label": ["a", "b", "a", "b"]})
    store.put("t/labels.csv", table.to_csv(index=False))
    found = load_dataset(store.address("t"), store.address("t/labels.csv"))
    assert found.ids.tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert found.class_ids.tolist() == [0, 1, 0, 1]
    # A list on this machine may name them too.
    table.to_csv(tmp_path / "labels.csv", index=False)
    assert load_dataset(store.address("t"), tmp_path / "labels.csv").class_ids.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_tables_of_all_kinds(kind, tmp_path, store):
    rows = [{"text": f"This is text number {row}", "label": "ab"[row % 2]} for row in range(40)]
    local = write_table(kind, rows, tmp_path)
    store.put(f"t/{local.name}", local.read_bytes())
    address = store.address(f"t/{local.name}")
    remote = load_dataset(address)
    same(remote, load_dataset(local), address, local)
    some = np.array([3, 5, 30])
    sent = pickle.loads(pickle.dumps(narrowed(remote.reader, some)))
    assert read_rows(sent, range(3)) == read_rows(remote.reader, some.tolist())


@pytest.mark.parametrize("column", ["paths", "addresses", "signed"])
@pytest.mark.parametrize("where", ["in the store", "here"])
def test_columns_that_name_files(column, where, tmp_path, store):
    store.put_tree(texts(tmp_path / "t"), "t")
    written = {
        "paths": [f"t/{'ab'[row % 2]}/{row}.txt" for row in range(6)],
        "addresses": [store.address(f"t/{'ab'[row % 2]}/{row}.txt") for row in range(6)],
    }
    written["signed"] = [f"{address}?X-Amz-Signature={SECRET}" for address in written["addresses"]]
    table = pd.DataFrame({"id": written[column], "path": written[column], "label": [*"ababab"]})
    table.loc[6] = ["t/gone", written[column][0].replace("0.txt", "gone.txt"), "a"]
    table.to_csv(tmp_path / "rows.csv", index=False)
    store.put("rows.csv", (tmp_path / "rows.csv").read_bytes())
    found = load_dataset(store.address("rows.csv") if where == "in the store" else tmp_path / "rows.csv")
    *values, gone = read_rows(found.reader, range(7))
    assert values == [f"This is text number {row}, of a few words.".encode() for row in range(6)]
    assert isinstance(gone, ReadFailure)
    assert found.ids.tolist()[:6] == written["paths" if column == "paths" else "addresses"]
    assert SECRET not in f"{gone} {found.notes} {found.ids.tolist()} {found}"
    sent = pickle.loads(pickle.dumps(narrowed(found.reader, np.array([1, 4]))))
    assert read_rows(sent, range(2)) == [values[1], values[4]]


def test_a_list_of_addresses(tmp_path, store):
    store.put_tree(texts(tmp_path / "t"), "t")
    found = load_dataset([store.address(f"t/{'ab'[row % 2]}/{row}.txt") for row in range(6)])
    assert found.modality == "text"
    assert found.read([5]) == [b"This is text number 5, of a few words."]


def test_two_labels_for_one_address(store):
    store.put("a.txt", "A text of some words.")
    rows = [["s3://x/y.txt", "a"], [store.address("a.txt"), "a"], [store.address("a.txt?Signature=1"), "b"]]
    store.put("rows.csv", pd.DataFrame(rows, columns=["path", "label"]).to_csv(index=False))
    with pytest.raises(ValueError, match=r"one file has two labels") as caught:
        load_dataset(store.address("rows.csv"))
    assert "Signature" not in str(caught.value)


def test_paths_beside_a_table_that_lead_nowhere(store):
    store.put("rows.csv", "path,label\na/1.jpg,x\na/2.jpg,y\n")
    with pytest.raises(ValueError, match=r"none of those .* beside the table .*--modality text"):
        load_dataset(store.address("rows.csv"))


def test_of_parquet_only_what_is_asked_for_is_fetched(store, tmp_path):
    rng = np.random.default_rng(0)
    many = [rng.bytes(1000).hex() for _ in range(4000)]  # of which only the first ones are looked at
    table = pa.table({"text": ["Some words"] * 4000, "label": ["a", "b"] * 2000, "unused": many})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=500)
    store.put("t.parquet", (tmp_path / "t.parquet").read_bytes())
    store.requests.clear()
    sent = []
    store.fail("t.parquet", lambda environ: sent.append(environ.get("HTTP_RANGE", "")), "GET")
    found = load_dataset(store.address("t.parquet"))
    assert found.read([0, 3999]) == [b"Some words"] * 2
    bounds = [entry.removeprefix("bytes=").split("-") for entry in sent]
    assert all(bounds)
    assert sum(int(end) - int(start) for start, end in bounds) < len(store.get("t.parquet")) / 3


def one_of_many(store, fault, count=12):
    for row in range(count):
        store.put(f"t/{row:02d}.txt", f"Text {row} of some words.")
    found = load_dataset(store.address("t"))
    store.fail("t/07.txt", fault)
    return found


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (403, "permission denied"),
        (404, "the file has gone since it was listed"),
    ],
)
def test_one_file_that_cannot_be_read_is_a_failure(fault, reason, store, waits):
    values = one_of_many(store, fault).read(range(12))
    assert [(row, str(value)) for row, value in enumerate(values) if isinstance(value, ReadFailure)] == [
        (7, reason)
    ]


def test_a_network_that_fails_is_no_unreadable_file(store, waits):
    found = one_of_many(store, 503)
    with pytest.raises(
        ConnectionError, match=r"07\.txt cannot be read: the network or the store fails.*again"
    ):
        found.read(range(12))
    store.faults.clear()
    assert not any(isinstance(value, ReadFailure) for value in found.read(range(12)))


def test_a_store_that_refuses_everything_stops_the_reading(store, waits):
    found = one_of_many(store, 404)
    store.faults.clear()
    store.fail("*", 403)
    store.fail("", 403)
    with pytest.raises(PermissionError, match=r"cannot be read: the store refuses it"):
        found.read(range(12))


def test_files_that_are_too_large_are_not_fetched(store):
    store.put("large.txt", b"x" * 101)
    place = place_at(store.address())
    listing = list_objects(place)
    for sizes in (listing.sizes, {}):
        store.requests.clear()
        (failure,) = read_rows(ObjectReader(place, listing.paths, sizes, max_bytes=100), [0])
        assert str(failure) == "too large: 101 bytes, the limit is 100"
        assert not [request for request in store.requests if request[0] == "GET"]


def test_a_slice_of_parquet_outlives_a_broken_connection(store, tmp_path, waits):
    table = pa.table(
        {"text": [f"Text {row} of some words" for row in range(2000)], "label": ["a", "b"] * 1000}
    )
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=100)
    store.put("t.parquet", (tmp_path / "t.parquet").read_bytes())
    found = load_dataset(store.address("t.parquet"))
    left = [503] * 4  # more than the client's own attempts
    store.fail("t.parquet", lambda environ: left.pop() if left else None, "GET")
    assert found.read([1000, 1500]) == [b"Text 1000 of some words", b"Text 1500 of some words"]
    assert not left
    store.fail("t.parquet", 503)
    with pytest.raises(ConnectionError, match=r"t\.parquet cannot be read"):
        found.read([700])


def test_parquet_that_is_replaced_meanwhile_is_not_read(store, tmp_path, waits):
    for name, word in (("old", "old"), ("new", "new")):
        table = pa.table({"text": [f"{word} text {row}" for row in range(2000)], "label": ["a", "b"] * 1000})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=100)
    store.put("t.parquet", (tmp_path / "old.parquet").read_bytes())
    found = load_dataset(store.address("t.parquet"))
    store.put("t.parquet", (tmp_path / "new.parquet").read_bytes())
    with pytest.raises(ConnectionError, match=r"replaced while it was read"):
        found.read([1000])


def test_damaged_tables_are_called_so(store):
    store.put("t.parquet", b"PAR1" + bytes(100))
    with pytest.raises(ValueError, match=r"t\.parquet: is not a Parquet file"):
        load_dataset(store.address("t.parquet"))
    store.put("t.csv", b"")
    with pytest.raises(ValueError, match=r"^s3://.*t\.csv: must hold rows"):
        load_dataset(store.address("t.csv"))


@pytest.mark.parametrize("path", ["nothing", "nothing.csv"])
def test_what_is_not_there(path, store):
    with pytest.raises(FileNotFoundError, match=r"there is no folder or file 's3://"):
        load_dataset(store.address(path))
    with pytest.raises(FileNotFoundError, match=r"there is no folder or file 's3://no-such-bucket/"):
        load_dataset(f"s3://no-such-bucket/{path}")


def test_no_permission_and_no_network_are_told_apart(store, monkeypatch):
    store.put("t/1.txt", "A text.")
    store.fail("t", 403)
    with pytest.raises(PermissionError, match=r"s3://\S+/t cannot be looked at: the store refuses it"):
        load_dataset(store.address("t"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ConnectionError, match=r"s3://\S+/t cannot be looked at: the network or"):
        load_dataset(store.address("t"))


def test_a_file_of_another_store_is_asked_for_there(monkeypatch):
    asked = []
    monkeypatch.setattr(named_objects, "read_object", lambda place, around: asked.append((place, around)))
    names = NamedObjects("beside it", place_at("abfss://c@one.dfs.core.windows.net/tables"))
    for written in ("abfss://c@two.dfs.core.windows.net/1.jpg", "gs://photos/1.jpg", "beside/1.jpg"):
        names.read(names.locate(written)[0])
    assert [str(around) for _, around in asked] == [
        "abfss://c@two.dfs.core.windows.net",
        "gs://photos",
        "abfss://c@one.dfs.core.windows.net/tables",
    ]
