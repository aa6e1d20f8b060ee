import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tfautolabel.data import Dataset, load_dataset
from tfautolabel.labels import ABSTAIN


def labels_of(dataset):
    return [None if c == ABSTAIN else dataset.classes[c] for c in dataset.class_ids.tolist()]


def frame(**options):
    return pd.DataFrame({"text": ["first", "second", "third"], "label": ["x", "y", None]}, **options)


@pytest.mark.parametrize(
    ("index", "ids"),
    [
        (None, ["0", "1", "2"]),
        ([0, 1, 2], ["0", "1", "2"]),
        ([0, 2, 3], ["0", "2", "3"]),
        ([1, 2, 3], ["1", "2", "3"]),
        (["doc-7", "doc-9", "doc-3"], ["doc-7", "doc-9", "doc-3"]),
        ([1.0, 2.5, 3.0], ["1", "2.5", "3"]),
        (pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), ["a/1", "a/2", "b/1"]),
        (pd.Index(["p", "q", "r"], name="document"), ["p", "q", "r"]),
        (pd.Index(["p", "q", "r"], name="text"), ["p", "q", "r"]),
    ],
)
def test_the_index_of_a_frame_names_its_rows(index, ids):
    dataset = load_dataset(frame(index=index))
    assert dataset.ids.tolist() == ids
    assert dataset.read([0, 2]) == [b"first", b"third"]
    assert labels_of(dataset) == ["x", "y", None]
    series = load_dataset(frame(index=index)["text"], frame(index=index)["label"])
    assert series.ids.tolist() == ids
    assert labels_of(series) == ["x", "y", None]


@pytest.mark.parametrize("index", [[0, 1, 0], ["a", None, "b"]])
def test_an_index_that_does_not_name_each_row_is_none(index):
    dataset = load_dataset(frame(index=index))
    assert dataset.ids.tolist() == ["0", "1", "2"]
    assert any("so the rows have their numbers" in note for note in dataset.notes)


def test_a_column_of_names_comes_before_the_index():
    data = frame(index=[5, 6, 7]).assign(id=["a", "b", "c"])
    assert load_dataset(data).ids.tolist() == ["a", "b", "c"]
    assert load_dataset(data, id_column="none").ids.tolist() == ["0", "1", "2"]
    assert load_dataset(data, id_column="index").ids.tolist() == ["5", "6", "7"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (["x", 3, "z"], r"column 'text' holds values of several kinds: str in row 0, int in row 1"),
        ([None, object(), object()], r"holds what is no text, number, bytes or path: object in row 1"),
        ([np.zeros((2, 2))] * 3, r"column 'text' (must hold texts|holds what is no text)"),
        ([None, float("nan"), None], r"must hold texts, encoded files as bytes, or paths"),
    ],
)
def test_mixed_and_other_types_are_one_sentence(column, said):
    with pytest.raises(ValueError, match=said):
        load_dataset(frame().assign(text=pd.Series(column, dtype=object)))
    # What is not used does not matter.
    other = load_dataset(frame().assign(remark=pd.Series(column, dtype=object)))
    assert other.read([0]) == [b"first"]


def test_labels_of_every_type():
    for values, expected in [
        ([1, 0, None], ["1", "0", None]),
        (pd.array([1, 0, None], dtype="Int64"), ["1", "0", None]),
        (pd.Categorical(["b", "a", None]), ["b", "a", None]),
        ([True, False, None], ["True", "False", None]),
        (["a", " a", np.nan], ["a", "a", None]),
        (pd.array(["a", "b", None], dtype="string"), ["a", "b", None]),
        ([0, 1, -1], ["0", "1", None]),
    ]:
        data = frame().assign(label=values)
        assert labels_of(load_dataset(data)) == expected
        assert labels_of(Dataset.from_inputs(["q", "r", "s"], list(values))) == expected
        assert labels_of(load_dataset(["q", "r", "s"], data["label"])) == expected
    polars = pl.DataFrame({"text": ["q", "r", "s"], "label": [1, 0, None]})
    assert labels_of(load_dataset(polars)) == ["1", "0", None]


def test_columns_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"different names. Received twice: \['text'\]"):
        load_dataset(pd.DataFrame([["a", "b"]], columns=["text", "text"]))


def test_missing_texts_name_their_row():
    with pytest.raises(TypeError, match=r"Received: None in row 1"):
        Dataset.from_inputs(["x", None, "z"])
    dataset = load_dataset(frame().assign(text=["a", None, "c"]))
    assert str(dataset.read([1])[0]) == "the row has no input"


class FakeRows:
    """The part of `datasets.Dataset` that is looked at."""

    features: dict = {}  # noqa: RUF012

    def with_format(self, kind):
        return self


def test_streams_and_several_data_sets_are_one_sentence():
    with pytest.raises(TypeError, match=r"with a length\. Received: a stream, FakeRows; take some of it"):
        load_dataset(FakeRows())
    with pytest.raises(TypeError, match=r"Received: a dict of \['train', 'test'\].*such as data\['train'\]"):
        load_dataset({"train": FakeRows(), "test": FakeRows()})


def test_batches_of_tf_data_are_taken_apart():
    import tensorflow as tf

    texts, labels = ["first", "second", "third"], [1, 0, 1]
    pairs = tf.data.Dataset.from_tensor_slices((texts, labels))
    named = tf.data.Dataset.from_tensor_slices({"label": labels, "text": texts})
    alone = tf.data.Dataset.from_tensor_slices(texts)
    for data in (
        pairs,
        pairs.batch(2),
        pairs.batch(1).batch(3),
        named,
        named.batch(2),
        alone,
        alone.batch(3),
    ):
        dataset = load_dataset(data)
        assert dataset.read([0, 1, 2]) == [text.encode() for text in texts]
        assert labels_of(dataset) in (["1", "0", "1"], [None] * 3)
    with pytest.raises(ValueError, match="repeats for ever"):
        load_dataset(pairs.repeat())
    for wrong in (
        tf.data.Dataset.from_tensor_slices((np.zeros((2, 4, 4, 3), np.float32), [0, 1])),
        tf.data.Dataset.range(3),
    ):
        with pytest.raises(TypeError, match=r"must be strings .* Received: .*(float32|int)"):
            load_dataset(wrong)


def test_labels_go_by_their_index():
    texts = pd.Series(["first one", "second one", "third one"], index=["p", "q", "r"])
    labels = pd.Series(["x", "y", "z"], index=["r", "q", "p"])
    for dataset in (load_dataset(texts, labels), Dataset.from_inputs(texts, labels)):
        assert labels_of(dataset) == ["z", "y", "x"]
    assert labels_of(load_dataset(texts, labels.tolist())) == ["x", "y", "z"]
    with pytest.raises(ValueError, match=r"labels must have the index of the data.*'s'"):
        load_dataset(texts, pd.Series(["x", "y", "z"], index=["s", "q", "p"]))


@pytest.mark.parametrize(
    "inputs", ["one text", b"one file", {"a": "text"}, {"a text", "no order"}, frame(), 7]
)
def test_what_is_no_list_of_inputs_is_refused(inputs):
    with pytest.raises(TypeError, match="inputs must be a list of texts"):
        Dataset.from_inputs(inputs)


def test_one_text_is_no_list_of_labels():
    with pytest.raises(TypeError, match=r"labels must be a list.*'xyz'"):
        Dataset.from_inputs(["a", "b", "c"], "xyz")


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="an empty list"):
        load_dataset([])


def test_encoded_files_in_a_list_are_told_apart():
    sounds = [b"RIFF\0\0\0\0WAVEfmt ", b"fLaC\0\0\0\0"]
    assert Dataset.from_inputs(sounds).modality == "audio"
    assert Dataset.from_inputs([b"so it was", b"long ago"]).modality == "text"
    assert Dataset.from_inputs([b"x", b"y z"]).modality == "image"


def test_objects_of_polars_are_named():
    held = pl.DataFrame({"image": pl.Series([object(), object()], dtype=pl.Object), "label": ["x", "y"]})
    with pytest.raises(ValueError, match=r"'image'.*object"):
        load_dataset(held)


def test_tensors_are_labels_and_uneven_strings_no_batches():
    import tensorflow as tf

    dataset = Dataset.from_inputs(["a b", "b c", "c d"], list(tf.constant(["x", "y", ""])))
    assert labels_of(dataset) == ["x", "y", None]
    ragged = tf.data.Dataset.from_tensor_slices(tf.ragged.constant([["a"], ["b", "c"]]))
    with pytest.raises(TypeError, match="batches of one size"):
        load_dataset(ragged)


@pytest.mark.parametrize(
    ("index", "names"),
    [
        (pd.RangeIndex(3), ["0", "1", "2"]),
        (pd.RangeIndex(3, name="number"), ["0", "1", "2"]),
        (pd.RangeIndex(10, 13), ["10", "11", "12"]),
        (pd.RangeIndex(0, 6, 2, name="number"), ["0", "2", "4"]),
        (pd.RangeIndex(2, -1, -1), ["2", "1", "0"]),
        (pd.Index([7, 3, 5]), ["7", "3", "5"]),
        (pd.Index(["x", "y", "z"], name="code"), ["x", "y", "z"]),
    ],
)
def test_the_index_that_pandas_wrote_names_the_rows(tmp_path, index, names):
    frame = pd.DataFrame({"text": ["a b", "c d", "e f"], "index": ["u", "v", "u"]}, index)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=2)
    for data in (frame, tmp_path / "t.parquet", pa.Table.from_pandas(frame)):
        dataset = load_dataset(data, {names[1]: "pos"})
        assert dataset.ids.tolist() == names
        assert dataset.read([1, 2]) == [b"c d", b"e f"]
        assert dataset.class_ids.tolist() == [-1, 0, -1]


def test_an_index_in_metadata_is_no_input_and_counts_only_for_all_rows(tmp_path):
    frame = pd.DataFrame({"text": ["a b", "c d", "e f"]}, pd.RangeIndex(4, 7))
    frame.to_parquet(tmp_path / "t.parquet")
    assert load_dataset(tmp_path / "t.parquet", id_column="none").ids.tolist() == ["0", "1", "2"]
    with pytest.raises(ValueError, match="'index' can only name rows"):
        load_dataset(tmp_path / "t.parquet", input_column="index")
    assert load_dataset(pa.Table.from_pandas(frame)[1:]).ids.tolist() == ["0", "1"]
    frame.assign(label=["x", None, "y"]).drop(columns="text").to_parquet(tmp_path / "labels.parquet")
    labelled = load_dataset(tmp_path / "t.parquet", tmp_path / "labels.parquet").labelled
    assert labelled.ids.tolist() == ["4", "6"]
