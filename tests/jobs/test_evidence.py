import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from tfautolabel.jobs.evidence import POINTS, project, write_evidence
from tfautolabel.runs.evidence import Evidence, read_evidence, save_evidence


def arguments(labelled=20, pool=30, k=3, d=8, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "labelled_ids": [f"given {row}" for row in range(labelled)],
        "labelled_class_ids": np.arange(labelled) % k,
        "labelled_features": rng.normal(size=(labelled, d)).astype(np.float32),
        "out_of_fold": rng.dirichlet(np.ones(k), labelled),
        "pool_ids": np.array([f"pool {row}" for row in range(pool)], object),
        "pool_features": rng.normal(size=(pool, d)).astype(np.float32),
        "pool_predicted": np.arange(pool) % k,
        "pool_confidence": rng.random(pool),
    }


def test_what_is_written_is_read(tmp_path):
    given = arguments()
    write_evidence(tmp_path / "evidence.npz", **given, seed=0)
    found = read_evidence(tmp_path / "evidence.npz")
    assert list(found.labelled_ids) == given["labelled_ids"]
    assert found.labelled_class_ids.tolist() == given["labelled_class_ids"].tolist()
    np.testing.assert_allclose(found.out_of_fold, given["out_of_fold"], rtol=1e-6)
    assert list(found.point_ids) == [*given["labelled_ids"], *given["pool_ids"]]
    assert np.isnan(found.point_confidence[:20]).all()
    np.testing.assert_allclose(found.point_confidence[20:], given["pool_confidence"], rtol=1e-6)
    assert found.points.shape == (50, 2)


@pytest.mark.parametrize("name", ["nul\0", "名前.png", "\\udce9.jpg", 'a"b', " "])
def test_names_of_every_kind_come_back(tmp_path, name):
    given = arguments() | {"labelled_ids": [name, *(str(row) for row in range(19))]}
    write_evidence(tmp_path / "evidence.npz", **given)
    assert read_evidence(tmp_path / "evidence.npz").labelled_ids[0] == name


def test_the_map_is_bounded_and_features_are_not_kept(tmp_path):
    write_evidence(tmp_path / "evidence.npz", **arguments(2000, 2000, d=4))
    found = read_evidence(tmp_path / "evidence.npz")
    assert len(found.points) == len(set(found.point_ids)) == POINTS
    assert np.isnan(found.point_confidence).sum() == POINTS // 2
    assert len(found.out_of_fold) == 2000
    with np.load(tmp_path / "evidence.npz", allow_pickle=False) as stored:
        assert not any(stored[name].shape[-1:] == (4,) for name in stored.files)


def test_a_small_pool_leaves_room_for_the_labelled_ones(tmp_path):
    write_evidence(tmp_path / "evidence.npz", **arguments(2000, 100, d=4))
    found = read_evidence(tmp_path / "evidence.npz")
    assert np.isnan(found.point_confidence).sum() == POINTS - 100


def test_the_seed_decides_all(tmp_path):
    for name, seed in (("a", 1), ("b", 1)):
        write_evidence(tmp_path / name, **arguments(), seed=seed)
    first, second = (read_evidence(tmp_path / name) for name in "ab")
    np.testing.assert_array_equal(first.points, second.points)


def test_digits_stay_beside_their_like():
    digits, class_ids = load_digits(return_X_y=True)
    places = project(digits[:600], 0)
    assert cross_val_score(KNeighborsClassifier(5), places, class_ids[:600], cv=5).mean() > 0.9


@pytest.mark.parametrize(("count", "dimensions"), [(0, 3), (1, 3), (2, 3), (5, 1), (12, 1), (3, 5), (10, 2)])
def test_few_examples_have_places_too(count, dimensions):
    places = project(np.random.default_rng(0).normal(size=(count, dimensions)))
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_equal_and_unusable_features_have_places():
    features = np.ones((30, 4))
    assert project(features).shape == (30, 2)
    features[0] = np.nan
    assert np.isfinite(project(features)).all()


def test_lengths_must_agree(tmp_path):
    given = arguments() | {"pool_predicted": np.zeros(3, np.int64)}
    with pytest.raises(ValueError, match="pool rows must be as many"):
        write_evidence(tmp_path / "evidence.npz", **given)
    with pytest.raises(ValueError, match="a row for each"):
        Evidence(("a",), np.zeros(2), np.zeros((1, 2)), (), np.zeros((0, 2)), np.zeros(0), np.zeros(0))


def test_pickles_and_other_formats_are_refused(tmp_path):
    np.savez(tmp_path / "pickle.npz", format_version=np.array([{}], object))
    with pytest.raises(ValueError, match="must be whole"):
        read_evidence(tmp_path / "pickle.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match="must be whole"):
        read_evidence(tmp_path / "text.npz")
    with pytest.raises(FileNotFoundError):
        read_evidence(tmp_path / "none.npz")


def test_nothing_labelled_and_no_pool_can_be_kept(tmp_path):
    none = Evidence((), np.zeros(0), np.zeros((0, 2)), (), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    save_evidence(none, tmp_path / "evidence.npz")
    assert read_evidence(tmp_path / "evidence.npz").labelled_ids == ()
