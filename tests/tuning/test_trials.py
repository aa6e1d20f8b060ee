import keras_tuner
import pytest
from keras_tuner.engine.trial import Trial

from tfautolabel.tuning.trials import TrialRow, check_completed, row_of, write_trials

TRACEBACK = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
    raise KeyError("inner")
KeyError: 'inner'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
    raise ValueError("outer")
ValueError: the outer one
and its second line
"""


@pytest.mark.parametrize(
    ("message", "error"), [(TRACEBACK, "ValueError: the outer one"), (None, "the objective is not a number")]
)
def test_a_failed_trial_shows_the_first_line_of_its_last_exception(message, error):
    trial = Trial(keras_tuner.HyperParameters(), "7", "FAILED", message)
    assert row_of(trial) == TrialRow("7", "FAILED", None, None, {}, error)


def test_trials_of_which_all_failed_are_drawn_and_written(tmp_path):
    rows = [TrialRow("default", "COMPLETED", 0.5, 0.9, {}), TrialRow("0", "FAILED", None, None, {}, "E: x")]
    write_trials(rows, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"trials.csv", "trials.json", "trials.svg"}
    assert "failed" in (tmp_path / "trials.svg").read_text()


def test_no_trial_is_no_result():
    with pytest.raises(RuntimeError, match="there was no trial"):
        check_completed([])
