"""Meta-learning: earlier labelled sets teach how to scale features, so that later sets need fewer labels."""

from tfautolabel.training.meta.learner import METHODS, MetaLearner
from tfautolabel.training.meta.tasks import Task

__all__ = ["METHODS", "MetaLearner", "Task"]
