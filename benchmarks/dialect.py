"""From Mandarin to Cantonese: spoken digits of one language, then a few of the other.

Measures the share of Cantonese digits that a head gets right which was fitted on Mandarin ones, and that of a
head fitted on a few Cantonese clips a digit, the backbone the same and frozen. All clips are espeak-ng's:
200 a language, at several speeds and pitches.

    python benchmarks/dialect.py [--labels 8] [--seeds 5] [--backbone packaged:speech-embedding]
"""

from __future__ import annotations

import numpy as np
from accuracy import draw
from recording import Report, options
from sound_sets import spoken_digits

import tfautolabel as tal


def accuracy(backbone: tal.Backbone, labelled: tal.Dataset, rest: tal.Dataset, seed: int, cache) -> float:
    labeler = tal.Labeler(backbone, labelled.classes, seed=seed, cache_dir=cache, progress=False)
    labeler.fit(labelled)
    return labeler.evaluate(rest).accuracy


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--labels", type=int, default=8, help="Cantonese clips a digit")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--backbone", default="packaged:speech-embedding")
    arguments = parser.parse_args()
    report = Report("dialect", arguments)
    backbone = tal.load_backbone(arguments.backbone)
    mandarin, cantonese = (
        tal.load_dataset(spoken_digits(arguments.data, voice), "folder") for voice in ("cmn", "yue")
    )
    cache = arguments.data / "features"
    across = [accuracy(backbone, mandarin, cantonese, seed, cache) for seed in range(arguments.seeds)]
    own = []
    for seed in range(arguments.seeds):
        drawn = draw(cantonese.class_ids, arguments.labels, seed)
        own.append(accuracy(backbone, cantonese.subset(drawn), cantonese.subset(~drawn), seed, cache))
    report.add(
        "Cantonese digits, head fitted on Mandarin",
        f"mean accuracy of {arguments.seeds} seeds on {len(cantonese)} clips",
        float(np.mean(across)),
        result=f"{np.mean(across):.3f}",
        accuracies=across,
    )
    report.add(
        f"Cantonese digits, head fitted on {arguments.labels} Cantonese clips a digit",
        f"mean accuracy of {arguments.seeds} draws on the other clips",
        float(np.mean(own)),
        result=f"{np.mean(own):.3f}",
        peer=f"head fitted on Mandarin: {np.mean(across):.3f}",
        ratio=f"{np.mean(own) - np.mean(across):+.3f}",
        accuracies=own,
    )
    report.save()


if __name__ == "__main__":
    main()
