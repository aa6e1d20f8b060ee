"""Do probabilities mean what they say?

Measures the expected calibration error (15 bins of equal mass, of the highest probability) on all examples
that are not labelled, with 50 labels a class: of the default head with `fit_calibration` on its out-of-fold
probabilities, as a mean over draws.

Peer: the same head without any temperature. The default head chooses a temperature within its own
cross-validation, so the fair comparison is scikit-learn's LogisticRegression on the same normalised features
with the C that the head chose: the same scores, as they come. Beside it stands the head with its own
temperature alone, and what `fit_calibration` makes of the scikit-learn model from its own out-of-fold
probabilities.

    python benchmarks/trust_calibration.py [--seeds 5] [--labels 50] --fsdd ARCHIVE
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from accuracy import draw
from recording import Report
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from trust_sets import Features, read_features, trust_options

from tfautolabel.heads import build_head
from tfautolabel.measures.probabilities import calibration_error
from tfautolabel.training import train_head
from tfautolabel.trust import fit_calibration

BAR = 0.05


class Outcome(NamedTuple):
    """Of one draw: calibration error and log loss of each; the kinds chosen for the head and the peer."""

    errors: dict[str, float]
    losses: dict[str, float]
    kinds: tuple[str, str]


def measure(features: Features, per_class: int, seed: int) -> Outcome:
    drawn = draw(features.class_ids, per_class, seed)
    known, truth = features.class_ids[drawn], features.class_ids[~drawn]
    head = build_head("linear", features.values.shape[1], int(features.class_ids.max()) + 1, seed)
    out_of_fold = train_head(head, features.values[drawn], known, seed=seed).out_of_fold
    calibration = fit_calibration(out_of_fold, known, seed=seed)
    normalised = np.asarray(head.normalization(features.values))
    plain = LogisticRegression(C=head.penalty_, max_iter=1000, tol=1e-3)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    held_out = cross_val_predict(plain, normalised[drawn], known, cv=folds, method="predict_proba")
    of_plain = fit_calibration(held_out, known, seed=seed)
    plain.fit(normalised[drawn], known)
    probabilities = {
        "head": np.asarray(head(features.values[~drawn], training=False)),
        "uncalibrated": plain.predict_proba(normalised[~drawn]),
    }
    probabilities["ours"] = calibration.apply(probabilities["head"])
    probabilities["uncalibrated, then ours"] = of_plain.apply(probabilities["uncalibrated"])
    errors, losses = {}, {}
    for name, values in probabilities.items():
        errors[name] = calibration_error(values.max(axis=1), values.argmax(axis=1) == truth)
        losses[name] = float(-np.log(np.maximum(values[np.arange(len(truth)), truth], 1e-12)).mean())
    return Outcome(errors, losses, (calibration.kind, of_plain.kind))


def main() -> None:
    parser = trust_options(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, default=50, help="a class")
    arguments = parser.parse_args()
    report = Report("trust_calibration", arguments)
    good, helped = 0, 0
    every = read_features(arguments)
    for name, features in every.items():
        found = [measure(features, arguments.labels, seed) for seed in range(arguments.seeds)]
        errors, losses = (
            {key: float(np.mean([getattr(one, part)[key] for one in found])) for key in found[0].errors}
            for part in ("errors", "losses")
        )
        good += errors["ours"] <= BAR and errors["ours"] < errors["uncalibrated"]
        report.add(
            f"calibration error, {name}, {arguments.labels} labels a class",
            f"expected calibration error, mean of {arguments.seeds} draws",
            errors["ours"],
            peer=f"without temperature {errors['uncalibrated']:.4f}, head alone {errors['head']:.4f}",
            ratio=f"{errors['ours'] - errors['uncalibrated']:+.4f}",
            errors=errors,
            log_losses=losses,
            kinds=[list(one.kinds) for one in found],
        )
        after = errors["uncalibrated, then ours"]
        helped += after < errors["uncalibrated"]
        report.add(
            f"calibration error without temperature, then ours, {name}, {arguments.labels} labels a class",
            f"expected calibration error, mean of {arguments.seeds} draws",
            after,
            peer=f"as it comes {errors['uncalibrated']:.4f}",
            ratio=f"{after - errors['uncalibrated']:+.4f}",
        )
        print(name, errors, losses, [one.kinds for one in found], flush=True)
    report.add(
        f"calibrated sets, {arguments.labels} labels a class",
        f"of {len(every)} sets, with an error of at most {BAR} and below that without temperature",
        good,
        ">= 4" if len(every) == 5 else None,
    )
    report.add(
        f"sets where calibration lowers the error, {arguments.labels} labels a class",
        f"of {len(every)} sets, scikit-learn's model without temperature",
        helped,
        ">= 4" if len(every) == 5 else None,
    )
    report.save()


if __name__ == "__main__":
    main()
