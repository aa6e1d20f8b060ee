"""Writes one graph from encoded inputs to labels as a SavedModel."""

from __future__ import annotations

import base64
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel._model_folder import (
    DESCRIPTION,
    FORMAT_VERSION,
    GRAPH,
    next_version,
    read_description,
    write_description,
)
from tfautolabel._version import __version__
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data.atomic import atomic_folder
from tfautolabel.export.function_names import settle_function_names
from tfautolabel.export.labeling_module import LabelingModule
from tfautolabel.export.parity import CheckFailure, SelfCheck
from tfautolabel.export.rules_in_graph import RuleGraph
from tfautolabel.trust import OodGate
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.reference import Reference

OWN_FILES = (GRAPH, "fingerprint.pb", "variables", "assets", DESCRIPTION)
_THRESHOLDS = "thresholds/.ATTRIBUTES/VARIABLE_VALUE"


def export_saved_model(
    folder: str | os.PathLike[str],
    backbone: Backbone,
    head: keras.Model,
    classes: Sequence[str],
    acceptance: Acceptance,
    gate: OodGate | None,
    predict: Callable[[list[bytes]], np.ndarray],
    details: dict[str, Any] | None = None,
    overwrite: bool = False,
    rules: RuleGraph | None = None,
    voting: bool = False,
    reference: Reference | None = None,
) -> Path:
    """Writes preprocessing, backbone and head as one SavedModel, and checks it before it gets its name.

    See `LabelingModule` for its signatures.

    Args:
        folder: the version folder, such as saved_models/flowers/1, or the model's folder. In a model's
            folder, the next number is used.
        backbone: the feature extractor.
        head: maps features to probabilities.
        classes: k names.
        acceptance: the rule for which labels are `accepted`.
        gate: detects examples that are unlike all labelled ones, or None.
        predict: returns the (n, k) probabilities of recorded examples, which the export must reproduce.
        details: more entries for labeler.json.
        overwrite: whether to replace an existing version after the new one has passed its check.
        rules: vote beside the labels, or None.
        voting: whether the head takes their votes too, so that labels depend on them.
        reference: what the examples looked like on which the labels were judged, or None.

    Returns:
        The version folder.

    Raises:
        FileExistsError: If the version exists and `overwrite` is False.
        CheckFailure: If the SavedModel, run in a separate process, does not give the same as `predict`.
    """
    target = next_version(Path(folder))
    if target.exists() and not (overwrite and _may_be_replaced(target)):
        raise FileExistsError(
            f"a version folder must be new{_unless(overwrite)}. Received: {target}, which exists"
        )
    # It is hidden and next to the target, so a server that watches the folder never sees half a model.
    with atomic_folder(target, replace=overwrite) as partial, SelfCheck() as checking:
        module = LabelingModule(backbone, head, classes, acceptance, gate, rules, voting, reference)
        with _told_of_a_full_disk():
            tf.saved_model.save(module, os.fspath(partial), signatures=module.functions_by_signature())
        settle_function_names(partial)
        description = (details or {}) | _describe(backbone, predict, classes, rules)
        if rules is not None:
            description["labels_depend_on_votes"] = voting
        description |= {"acceptance": acceptance.to_dict(), "unlike": gate and gate.to_dict()}
        description.setdefault("min_confidence", float(acceptance.thresholds.min()))
        write_description(partial, description)
        _check(checking, partial, target)
        keep_additions(target, partial)
    return target


def rewrite_acceptance(
    folder: str | os.PathLike[str], acceptance: Acceptance, details: dict[str, Any] | None = None
) -> None:
    """Changes an exported model's thresholds without a new export, and checks the model.

    Thresholds are a variable, so only the small variable files are rewritten.

    Args:
        folder: the version folder.
        acceptance: the rule for which labels are accepted from now on.
        details: more entries for its labeler.json.

    Raises:
        FileNotFoundError: If there is no exported model.
        ValueError: If it was exported before thresholds could be changed.
        CheckFailure: If the changed model does not give what was recorded. Then the model is not changed.
    """
    folder = Path(folder)
    description = read_description(folder)
    with atomic_folder(folder) as partial, SelfCheck() as checking:
        shutil.copytree(folder, partial, dirs_exist_ok=True)
        with _told_of_a_full_disk():
            _write_thresholds(partial, acceptance.bounds)
        described = description | (details or {}) | {"acceptance": acceptance.to_dict()}
        write_description(partial, described)
        _check(checking, partial, folder)


def _write_thresholds(folder: Path, bounds: np.ndarray) -> None:
    """Rewrites the checkpoint of a SavedModel's variables with new thresholds."""
    prefix = os.fspath(folder / "variables" / "variables")
    reader = tf.train.load_checkpoint(prefix)
    values = {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_shape_map())}
    if values.get(_THRESHOLDS, np.zeros(0)).shape != bounds.shape:
        raise ValueError(
            f"the thresholds of this model cannot be changed: export it again. Received: {folder.parent}"
        )
    values[_THRESHOLDS] = bounds.astype(np.float32)
    for file in (folder / "variables").iterdir():
        file.unlink()
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.convert_to_tensor(value) for value in values.values()],
    )
    # It would hold the hash of the replaced files. No loader needs it.
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def keep_additions(target: Path, partial: Path) -> None:
    """Copies files that a user added to a version, such as assets.extra for TF Serving."""
    for added in target.iterdir() if target.is_dir() else ():
        if added.name in OWN_FILES or (partial / added.name).exists():
            continue
        if added.is_dir() and not added.is_symlink():
            shutil.copytree(added, partial / added.name, symlinks=True)
        else:
            shutil.copy2(added, partial / added.name, follow_symlinks=False)


@contextmanager
def _told_of_a_full_disk() -> Iterator[None]:
    """Turns TensorFlow's error for a full disk into Python's."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def _describe(
    backbone: Backbone,
    predict: Callable[[list[bytes]], np.ndarray],
    classes: Sequence[str],
    rules: RuleGraph | None,
) -> dict[str, Any]:
    """Returns labeler.json's description of the model."""
    examples = backbone.preprocessor.recorded_examples() + list(rules.examples if rules is not None else ())
    return {
        "format_version": FORMAT_VERSION,
        "classes": list(classes),
        "modality": backbone.modality,
        "backbone": {
            "handle": backbone.handle,
            "fingerprint": backbone.fingerprint,
            "feature_dim": backbone.feature_dim,
        },
        "limits": backbone.preprocessor.limits,
        "preprocessor": backbone.preprocessor.identity(),
        "requires": ["tensorflow", *backbone.preprocessor.requires],
        "made_with": {
            "tfautolabel": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        **({} if rules is None else {"rules": rules.describe()}),
        "examples": _recorded_examples(examples, predict, classes, rules),
    }


def _may_be_replaced(target: Path) -> bool:
    """Returns whether a folder is an export or empty. Any other folder with a number as name is kept."""
    return target.is_dir() and ((target / GRAPH).is_file() or not any(target.iterdir()))


def _unless(overwrite: bool) -> str:
    return ", empty or hold an exported model" if overwrite else ", or overwrite=True"


def _check(checking: SelfCheck, partial: Path, target: Path) -> None:
    try:
        checking.run(partial)
    except CheckFailure as failure:
        # The partial folder is gone when the user reads the message. The user knows the target's name.
        raise CheckFailure(str(failure).replace(os.fspath(partial), os.fspath(target))) from failure


def _recorded_examples(
    encoded: list[bytes],
    predict: Callable[[list[bytes]], np.ndarray],
    classes: Sequence[str],
    rules: RuleGraph | None,
) -> list[dict[str, Any]]:
    """Returns synthetic examples with their labels, and votes if there are rules."""
    probabilities = predict(encoded)
    votes = None if rules is None else rules(tf.constant(encoded, tf.string)).numpy().tolist()
    return [
        {
            "input": base64.b64encode(content).decode("ascii"),
            "label": classes[int(row.argmax())] if row.any() else "",
            "probabilities": [float(value) for value in row],
            **({} if votes is None else {"votes": votes[number]}),
        }
        for number, (content, row) in enumerate(zip(encoded, probabilities, strict=True))
    ]
