"""Ways to train, one method a file."""

from tfautolabel.training.feature_transfer import HeadTraining, train_head

__all__ = ["HeadTraining", "train_head"]
