"""Label data by transfer learning: a few labels in, trusted labels and a servable model out.

    data ──► backbones ──► features ──► heads ──► Labels ──► writers, SavedModel
              (frozen graph, cached)

`Labeler` composes these parts; each can be used alone. Importing the package imports no TensorFlow: names are
resolved when they are first used (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfautolabel._version import __version__

if TYPE_CHECKING:
    from tfautolabel.backbones import Backbone, load_backbone
    from tfautolabel.data import Dataset, load_dataset, write_labels, write_rejected
    from tfautolabel.export import ExportedLabeler, check_saved_model, export_saved_model, load_labeler
    from tfautolabel.features import Extraction, extract_features
    from tfautolabel.heads import HEADS, LinearHead, build_head
    from tfautolabel.labeler import Labeler, build_model
    from tfautolabel.labels import ABSTAIN, Labels, Rejected
    from tfautolabel.measures import Evaluation, evaluate_predictions
    from tfautolabel.training import ContrastiveSettings, FineTuneSettings, contrastive_tune, fine_tune
    from tfautolabel.tuning import HeadHyperModel, tune_head

_HOMES = {
    "ABSTAIN": "labels",
    "Backbone": "backbones",
    "ContrastiveSettings": "training",
    "Dataset": "data",
    "Evaluation": "measures",
    "ExportedLabeler": "export",
    "Extraction": "features",
    "FineTuneSettings": "training",
    "HEADS": "heads",
    "HeadHyperModel": "tuning",
    "Labeler": "labeler",
    "Labels": "labels",
    "LinearHead": "heads",
    "Rejected": "labels",
    "build_head": "heads",
    "build_model": "labeler",
    "check_saved_model": "export",
    "contrastive_tune": "training",
    "evaluate_predictions": "measures",
    "export_saved_model": "export",
    "extract_features": "features",
    "fine_tune": "training",
    "load_backbone": "backbones",
    "load_dataset": "data",
    "load_labeler": "export",
    "tune_head": "tuning",
    "write_labels": "data",
    "write_rejected": "data",
}

__all__ = [
    "ABSTAIN",
    "HEADS",
    "Backbone",
    "ContrastiveSettings",
    "Dataset",
    "Evaluation",
    "ExportedLabeler",
    "Extraction",
    "FineTuneSettings",
    "HeadHyperModel",
    "Labeler",
    "Labels",
    "LinearHead",
    "Rejected",
    "__version__",
    "build_head",
    "build_model",
    "check_saved_model",
    "contrastive_tune",
    "evaluate_predictions",
    "export_saved_model",
    "extract_features",
    "fine_tune",
    "load_backbone",
    "load_dataset",
    "load_labeler",
    "tune_head",
    "write_labels",
    "write_rejected",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
