"""Plain functions on labels and probabilities: how good, how sure."""

from tfautolabel.measures.classification import Evaluation, evaluate_predictions
from tfautolabel.measures.intervals import accuracy_interval

__all__ = ["Evaluation", "accuracy_interval", "evaluate_predictions"]
