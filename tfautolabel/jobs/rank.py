"""Ranks sources of features by all scores, without labelling anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfautolabel.runs.inputs import Place, Source, check_classes, read_examples
from tfautolabel.runs.settings import RunSettings

if TYPE_CHECKING:
    from tfautolabel.data import Dataset

LIMIT = 2_000
"""The most labelled examples that are looked at, so that the slower scores take only seconds."""


@dataclass(frozen=True)
class SourceScores:
    """What the labelled examples say of one source; None for a score that cannot be computed.

    Attributes:
        handle: the source's string.
        nearest_mean: in [0, 1], see `nearest_mean_accuracy`; the features are scaled as the default head
            scales them.
        neighbours: in [0, 1], see `neighbour_accuracy`.
        log_evidence: in nats, LogME; compare only sources of equally many features.
        h_score: at least 0.
        nleep: in nats, at most 0.
        accuracy: of the default head, cross-validated, in [0, 1].
        log_loss: of the default head, cross-validated, in nats; lower is better.
        feature_dim: d, how many features an example has.
        milliseconds: the time to compute the features of one example, here and now; None if all came from the
            cache.
    """

    handle: str
    nearest_mean: float
    neighbours: float
    log_evidence: float | None
    h_score: float | None
    nleep: float | None
    accuracy: float
    log_loss: float
    feature_dim: int
    milliseconds: float | None


@dataclass(frozen=True)
class SourceTable:
    """The sources of features for a set of labelled examples.

    Attributes:
        sources: the scores, the largest share of nearest class means first.
        choice: the handle that `backbone="auto"` takes among these sources.
        warning: a sentence, if the labels do better without transfer.
        examples: how many labelled examples were looked at.
        classes: their k class names.
    """

    sources: tuple[SourceScores, ...]
    choice: str
    warning: str | None
    examples: int
    classes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the same as plain values, ready for JSON."""
        return asdict(self)


def rank(
    data: object,
    *,
    labels: Place | None = None,
    labelled: Place | None = None,
    candidates: Sequence[str] = (),
    settings: RunSettings = RunSettings(),  # noqa: B008 # frozen
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> SourceTable:
    """Scores sources on labelled examples: the packaged backbones, given ones, and features without transfer.

    Args:
        data: as for `run`.
        labels: as for `run`.
        labelled: as for `run`.
        candidates: strings for `load_backbone`, besides the packaged ones that are available.
        settings: as for `run`; used are those about reading the data, `long_text`, `seed`,
            `batch_size` and `device`.
        cache_dir: the folder where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with what was guessed, and what was left out and why.

    Raises:
        ValueError: If the input or a candidate cannot be used, no backbone can be loaded, or there are no two
            classes that can be read.
        FileNotFoundError: If a folder or file does not exist, or a candidate's weights may not be downloaded.
        RuntimeError: If a candidate's weights cannot be downloaded.
        MissingExtraError: If a candidate needs a package that is not installed.
    """
    settings.check()
    examples = read_examples(Source(data, labels, labelled, settings))
    for note in examples.notes:
        say(note)
    examples = examples.labelled
    check_classes(examples.classes, examples.notes)
    if len(examples) > LIMIT:
        rows = np.random.default_rng(settings.seed).choice(len(examples), LIMIT, replace=False)
        examples = examples.subset(np.sort(rows))
        say(f"{LIMIT:,} of the labelled examples were drawn at random to rank by")
    return _ranked(examples, candidates, settings, cache_dir, progress, say)


def _ranked(
    examples: Dataset,
    candidates: Sequence[str],
    settings: RunSettings,
    cache_dir: Place | None,
    progress: bool,
    say: Callable[[str], None],
) -> SourceTable:
    # Imported late, because TensorFlow takes seconds to load: mistakes in the input show first.
    from tfautolabel.backbones.packaged import PACKAGED
    from tfautolabel.backbones.plain import plain_of
    from tfautolabel.labeler.candidate_features import candidate_features
    from tfautolabel.labeler.choose import options_for
    from tfautolabel.labeler.source_ranking import rank_sources

    modality = examples.modality
    packaged = [f"packaged:{entry.name}" for entry in PACKAGED.values() if entry.modality == modality]
    plain = plain_of(modality)
    found = candidate_features(
        dict.fromkeys([*packaged, *candidates, plain]),
        examples,
        options_for(modality, settings.long_text),
        asked=candidates,
        batch_size=settings.batch_size,
        device=settings.device,
        cache_dir=cache_dir,
        progress=progress,
        say=say,
    )
    if list(found.features) == [plain]:
        raise ValueError(
            f"a ranking needs a backbone for {modality} data that can be loaded. Received: only {plain}"
        )
    if len(np.unique(found.class_ids)) < 2:
        raise ValueError(
            "a ranking needs labelled examples of two classes that every source can read. Received: "
            f"{len(found.class_ids):,} such examples"
        )
    ranking = rank_sources(found.features, found.class_ids, without=plain, seed=settings.seed)
    scores = [
        _scores(
            handle,
            features,
            found.class_ids,
            settings.seed,
            1000.0 * found.seconds[handle] / found.computed[handle] if found.computed[handle] else None,
        )
        for handle, features in found.features.items()
    ]
    scores.sort(key=lambda one: -one.nearest_mean)
    return SourceTable(tuple(scores), ranking.choice, ranking.warning, len(found.class_ids), examples.classes)


def _scores(
    handle: str, features: np.ndarray, class_ids: np.ndarray, seed: int, milliseconds: float | None
) -> SourceScores:
    from tfautolabel.labeler.source_ranking import held_out, scaled
    from tfautolabel.measures.transferability import (
        h_score,
        log_evidence,
        nearest_mean_accuracy,
        neighbour_accuracy,
        nleep,
    )

    def known(score: Callable[[], float]) -> float | None:
        # Features that are the same in every row have no such score; the other scores say that they are poor.
        try:
            return score()
        except ValueError:
            return None

    accuracy, log_loss = held_out(features, class_ids, seed)
    return SourceScores(
        handle,
        nearest_mean_accuracy(scaled(features), class_ids),
        neighbour_accuracy(features, class_ids),
        known(lambda: log_evidence(features, class_ids)),
        known(lambda: h_score(features, class_ids)),
        known(lambda: nleep(features, class_ids, seed=seed)),
        accuracy,
        log_loss,
        features.shape[1],
        milliseconds,
    )
