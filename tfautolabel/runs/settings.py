"""All settings that decide a run's results besides its data; each default is defined once."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from typing import Any

from tfautolabel._precision import AUTO, check_device_and_precision
from tfautolabel.labels import MIN_CONFIDENCE, check_min_confidence

TARGET_ERROR = 0.05
"""The target for estimates and audits if the user gave none."""


@dataclass(frozen=True)
class RunSettings:
    """The settings of `run`; the command's options, run.json and the report are made from them.

    Attributes:
        input_column: the column of texts, or of paths relative to the file; guessed by default.
        label_column: the column of labels; guessed by default.
        id_column: the column of names; one called `id` by default, else the row numbers, as with "none".
        modality: "image", "text" or "audio"; recognised by default.
        label_values: "usual", or "keep" to make each value a class as it is written; see `load_dataset`.
        encoding: the encoding of a table's text; detected by default.
        follow_links: whether links that lead out of a folder are followed.
        frame: which frame of DICOM and TIFF pictures with several frames is read, from 1; by default the
            middle one of DICOM and the first of TIFF.
        backbone: a string for `load_backbone`, or "auto" to choose a packaged or plain one by the labels.
            The default is the modality's own, or a choice among the packaged ones if that is cheap.
        long_text: "truncate" for texts longer than the backbone takes, or "average" over their windows.
        head: a key of `HEADS`. "auto" is the linear one where there is no pool that it can learn from.
        seed: decides everything random.
        batch_size: examples in one forward pass.
        device: "auto", "cpu" or "gpu": where features are computed.
        precision: "auto", "float32", "bf16" or "float16": in what; see `Labeler`.
        min_confidence: in [0, 1]; labels with a lower confidence are not accepted. With a target, it decides
            which labels are sure enough to be checked if nothing can be certified.
        target_error: in (0, 1), the greatest share of wrong labels among the accepted ones. A certificate
            then accepts the labels: first an estimate from cross-validation, later the result of an audit. If
            there are too few labels even for the estimate, no label is accepted before the audit.
        certify_confidence: in (0, 1), the confidence level: such statements are true at least this often.
        per_class: whether each predicted class gets its own threshold and meets the target.
        class_weight: "balanced", or a weight for each class name.
        sampling: "random" if the labels are of a random sample, "chosen" if not, or "unknown"; see
            `Labeler.fit`.
        transfer: "feature", "model", "contrastive" or "auto": which parts learn, see `Labeler`.
        time_budget: the most seconds for tuning the backbone, or text such as "10m". With `tune`, the search
            for its settings may take the same time again.
        tune: whether to search for a better head first, see `tune_head`; its trials go to `out`/tuning.
        trials: how many heads that search tries.
        tuner: how the search proposes them: "random", "bayesian" or "hyperband".
        rules_in_model: whether the exported model gives the votes of the rules on texts too; its labels may
            then depend on them.
        meta_learner: the folder of a `MetaLearner`; its backbone is then the default.
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
    head: str = "auto"
    seed: int = 0
    batch_size: int = 32
    device: str = AUTO
    precision: str = AUTO
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
    rules_in_model: bool = False
    meta_learner: str | None = None

    def check(self) -> None:
        """Refuses invalid values, as far as this is possible without TensorFlow.

        Raises:
            ValueError: If one is out of range.
        """
        # Imported late: the command line takes its defaults from here and must not wait for scikit-learn.
        from tfautolabel.data.shares import check_sampling
        from tfautolabel.trust.binomial import check_levels

        check_min_confidence(self.min_confidence)
        check_levels(self.target, self.certify_confidence)
        check_sampling(self.sampling)
        check_device_and_precision(self.device, self.precision)
        if self.tune and self.meta_learner is not None:
            raise ValueError(
                f"a meta-learner goes with the default heads, not with tuned ones: leave out --tune or "
                f"--meta-learner. Received: tune=True, meta_learner={self.meta_learner!r}"
            )

    @property
    def target(self) -> float:
        """The greatest share of wrong labels: the user's target, else the one for estimates."""
        return TARGET_ERROR if self.target_error is None else self.target_error

    def to_dict(self) -> dict[str, Any]:
        """Returns all settings as plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunSettings:
        """Makes settings from what `to_dict` returned; missing values get their defaults."""
        return cls(
            **{field.name: values[field.name] for field in dataclasses.fields(cls) if field.name in values}
        )

    def words(self) -> list[str]:
        """Returns the options of the command `run` for all values that are not defaults, quoted for a shell.

        The command cannot take class weights by name; a comment at the end gives them.
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
