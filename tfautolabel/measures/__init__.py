"""Functions that measure how good labels and probabilities are."""

from tfautolabel.measures.classification import Evaluation, evaluate_predictions
from tfautolabel.measures.intervals import accuracy_interval, paired_p_value, standard_error
from tfautolabel.measures.label_quality import LabelQuality, judge_labels, label_scores
from tfautolabel.measures.probabilities import (
    Measure,
    ProbabilityEvaluation,
    calibration_error,
    evaluate_probabilities,
    reliability_table,
    risk_coverage_curve,
)

__all__ = [
    "Evaluation",
    "LabelQuality",
    "Measure",
    "ProbabilityEvaluation",
    "accuracy_interval",
    "calibration_error",
    "evaluate_predictions",
    "evaluate_probabilities",
    "judge_labels",
    "label_scores",
    "paired_p_value",
    "reliability_table",
    "risk_coverage_curve",
    "standard_error",
]
