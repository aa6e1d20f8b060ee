"""Reads information from the folder of a SavedModel, and loads it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfautolabel._optional import is_installed, require
from tfautolabel._tensorflow_internals import saved_model_message

TEXT_OPERATIONS = re.compile(
    "TFText>|Sentencepiece|Wordpiece|CaseFoldUTF8|NormalizeUTF8|FastBertNormalize|RegexSplitWithOffsets"
    "|WhitespaceTokenize|UnicodeScriptTokenize|SplitMergeTokenize|SentenceFragments|ConstrainedSequence"
    "|FindSourceOffsets|PhraseTokenize|TokenizerFromLogits"
)
"""Matches the names of TensorFlow Text's operations."""


def load_module(folder: Path) -> Any:
    """Loads a SavedModel, with TensorFlow Text's operations if it needs them and they are installed.

    Args:
        folder: holds saved_model.pb. Loading runs the graph: load only what you trust.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is not a SavedModel that can be loaded.
        RuntimeError: If it uses operations that are not available.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"a SavedModel is a folder that holds saved_model.pb. There is no folder {folder}"
        )
    if not (folder / "saved_model.pb").is_file():
        content = sorted(path.name for path in folder.iterdir())[:10]
        raise ValueError(
            f"a SavedModel folder holds saved_model.pb. Received: {folder}, which holds {content}"
        )
    if requirements(folder) and is_installed("text"):
        require("tensorflow_text", extra="text")
    try:
        return tf.saved_model.load(str(folder), tags=_tags(folder))
    except (RuntimeError, ValueError, KeyError, OSError, tf.errors.OpError) as error:
        operation = re.search(r"Op type not registered '([^']+)'", str(error))
        if operation:
            raise RuntimeError(
                f"{folder} uses the operation {operation[1]}, which is not in TensorFlow itself: install the "
                "package that brings it and import it first; for text models "
                '`pip install "tfautolabel[text]"`, then `import tensorflow_text`'
            ) from error
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{folder} is not a SavedModel that can be loaded: {reason}") from error


def requirements(folder: Path) -> tuple[str, ...]:
    """Returns the known packages besides TensorFlow that a SavedModel's operations come from.

    Args:
        folder: holds saved_model.pb. A damaged file needs no packages.
    """
    graphs = _meta_graphs(folder)
    names = {op.name for graph in graphs for op in graph.meta_info_def.stripped_op_list.op}
    return ("tensorflow-text",) if any(map(TEXT_OPERATIONS.search, names)) else ()


def _tags(folder: Path) -> list[str] | None:
    """Returns the tags of the graph for inference, or None if there is only one graph.

    A module in TensorFlow 1's format, https://www.tensorflow.org/hub/tf1_hub_module, often has one graph
    without tags for inference and one with the tag "train".
    """
    graphs = [sorted(graph.meta_info_def.tags) for graph in _meta_graphs(folder)]
    if len(graphs) < 2:
        return None
    return min(graphs, key=lambda tags: ("train" in tags, tags not in ([], ["serve"]), len(tags)))


def _meta_graphs(folder: Path) -> list[Any]:
    """Returns the graphs in saved_model.pb; none if it is damaged."""
    try:
        described = saved_model_message((folder / "saved_model.pb").read_bytes())
    except Exception:  # protobuf's DecodeError is another class in each of its implementations
        return []
    return list(described.meta_graphs)


def content_digest(folder: Path) -> str:
    """Returns a hash of graph and assets. Variables are hashed as weights, because training changes them."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        relative = file.relative_to(folder)
        if file.is_file() and relative.parts[0] in ("saved_model.pb", "assets"):
            digest.update(relative.as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
