"""Label data by transfer learning: a few labels in, trusted labels and a servable model out.

    data ──► backbones ──► features ──► heads ──► Labels ──► writers, SavedModel
              (frozen graph, cached)

`Labeler` combines these parts; each can be used alone. Importing the package does not import TensorFlow:
names are resolved when they are first used (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfautolabel._version import __version__

if TYPE_CHECKING:
    from tfautolabel.active import QUERY_STRATEGIES as QUERY_STRATEGIES
    from tfautolabel.active import Oracle as Oracle
    from tfautolabel.active import simulate as simulate
    from tfautolabel.active.query import Query as Query
    from tfautolabel.active.query import query as query
    from tfautolabel.backbones import Backbone as Backbone
    from tfautolabel.backbones import load_backbone as load_backbone
    from tfautolabel.data import Dataset as Dataset
    from tfautolabel.data import LabelsWriter as LabelsWriter
    from tfautolabel.data import load_dataset as load_dataset
    from tfautolabel.data import write_labels as write_labels
    from tfautolabel.data import write_unreadable as write_unreadable
    from tfautolabel.data.class_descriptions import ClassDescriptions as ClassDescriptions
    from tfautolabel.export import ExportedLabeler as ExportedLabeler
    from tfautolabel.export import check_saved_model as check_saved_model
    from tfautolabel.export import export_onnx as export_onnx
    from tfautolabel.export import export_tflite as export_tflite
    from tfautolabel.export import load_exported as load_exported
    from tfautolabel.export import rule_graph as rule_graph
    from tfautolabel.features import extract_features as extract_features
    from tfautolabel.heads import HEADS as HEADS
    from tfautolabel.heads import build_head as build_head
    from tfautolabel.jobs import AuditResult as AuditResult
    from tfautolabel.jobs import RunResult as RunResult
    from tfautolabel.jobs import audit as audit
    from tfautolabel.jobs import run as run
    from tfautolabel.jobs.check_labels import check_labels as check_labels
    from tfautolabel.jobs.label import label as label
    from tfautolabel.jobs.label_check import LabelCheck as LabelCheck
    from tfautolabel.jobs.merge import LabelResult as LabelResult
    from tfautolabel.jobs.merge import merge as merge
    from tfautolabel.labeler import Labeler as Labeler
    from tfautolabel.labeler import build_model as build_model
    from tfautolabel.labeler.description_rule import description_rule as description_rule
    from tfautolabel.labels import ABSTAIN as ABSTAIN
    from tfautolabel.labels import Labels as Labels
    from tfautolabel.labels import Unreadable as Unreadable
    from tfautolabel.measures import Evaluation as Evaluation
    from tfautolabel.measures import ProbabilityEvaluation as ProbabilityEvaluation
    from tfautolabel.measures import evaluate_predictions as evaluate_predictions
    from tfautolabel.measures import evaluate_probabilities as evaluate_probabilities
    from tfautolabel.review.finishing import finish_review as finish_review
    from tfautolabel.review.opening import open_review as open_review
    from tfautolabel.review.session import Review as Review
    from tfautolabel.review.settings import ReviewSettings as ReviewSettings
    from tfautolabel.rules import LabelModel as LabelModel
    from tfautolabel.rules import MajorityVote as MajorityVote
    from tfautolabel.rules import RuleAnalysis as RuleAnalysis
    from tfautolabel.rules import VoteShare as VoteShare
    from tfautolabel.rules import apply_rules as apply_rules
    from tfautolabel.rules import labeling_function as labeling_function
    from tfautolabel.rules import model_rule as model_rule
    from tfautolabel.rules import read_rules as read_rules
    from tfautolabel.runs.settings import RunSettings as RunSettings
    from tfautolabel.training import ContrastiveSettings as ContrastiveSettings
    from tfautolabel.training import FineTuneSettings as FineTuneSettings
    from tfautolabel.training import MetaLearner as MetaLearner
    from tfautolabel.training import contrastive_tune as contrastive_tune
    from tfautolabel.training import fine_tune as fine_tune
    from tfautolabel.trust import Certificate as Certificate
    from tfautolabel.tuning import HeadHyperModel as HeadHyperModel
    from tfautolabel.tuning import HeadSearch as HeadSearch
    from tfautolabel.tuning import tune_head as tune_head

_HOMES = {
    "ABSTAIN": "labels",
    "AuditResult": "jobs",
    "Backbone": "backbones",
    "Certificate": "trust",
    "ClassDescriptions": "data.class_descriptions",
    "ContrastiveSettings": "training",
    "Dataset": "data",
    "Evaluation": "measures",
    "ExportedLabeler": "export",
    "FineTuneSettings": "training",
    "HEADS": "heads",
    "HeadHyperModel": "tuning",
    "HeadSearch": "tuning",
    "LabelCheck": "jobs.label_check",
    "LabelModel": "rules",
    "LabelResult": "jobs.merge",
    "Labeler": "labeler",
    "Labels": "labels",
    "LabelsWriter": "data",
    "MajorityVote": "rules",
    "MetaLearner": "training",
    "Oracle": "active",
    "ProbabilityEvaluation": "measures",
    "QUERY_STRATEGIES": "active",
    "Query": "active.query",
    "Review": "review.session",
    "ReviewSettings": "review.settings",
    "RuleAnalysis": "rules",
    "RunResult": "jobs",
    "RunSettings": "runs.settings",
    "Unreadable": "labels",
    "VoteShare": "rules",
    "apply_rules": "rules",
    "audit": "jobs",
    "build_head": "heads",
    "build_model": "labeler",
    "check_labels": "jobs.check_labels",
    "check_saved_model": "export",
    "contrastive_tune": "training",
    "description_rule": "labeler.description_rule",
    "evaluate_predictions": "measures",
    "evaluate_probabilities": "measures",
    "export_onnx": "export",
    "export_tflite": "export",
    "extract_features": "features",
    "fine_tune": "training",
    "finish_review": "review.finishing",
    "label": "jobs.label",
    "labeling_function": "rules",
    "load_backbone": "backbones",
    "load_dataset": "data",
    "load_exported": "export",
    "merge": "jobs.merge",
    "model_rule": "rules",
    "open_review": "review.opening",
    "query": "active.query",
    "read_rules": "rules",
    "rule_graph": "export",
    "run": "jobs",
    "simulate": "active",
    "tune_head": "tuning",
    "write_labels": "data",
    "write_unreadable": "data",
}
"""The public names, and the modules that they are resolved from when they are first used."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
