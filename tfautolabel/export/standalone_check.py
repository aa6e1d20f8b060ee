"""Opens an exported SavedModel where there is nothing but TensorFlow, and runs its own recorded examples.

Run as a script, in a process of its own: `python -I standalone_check.py FOLDER`. It refuses to import this
package, TensorFlow Hub, and TensorFlow Text unless labeler.json names it, and to open network connections, so
that what it reports is what a server without them would meet. (TensorFlow itself imports Keras, which it
depends on.) With `--wait` behind the folder it loads TensorFlow first and then waits for a line on standard
input, which says that the folder is there. It prints one line of JSON: {"failures": [...], "examples": n}.
"""

import base64
import ctypes
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

FORBIDDEN = ("tfautolabel", "tf_keras", "tensorflow_hub", "keras_hub")
OPTIONAL = {"tensorflow-text": "tensorflow_text"}
"""Distributions that a model may need, and their modules: refused where labeler.json does not name them."""
LABELS = {"label", "class_id", "confidence", "accepted", "probabilities"}
SIGNATURES = {
    "serving_default": (["examples"], LABELS),
    "features": (["examples"], {"features", "readable"}),
    "waveforms": (["lengths", "sample_rate", "waveforms"], LABELS),
}
"""Names of inputs and outputs; the last is for sound alone."""
TOLERANCE = 1e-4
WAIT = "--wait"


class _Refuse(MetaPathFinder):
    def __init__(self, refused: set[str]) -> None:
        self._refused = refused

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if fullname.split(".")[0] in self._refused:
            raise ModuleNotFoundError(f"{fullname} is not available to this check", name=fullname)


def _refuse_network(*_arguments: Any, **_options: Any) -> None:
    raise OSError("the network is not available to this check")


def check(folder: str) -> tuple[list[str], int]:
    """The failures found, as sentences, and how many examples were run."""
    try:
        description = json.loads((Path(folder) / "labeler.json").read_text(encoding="utf-8"))
        classes, examples = description["classes"], description["examples"]
        encoded = [base64.b64decode(example["input"]) for example in examples]
        recorded = [(example["label"], example["probabilities"]) for example in examples]
        votes = [example["votes"] for example in examples if "votes" in example]
        needed = {OPTIONAL[name] for name in description["requires"] if name in OPTIONAL}
        wanted = SIGNATURES if description["modality"] == "audio" else list(SIGNATURES)[:2]
    except (ValueError, KeyError, TypeError) as error:
        return [f"labeler.json is not what an export writes ({type(error).__name__}: {error})"], 0
    refuse = _Refuse({*FORBIDDEN, *OPTIONAL.values()} - needed)
    sys.meta_path.insert(0, refuse)
    try:
        return _check_model(folder, needed, wanted, classes, encoded, recorded, votes)
    finally:
        sys.meta_path.remove(refuse)


def _check_model(
    folder: str,
    needed: set[str],
    wanted: Iterable[str],
    classes: list[str],
    encoded: list[bytes],
    recorded: list[tuple[str, list[float]]],
    votes: list[list[int]],
) -> tuple[list[str], int]:
    import tensorflow as tf

    for module in sorted(needed):
        try:
            importlib.import_module(module)
        except ImportError as error:
            return [f"it needs {module}, as labeler.json says, which cannot be imported: {error}"], 0
    try:
        model = tf.saved_model.load(folder)
    except Exception as error:
        return [f"TensorFlow cannot load it: {_first_line(error)}"], 0
    failures = _check_signatures(model, wanted)
    if failures:
        return failures, 0
    names = [name.decode("utf-8") for name in model.class_names().numpy()]
    if classes != names:
        failures.append(f"labeler.json lists the classes {classes}, the model knows {names}")
    if not recorded:
        failures.append("labeler.json holds no recorded examples")
        return failures, 0
    try:
        outputs = model.signatures["serving_default"](examples=tf.constant(encoded))
    except tf.errors.OpError as error:
        return [*failures, f"it does not run: {_first_line(error)}"], 0
    labels = [label.decode("utf-8") for label in outputs["label"].numpy()]
    for position, (label, probabilities) in enumerate(recorded):
        failures += _compare(
            position, labels[position], outputs["probabilities"][position], label, probabilities
        )
    if votes and ("votes" not in outputs or outputs["votes"].numpy().tolist() != votes):
        failures.append("the votes of its rules on the recorded examples are not the recorded ones")
    return failures, len(recorded)


def _check_signatures(model: Any, wanted: Iterable[str]) -> list[str]:
    failures = []
    for name in wanted:
        inputs, outputs = SIGNATURES[name]
        signature = model.signatures.get(name)
        if signature is None:
            failures.append(f"there is no signature {name!r}")
            continue
        missing = outputs - set(signature.structured_outputs)
        if missing:
            failures.append(f"the signature {name!r} lacks the outputs {sorted(missing)}")
        found = sorted(signature.structured_input_signature[1])
        if found != inputs:
            failures.append(f"the signature {name!r} must have the inputs {inputs}, not {found}")
    if not callable(getattr(model, "class_names", None)):
        failures.append("there is no function 'class_names'")
    return failures


def _compare(position: int, label: str, probabilities: Any, recorded_label: Any, recorded: Any) -> list[str]:
    import numpy as np

    failures = []
    if label != recorded_label:
        failures.append(f"recorded example {position} is labelled {label!r}, {recorded_label!r} was recorded")
    try:
        difference = float(np.abs(probabilities - np.asarray(recorded, np.float32)).max())
    except (ValueError, TypeError):
        return [*failures, f"the probabilities recorded of example {position} are {recorded!r}"]
    if not difference <= TOLERANCE:
        failures.append(
            f"the probabilities of recorded example {position} differ by {difference:.2g}, at most "
            f"{TOLERANCE} is allowed"
        )
    return failures


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _end_with_the_caller() -> None:
    """Has Linux end this process when the one that started it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    _end_with_the_caller()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    socket.socket.connect = _refuse_network  # type: ignore[method-assign]
    socket.create_connection = _refuse_network  # type: ignore[assignment]
    if sys.argv[2:] == [WAIT]:
        refuse_all = _Refuse({*FORBIDDEN, *OPTIONAL.values()})
        sys.meta_path.insert(0, refuse_all)
        importlib.import_module("tensorflow")
        sys.meta_path.remove(refuse_all)
        if not sys.stdin.readline():
            sys.exit()  # whoever was to write the model is gone
    found, count = check(sys.argv[1])
    sys.stdout.write(json.dumps({"failures": found, "examples": count}) + "\n")
