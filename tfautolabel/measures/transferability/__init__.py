"""Scores of how well features tell classes apart, without training a head; one score a file."""

from tfautolabel.measures.transferability.h_score import h_score
from tfautolabel.measures.transferability.log_evidence import log_evidence
from tfautolabel.measures.transferability.nearest_mean import nearest_mean_accuracy, nearest_mean_right
from tfautolabel.measures.transferability.nearest_neighbours import neighbour_accuracy
from tfautolabel.measures.transferability.nleep import nleep

__all__ = [
    "h_score",
    "log_evidence",
    "nearest_mean_accuracy",
    "nearest_mean_right",
    "neighbour_accuracy",
    "nleep",
]
