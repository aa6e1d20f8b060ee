import dataclasses
import inspect
import json
import shlex

import pytest
from typer.testing import CliRunner

from tfautolabel.cli import run as command
from tfautolabel.cli.app import app
from tfautolabel.runs import RunSettings

NOT_SETTINGS = {"rules", "describe", "classes", "data", "out", "labels", "labelled", "cache_dir", "quiet"} | {
    "runner", "workers", "address",
}  # fmt: skip
OTHERS = {
    "input_column": "a b",
    "label_column": "$x",
    "id_column": "'",
    "modality": "text",
    "label_values": "keep",
    "encoding": "cp1251",
    "follow_links": True,
    "frame": 2,
    "backbone": "packaged:e5-small",
    "long_text": "average",
    "head": "mlp",
    "seed": 7,
    "batch_size": 5,
    "device": "cpu",
    "precision": "bf16",
    "min_confidence": 0.5,
    "target_error": 0.1,
    "certify_confidence": 0.9,
    "per_class": True,
    "class_weight": "balanced",
    "sampling": "random",
    "transfer": "auto",
    "time_budget": "10m",
    "tune": True,
    "trials": 3,
    "tuner": "bayesian",
    "rules_in_model": True,
    "meta_learner": "meta",
}


def options():
    """The command's options that are settings, by the settings' names, with their defaults."""
    found = {name: one.default for name, one in inspect.signature(command.run).parameters.items()}
    settings = {name: default for name, default in found.items() if name not in NOT_SETTINGS}
    settings["class_weight"] = "balanced" if settings.pop("balanced") else None
    return settings


def test_the_command_has_every_setting_and_its_default():
    assert options() == RunSettings().to_dict()


def test_what_is_not_the_default_is_tried_here():
    assert OTHERS.keys() == RunSettings().to_dict().keys()
    assert all(OTHERS[name] != value for name, value in RunSettings().to_dict().items())


@pytest.mark.parametrize("given", [OTHERS, {}, *({name: value} for name, value in OTHERS.items())], ids=str)
def test_the_command_that_repeats_a_run_gives_its_settings(given, monkeypatch):
    """The words are given to the real command, which is stopped where it would begin to work."""
    settings, got = RunSettings(**given), []

    def stand_in(data, out, **arguments):
        got.append(arguments["settings"])
        raise SystemExit

    monkeypatch.setattr("tfautolabel.jobs.run", stand_in)
    words = shlex.split(" ".join(settings.words()))
    CliRunner().invoke(app, ["run", "data", "--out", "out", *words])
    assert got == [settings]


def test_settings_survive_json_and_what_is_new_has_its_default():
    settings = RunSettings(class_weight={"a": 2.0}, tune=True)
    assert RunSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert RunSettings.from_dict({"seed": 3, "gone": 1}) == RunSettings(seed=3)


def test_weights_by_name_are_said_though_the_command_cannot_take_them():
    words = RunSettings(class_weight={"a": 2.0}, seed=1).words()
    assert words[:2] == ["--seed", "1"]
    assert words[-1].startswith("# with class_weight={'a': 2.0}")


@pytest.mark.parametrize(
    "wrong",
    [{"min_confidence": 80}, {"target_error": 0.0}, {"certify_confidence": 1.0}, {"sampling": "drawn"}],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"Received: \w+="):
        RunSettings(**wrong).check()


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunSettings().seed = 1
