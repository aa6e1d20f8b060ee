import pytest
import typer

from tfautolabel.cli.app import app
from tfautolabel.cli.flags import flags_of, with_flags

COMMAND = typer.main.get_command(app)


def test_options_are_those_of_the_command_that_was_typed():
    assert flags_of(COMMAND, ["serve", "models", "--port", "1"])["max_batch"] == "--max-batch"
    assert flags_of(COMMAND, ["evaluate", "run"])["as_json"] == "--json"
    assert flags_of(COMMAND, ["report", "out"])["data"] == "--data"
    assert "data" not in flags_of(COMMAND, ["run", "photos"])
    assert flags_of(COMMAND, ["backbones", "fetch"]) == {}
    for words in ([], ["none"], ["--version"]):
        assert "max_batch" not in flags_of(COMMAND, words)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("batch_size must be 1. Received: batch_size=0", "--batch-size must be 1. Received: --batch-size=0"),
        ("head must be one of [1]. Received: head='x'", "--head must be one of [1]. Received: --head='x'"),
        ("a.csv: label_column must be one of ['y']", "a.csv: --label-column must be one of ['y']"),
        ("input_column. Received: ['input_column']", "--input-column. Received: ['input_column']"),
        ("/batch_size/out.batch_size is no folder: head", "/batch_size/out.batch_size is no folder: head"),
        ("the seed stays 3. Received: seed=9", "the seed stays 3. Received: --seed=9"),
        ("the labels must be read", "the labels must be read"),
        ("say id_column='n 1' (--id-column \"n 1\") or", "say --id-column \"n 1\" or"),
        ("seed=… (--seed), a column of ids (--id-column)", "--seed, a column of ids (--id-column)"),
    ],
)  # fmt: skip
def test_parameters_are_named_as_they_were_typed(message, said):
    assert with_flags(message, flags_of(COMMAND, ["run"])) == said
    assert with_flags(message, {}) == message
