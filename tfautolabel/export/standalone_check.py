"""Opens an exported SavedModel where there is nothing but TensorFlow, and runs its own recorded examples.

Run as a script, in a process of its own: `python -I standalone_check.py FOLDER`. It refuses to import this
package, TensorFlow Hub and TensorFlow Text, and to open network connections, so that what it reports is what a
server without them would meet. (TensorFlow itself imports Keras, which it depends on.) It prints one line of JSON: {"failures": [...], "examples": n}.
"""

import base64
import json
import os
import socket
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

FORBIDDEN = ("tfautolabel", "tf_keras", "tensorflow_hub", "tensorflow_text", "keras_hub")
SIGNATURES = {
    "serving_default": {"label", "class_id", "confidence", "accepted", "probabilities"},
    "features": {"features", "readable"},
}
TOLERANCE = 1e-4


class _Refuse(MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):  # noqa: ANN001, ANN201, ARG002
        if fullname.split(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"{fullname} is not available to this check", name=fullname)


def _refuse_network(*_arguments, **_options):  # noqa: ANN002, ANN003, ANN202
    raise OSError("the network is not available to this check")


def check(folder):  # noqa: ANN001, ANN201
    """The failures found, as sentences, and how many examples were run."""
    import numpy as np
    import tensorflow as tf

    description = json.loads((Path(folder) / "labeler.json").read_text(encoding="utf-8"))
    model = tf.saved_model.load(folder)
    failures = []
    for name, outputs in SIGNATURES.items():
        signature = model.signatures.get(name)
        if signature is None:
            failures.append(f"there is no signature {name!r}")
            continue
        missing = outputs - set(signature.structured_outputs)
        if missing:
            failures.append(f"the signature {name!r} lacks the outputs {sorted(missing)}")
        if "examples" not in signature.structured_input_signature[1]:
            failures.append(f"the signature {name!r} has no input 'examples'")
    if failures:
        return failures, 0
    examples = description["examples"]
    encoded = [base64.b64decode(example["input"]) for example in examples]
    outputs = model.signatures["serving_default"](examples=tf.constant(encoded))
    labels = [label.decode("utf-8") for label in outputs["label"].numpy()]
    differences = np.abs(outputs["probabilities"].numpy() - [example["probabilities"] for example in examples])
    for position, example in enumerate(examples):
        if labels[position] != example["label"]:
            failures.append(
                f"recorded example {position} is labelled {labels[position]!r}, {example['label']!r} was recorded"
            )
        if not differences[position].max() <= TOLERANCE:
            failures.append(
                f"the probabilities of recorded example {position} differ by {differences[position].max():.2g}, "
                f"at most {TOLERANCE} is allowed"
            )
    return failures, len(examples)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.meta_path.insert(0, _Refuse())
    socket.socket.connect = _refuse_network
    socket.create_connection = _refuse_network
    found, count = check(sys.argv[1])
    sys.stdout.write(json.dumps({"failures": found, "examples": count}) + "\n")
