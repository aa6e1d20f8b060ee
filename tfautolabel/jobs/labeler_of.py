"""Makes the labeler that the settings ask for; every job that learns begins here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfautolabel._precision import FLOAT32
from tfautolabel.runs.inputs import Place
from tfautolabel.runs.settings import RunSettings

if TYPE_CHECKING:
    from tfautolabel.data import Dataset
    from tfautolabel.data.class_descriptions import ClassDescriptions
    from tfautolabel.labeler import Labeler


def labeler_of(
    settings: RunSettings,
    examples: Dataset,
    pool_size: int = 0,
    *,
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
    descriptions: ClassDescriptions | None = None,
) -> tuple[Labeler, list[dict[str, Any]] | None]:
    """Returns a labeler that is not fitted yet, and the trials if its backbone was chosen.

    Args:
        settings: the run's settings; used here is everything that decides a model.
        examples: the labelled examples.
        pool_size: the number of examples to label.
        cache_dir: the folder where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with what was chosen.
        descriptions: what each class is, in words.

    Raises:
        ValueError: If a setting is not valid; this is checked first. Or if the device or the precision cannot
            be used.
        FileNotFoundError: If weights may not be downloaded, or the meta-learner's folder holds none.
        RuntimeError: If weights cannot be downloaded.
    """
    from tfautolabel.features.engines import check_here
    from tfautolabel.heads import HEADS
    from tfautolabel.labeler import Labeler, select_backbone
    from tfautolabel.labeler.transfer import check_trainable, check_transfer
    from tfautolabel.training import MetaLearner
    from tfautolabel.training.do_no_harm import METHODS

    check_here(settings.device, settings.precision)
    check_transfer(settings.transfer, time_budget=settings.time_budget)
    if settings.head not in HEADS:
        raise ValueError(f"head must be one of {', '.join(HEADS)}. Received: head={settings.head!r}")
    if settings.tune:
        from tfautolabel.tuning.search import check_search

        check_search(settings.tuner, settings.trials)
    learner = None if settings.meta_learner is None else MetaLearner.load(settings.meta_learner)
    default = None if learner is None else learner.handle
    chosen, choice = select_backbone(
        settings.backbone or default, examples, pool_size=pool_size, long_text=settings.long_text,
        take_plain=settings.transfer not in METHODS, seed=settings.seed,
        batch_size=settings.batch_size, device=settings.device, cache_dir=cache_dir, progress=progress,
        say=say,
    )  # fmt: skip
    labeler = Labeler(
        chosen,
        examples.classes,
        settings.head,
        seed=settings.seed,
        batch_size=settings.batch_size,
        cache_dir=cache_dir,
        min_confidence=settings.min_confidence,
        transfer=settings.transfer,
        time_budget=settings.time_budget,
        progress=progress,
        descriptions=descriptions,
        meta_learner=learner,
        device=settings.device,
        precision=settings.precision,
    )
    check_trainable(settings.transfer, labeler.backbone)
    if labeler.engine.precision != FLOAT32 or labeler.engine.device != "cpu":
        say(labeler.engine.sentence())
    return labeler, choice
