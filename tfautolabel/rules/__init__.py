"""Rules: weak label sources, what they say together, and label models that turn votes into labels."""

from tfautolabel.rules.analysis import RuleAnalysis
from tfautolabel.rules.apply import apply_rules, cast_votes
from tfautolabel.rules.files import FileRule, read_rules
from tfautolabel.rules.functions import LabelingFunction, labeling_function, model_rule
from tfautolabel.rules.label_model import LabelModel, MajorityVote, VoteShare
from tfautolabel.rules.votes import Votes

__all__ = [
    "FileRule",
    "LabelModel",
    "LabelingFunction",
    "MajorityVote",
    "RuleAnalysis",
    "VoteShare",
    "Votes",
    "apply_rules",
    "cast_votes",
    "labeling_function",
    "model_rule",
    "read_rules",
]
