"""A review's server that can be killed and started again in no time.

Run as a program, it imports everything once; each line on standard input starts a child that serves. It
tells its number and the address of the page.
"""

import os
import sys
from pathlib import Path

import numpy as np

CLASSES = ("ant", "bee", "cat")


def made(count, dim=16, seed=0):
    """Examples of three classes that are easily told apart, and their classes."""
    from tfautolabel.data import Dataset
    from tfautolabel.review.material import Material

    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    features = (
        np.eye(3, dim, dtype=np.float32)[truth] * 4 + rng.standard_normal((count, dim), np.float32)
    ).astype(np.float32)
    dataset = Dataset.from_inputs(
        [f"{CLASSES[c]} number {row}" for row, c in enumerate(truth)], modality="text"
    )
    return Material(dataset, features, "made up"), truth


def opened(out, count=400, dim=16, **settings):
    """A session over made-up examples in a folder."""
    from tfautolabel.review.session import Review
    from tfautolabel.review.settings import ReviewSettings
    from tfautolabel.runs.answers import Answers

    material, _ = made(count, dim)
    answers = Answers(Path(out) / "answers.sqlite")
    return Review(material, answers, classes=CLASSES, settings=ReviewSettings(**settings))


def serve(out, port, count, dim):
    """Serves until it is killed."""
    from tfautolabel.review.server import page_settings, serve_review

    review = opened(out, count, dim)
    serve_review(
        review,
        page_settings(port=port),
        finish=lambda mode: f"finished {mode}",
        report=Path(out) / "report.html",
        on_ready=lambda address: tell(f"{os.getpid()} {address}"),
    )


def tell(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(out, port, count, dim="16"):
    import tfautolabel.review.server
    import tfautolabel.review.session  # noqa: F401

    opened(out, 50).answers.close()
    tell("ready")
    for _ in sys.stdin:
        if os.fork() == 0:
            serve(out, int(port), int(count), int(dim))
            os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
