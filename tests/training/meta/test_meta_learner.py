"""The meta-learner: what it learns of earlier sets, what it refuses, and how it is kept."""

import json

import numpy as np
import pytest
from small_networks import coloured, convolutional

from tfautolabel.training.meta import METHODS, MetaLearner, Task
from tfautolabel.training.meta.learner import MAP, STATE
from tfautolabel.training.meta.tasks import normalized
from tfautolabel.training.meta.whitening import whitening


def earlier(seed=0, n=60, d=8, k=3):
    """The first feature varies much within each class."""
    rng = np.random.default_rng(seed)
    class_ids = np.arange(n) % k
    features = rng.normal(size=(k, d))[class_ids] + rng.normal(0, 0.2, (n, d))
    features[:, 0] += rng.normal(0, 2.0, n)
    return features.astype(np.float32), class_ids


@pytest.fixture(scope="module")
def learner():
    return MetaLearner(convolutional()).fit([earlier(0), earlier(1)])


def test_whitening_gives_the_direction_that_varies_within_classes_less_weight():
    tasks = [normalized(Task(*earlier(seed)), 1.0) for seed in range(2)]
    matrix = whitening(tasks)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    assert matrix[0, 0] < 0.8 * np.diag(matrix)[1:].min()


def test_whitening_does_not_depend_on_where_the_classes_are():
    features, class_ids = earlier()
    moved = features + np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)[class_ids]
    # Tasks are given as they are here, not scaled to length one, so a class may be moved as a whole.
    np.testing.assert_allclose(
        whitening([Task(moved, class_ids)]), whitening([Task(features, class_ids)]), atol=1e-4
    )


def test_classes_of_different_tasks_have_nothing_to_do_with_each_other():
    first, second = earlier(0), earlier(1)
    renamed = Task(second[0], second[1] + 7)
    np.testing.assert_array_equal(
        whitening([Task(*first), Task(*second)]), whitening([Task(*first), renamed])
    )


def test_data_sets_are_read_with_the_backbone(tmp_path):
    learner = MetaLearner(convolutional()).fit([coloured(4)], cache_dir=tmp_path, progress=False)
    assert learner.tasks_ == [{"examples": 12, "classes": 3}]
    assert learner.power_ == 0.5


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_saved_learner_is_the_same(method, tmp_path):
    learner = MetaLearner(convolutional(), method).fit([earlier(0), earlier(1)])
    learner.save(tmp_path / "meta")
    again = MetaLearner.load(tmp_path / "meta")
    np.testing.assert_array_equal(again.map_for(convolutional()), learner.matrix_)
    assert (again.method, again.power_, again.tasks_) == (method, learner.power_, learner.tasks_)
    assert again.worth_ == learner.worth_
    assert learner.worth_["sets"] == 2


def test_another_backbone_is_refused(learner):
    with pytest.raises(ValueError, match="for the backbone that it learnt with"):
        learner.map_for(convolutional(seed=5))


def test_before_fit_there_is_no_map(tmp_path):
    with pytest.raises(RuntimeError, match="call fit"):
        MetaLearner(convolutional()).map_for(convolutional())
    with pytest.raises(RuntimeError, match="call fit"):
        MetaLearner(convolutional()).save(tmp_path / "meta")


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([], "no task"),
        ([earlier(), (np.zeros((4, 8)), np.zeros(4, int))], "task 2: .*two classes"),
        ([(np.full((4, 8), np.nan), np.arange(4))], "task 1: .*NaN"),
        ([(np.zeros((4, 7)), np.arange(4))], r"shape \(n, 8\)"),
        ([(np.zeros((4, 8)), np.arange(4) / 2)], "integer class ids"),
        ([(np.eye(4, 8), np.arange(4))], "two different examples"),
    ],
)
def test_tasks_that_do_not_fit_are_refused(tasks, said):
    with pytest.raises(ValueError, match=said):
        MetaLearner(convolutional()).fit(tasks)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method must be one of"):
        MetaLearner(convolutional(), "magic")


def test_a_folder_that_is_not_a_whole_learner_is_refused(learner, tmp_path):
    with pytest.raises(FileNotFoundError, match=STATE):
        MetaLearner.load(tmp_path)
    folder = tmp_path / "meta"
    learner.save(folder)
    state = json.loads((folder / STATE).read_text("utf-8"))
    for wrong, said in (({"format_version": 99}, "format 99"), ({"feature_dim": 3}, "shape")):
        (folder / STATE).write_text(json.dumps(state | wrong), "utf-8")
        with pytest.raises(ValueError, match=said):
            MetaLearner.load(folder)
    (folder / STATE).write_text(json.dumps(state), "utf-8")
    (folder / MAP).write_bytes(b"PK")
    with pytest.raises(ValueError, match="whole meta-learner"):
        MetaLearner.load(folder)
