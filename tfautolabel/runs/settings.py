"""What decides a run's results besides its data, every default once."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from typing import Any

from tfautolabel.labels import MIN_CONFIDENCE, check_min_confidence

TARGET_ERROR = 0.05
"""What is estimated, and what an audit asks for, where nobody named a target."""


@dataclass(frozen=True)
class RunSettings:
    """The settings of `run`. The command's options, run.json and the report are made from them.

    Attributes:
        input_column: the column of texts, or of paths relative to the file; guessed by default.
        label_column: the column of labels; guessed by default.
        id_column: the column of names; one called `id` by default, else the row numbers, as with "none".
        modality: "image", "text" or "audio"; recognised by default.
        label_values: "usual", or "keep" to make each value a class as it is written; see `load_dataset`.
        encoding: how the text of a table is encoded; found out by default.
        follow_links: whether links that lead out of a folder are followed.
        frame: of DICOM and TIFF pictures with several frames, which one, from 1; the middle one of DICOM and
            the first of TIFF by default.
        backbone: a string for `load_backbone`, or "auto" to choose a packaged one by cross-validation; by
            default the modality's own, or where that is cheap as with "auto".
        long_text: "truncate" for texts longer than the backbone takes, or "average" over their windows.
        head: a key of `HEADS`.
        seed: decides everything random.
        batch_size: examples in one forward pass.
        min_confidence: in [0, 1], labels less sure than this are not accepted; with a target, what is sure
            enough to be looked at where nothing can be certified.
        target_error: in (0, 1), the share of wrong labels among the accepted ones. Labels are then accepted
            by a certificate: an estimate from cross-validation, until an audit certifies it. Where there are
            too few labels even for that, none is accepted before the audit.
        certify_confidence: in (0, 1), how often such a statement is true at least.
        per_class: whether each predicted class gets a threshold of its own and meets the target.
        class_weight: "balanced", or a weight for each class name.
        sampling: "random" if the labels are of a random sample, "chosen" if not, or "unknown"; see
            `Labeler.fit`.
        transfer: "feature", "model", "contrastive" or "auto": what learns, see `Labeler`.
        time_budget: seconds that tuning of the backbone may take, or as "10m"; with `tune`, so may the search
            for how.
        tune: whether a better head is searched for first, see `tune_head`; its trials go to `out`/tuning.
        trials: how many heads that search tries.
        tuner: how it proposes them: "random", "bayesian" or "hyperband".
    """

    input_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    modality: str | None = None
    label_values: str = "usual"
    encoding: str | None = None
    follow_links: bool = False
    frame: int | None = None
    backbone: str | None = None
    long_text: str = "truncate"
    head: str = "linear"
    seed: int = 0
    batch_size: int = 32
    min_confidence: float = MIN_CONFIDENCE
    target_error: float | None = None
    certify_confidence: float = 0.95
    per_class: bool = False
    class_weight: str | dict[str, float] | None = None
    sampling: str = "unknown"
    transfer: str = "feature"
    time_budget: str | float | None = None
    tune: bool = False
    trials: int = 30
    tuner: str = "random"

    def check(self) -> None:
        """Refuses values that make no sense, as far as that is known without TensorFlow.

        Raises:
            ValueError: If one is out of range.
        """
        # Only now: the command line takes its defaults from here and must not wait for scikit-learn.
        from tfautolabel.data.shares import check_sampling
        from tfautolabel.trust.binomial import check_levels

        check_min_confidence(self.min_confidence)
        check_levels(self.target, self.certify_confidence)
        check_sampling(self.sampling)

    @property
    def target(self) -> float:
        """The share of wrong labels that is asked for, or what an estimate is given for."""
        return TARGET_ERROR if self.target_error is None else self.target_error

    def to_dict(self) -> dict[str, Any]:
        """All of them as plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunSettings:
        """What `to_dict` gave; what is not there has its default."""
        return cls(
            **{field.name: values[field.name] for field in dataclasses.fields(cls) if field.name in values}
        )

    def words(self) -> list[str]:
        """The options of the command `run` for all that is not the default, quoted for a shell.

        Weights of classes by name cannot be given to the command; a comment at the end says them.
        """
        words, comment = [], []
        for field in dataclasses.fields(self):
            value, option = getattr(self, field.name), "--" + field.name.replace("_", "-")
            if value == field.default:
                continue
            if field.name == "class_weight":
                if value == "balanced":
                    words.append("--balanced")
                else:
                    comment = [f"# with class_weight={value!r}, which only Python takes"]
            elif isinstance(value, bool):
                words.append(option)
            else:
                words += [option, shlex.quote(str(value))]
        return words + comment
