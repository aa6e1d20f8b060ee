"""Sources are ranked by nearest means, and by heads where these cannot tell."""

import numpy as np
import pytest

from tfautolabel.labeler import source_ranking
from tfautolabel.labeler.source_ranking import Ranking, Trial, kept, rank_sources
from tfautolabel.measures.transferability import nearest_mean_accuracy

CLASS_IDS = np.arange(40) % 2


def features(gap, seed=0, d=5):
    noise = np.random.default_rng(seed).normal(size=(40, d))
    return (noise + gap * CLASS_IDS[:, None]).astype(np.float32)


def wrong_about(*rows):
    right = np.ones(40, bool)
    right[list(rows)] = False
    return right


def test_only_what_nearest_means_cannot_tell_is_compared_by_heads(monkeypatch):
    fitted, fit = [], source_ranking.held_out
    monkeypatch.setattr(
        source_ranking, "held_out", lambda values, *rest: fitted.append(id(values)) or fit(values, *rest)
    )
    gaps = {"poor": (0.0, 0), "good": (6.0, 0), "as good": (6.0, 1), "plain": (3.0, 0)}
    found = {name: features(*how) for name, how in gaps.items()}
    ranking = rank_sources(found, CLASS_IDS, without="plain")
    assert set(fitted) == {id(found["as good"]), id(found["good"])}
    best, second, last = ranking.trials
    assert {best.handle, second.handle} == {"good", "as good"}
    assert best.log_loss - best.accuracy <= second.log_loss - second.accuracy
    assert (last.handle, last.accuracy, last.log_loss) == ("poor", None, None)
    assert last.nearest_mean == nearest_mean_accuracy(found["poor"], CLASS_IDS)
    assert ranking.without.nearest_mean == nearest_mean_accuracy(found["plain"], CLASS_IDS)


def test_no_head_is_fitted_where_one_source_is_left(monkeypatch):
    monkeypatch.delattr(source_ranking, "train_head")
    ranking = rank_sources({"poor": features(0.0), "good": features(6.0)}, CLASS_IDS)
    assert [trial.handle for trial in ranking.trials] == ["good", "poor"]
    assert ranking.without is None
    assert not ranking.better_without


def test_two_standard_errors_are_those_of_the_difference():
    """Four examples more are two standard errors of 40 if no other tells the sources apart."""
    best = wrong_about(0)
    assert kept({"best": best, "near": wrong_about(0, 1, 2, 3)}) == ["best", "near"]
    assert kept({"best": best, "far": wrong_about(*range(8))}) == ["best"]
    # As many more are wrong, but the two disagree about many: that may be chance.
    unlike = wrong_about(*range(20, 28))
    assert kept({"best": wrong_about(*range(7)), "unlike": unlike}) == ["best", "unlike"]
    assert kept({"a": best, "b": best}) == ["a", "b"]
    assert kept({"alone": wrong_about()}) == ["alone"]


@pytest.mark.parametrize(("without", "better"), [(0.89, True), (0.79, False), (0.5, False)])
def test_the_warning_needs_more_than_the_best_backbone(without, better):
    trials = (Trial("packaged:a", 0.7, 0.8, 0.4), Trial("packaged:b", 0.79, 0.7, 0.5))
    ranking = Ranking(trials, Trial("plain:pixels", without))
    assert ranking.better_without is better
    assert ranking.choice == ("plain:pixels" if better else "packaged:a")
    expected = (
        "your labels do better without transfer: plain:pixels 89.0% against packaged:b 79.0% "
        "(nearest class means, each without the example)"
    )
    assert ranking.warning == (expected if better else None)
    assert Ranking(trials).warning is None
