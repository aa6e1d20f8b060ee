"""Sources are ranked by nearest means, and by heads where these cannot tell."""

import numpy as np
import pytest

from tfautolabel.heads.normalization import PowerNormalization
from tfautolabel.labeler import source_ranking
from tfautolabel.labeler.source_ranking import Ranking, Trial, kept, rank_sources, scaled
from tfautolabel.measures.transferability import nearest_mean_accuracy

CLASS_IDS = np.arange(40) % 2


def features(gap, seed=0, d=5):
    noise = np.random.default_rng(seed).normal(size=(40, d))
    return (noise + gap * (CLASS_IDS - 0.5)[:, None]).astype(np.float32)


def wrong_about(*rows):
    right = np.ones(40, bool)
    right[list(rows)] = False
    return right


def test_only_what_nearest_means_cannot_tell_is_compared_by_heads(monkeypatch):
    fitted, fit = [], source_ranking.held_out
    monkeypatch.setattr(
        source_ranking, "held_out", lambda values, *rest: fitted.append(id(values)) or fit(values, *rest)
    )
    gaps = {"poor": (0.0, 0), "good": (9.0, 0), "as good": (9.0, 1), "plain": (0.5, 2)}
    found = {name: features(*how) for name, how in gaps.items()}
    ranking = rank_sources(found, CLASS_IDS, without="plain")
    assert set(fitted) == {id(found["as good"]), id(found["good"])}
    best, second, *others = ranking.trials
    assert {best.handle, second.handle} == {"good", "as good"}
    assert best.log_loss - best.accuracy <= second.log_loss - second.accuracy
    assert {(other.handle, other.accuracy, other.log_loss) for other in others} == {
        ("poor", None, None),
        ("plain", None, None),
    }
    assert others[0].nearest_mean >= others[1].nearest_mean
    for trial in ranking.trials:
        assert trial.nearest_mean == nearest_mean_accuracy(scaled(found[trial.handle]), CLASS_IDS)
    assert [trial.handle for trial in ranking.pretrained] == [
        trial.handle for trial in ranking.trials if trial.handle != "plain"
    ]


def test_no_head_is_fitted_where_one_source_is_left(monkeypatch):
    monkeypatch.delattr(source_ranking, "train_head")
    ranking = rank_sources({"poor": features(0.0), "good": features(6.0)}, CLASS_IDS)
    assert [trial.handle for trial in ranking.trials] == ["good", "poor"]
    assert ranking.warning is None


@pytest.mark.parametrize("made", [lambda: features(2.0), lambda: np.abs(features(2.0)) ** 2])
def test_features_are_scaled_as_the_head_scales_them(made):
    values, normalization = made(), PowerNormalization()
    normalization.adapt(values)
    assert scaled(values) == pytest.approx(np.asarray(normalization(values)), abs=1e-5)


def test_one_standard_error_is_that_of_the_difference():
    """One example more is one standard error of 40 if no other tells the sources apart."""
    best = wrong_about(0)
    assert kept({"best": best, "near": wrong_about(0, 1)}) == ["best", "near"]
    assert kept({"best": best, "far": wrong_about(0, 1, 2)}) == ["best"]
    # As many more are wrong, but the two disagree about many: that may be chance.
    unlike = wrong_about(*range(20, 29))
    assert kept({"best": wrong_about(*range(7)), "unlike": unlike}) == ["best", "unlike"]
    assert kept({"a": best, "b": best}) == ["a", "b"]
    assert kept({"alone": wrong_about()}) == ["alone"]


PLAIN = Trial("plain:pixels", 0.9, 0.89, 0.3)


@pytest.mark.parametrize(
    ("plain", "other", "told"),
    [
        (
            PLAIN,
            Trial("packaged:a", 0.85, 0.79, 0.5),
            "plain:pixels 89.0% against packaged:a 79.0% right by c",
        ),
        (
            PLAIN,
            Trial("packaged:a", 0.7),
            "plain:pixels 90.0% against packaged:a 70.0% right by n",
        ),
    ],
)
def test_the_warning_tells_by_what_the_labels_do_better(plain, other, told):
    ranking = Ranking((plain, other), plain.handle)
    assert ranking.warning.startswith(f"your labels do better without transfer: {told}")
    assert Ranking((other, plain), plain.handle).warning is None
    assert Ranking((plain, other)).warning is None


def test_features_without_transfer_must_have_more_labels_right():
    """Where all sources are always right, the pretrained ones are, however sure the plain one is."""
    apart = features(60.0)
    ranking = rank_sources({"network": apart, "plain": 2.0 * apart}, CLASS_IDS, without="plain")
    assert [trial.nearest_mean for trial in ranking.trials] == [1.0, 1.0]
    assert ranking.choice == "network"
    assert ranking.warning is None


def test_features_without_transfer_are_chosen_like_any_other():
    found = {"network": features(0.0), "plain": features(9.0)}
    ranking = rank_sources(found, CLASS_IDS, without="plain")
    assert ranking.choice == "plain"
    assert ranking.warning is not None
    assert rank_sources(found, CLASS_IDS).warning is None
