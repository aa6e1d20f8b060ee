import numpy as np
import pyarrow as pa
import pytest

from tfautolabel import Dataset, load_dataset, read_rules
from tfautolabel.rules.fields import Fields
from tfautolabel.rules.label_leaks import label_leaks


@pytest.fixture
def leaks(tmp_path):
    def found(written, examples, source):
        path = tmp_path / "rules.csv"
        path.write_text(f"label,pattern,kind,field,rule\n{written}\n", encoding="utf-8")
        return label_leaks(read_rules(path), examples.labelled, Fields(source))

    return found


def test_a_rule_that_reads_the_label_from_a_path_is_found(leaks):
    labels = ["cat", "red dog"] * 15
    ids = [f"all/{label.replace(' ', '_')}s/{row}_x.jpg" for row, label in enumerate(labels)]
    ids = [one.replace("cats", "cat").replace("dogs", "dog") for one in ids]
    examples = Dataset.from_inputs(["text"] * 30, labels, ids, "text")
    written = "cat,cat,name,folder,by folder\ncat,x,name,,by name\ncat,text"
    assert leaks(written, examples, []) == [
        "rule 'by folder' reads the label from the path: on 100% of labelled examples, its 'folder' holds "
        "the class"
    ]
    assert leaks(written, examples.subset(np.arange(10)), []) == []
    few = Dataset.from_inputs(["text"] * 30, ["cat", "cow"] * 15, ids, "text")
    assert leaks(written, few, []) == []


def test_a_rule_that_reads_the_column_of_labels_is_found(leaks):
    table = pa.table(
        {
            "text": [f"t{row}" for row in range(40)],
            "label": ["a", "b"] * 20,
            "again": ["a", "b"] * 19 + ["a", "a"],
            "shop": ["x", "y", "z", "a"] * 10,
        }
    )
    examples = load_dataset(table, input_column="text", label_column="label")
    written = "a,a,field,again,copy\na,a,field,shop,shop\na,a,field,label,label"
    assert [sentence.split(":")[0] for sentence in leaks(written, examples, table)] == [
        "rule 'copy' reads the label from column 'again'",
        "rule 'label' reads the label from column 'label'",
    ]
