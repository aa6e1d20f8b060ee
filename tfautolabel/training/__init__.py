"""Training methods, one in each file."""

from tfautolabel.training.contrastive import ContrastiveSettings, contrastive_tune
from tfautolabel.training.feature_transfer import HeadTraining, train_head
from tfautolabel.training.fine_tune import FineTuneSettings, fine_tune
from tfautolabel.training.meta import MetaLearner

__all__ = [
    "ContrastiveSettings",
    "FineTuneSettings",
    "HeadTraining",
    "MetaLearner",
    "contrastive_tune",
    "fine_tune",
    "train_head",
]
