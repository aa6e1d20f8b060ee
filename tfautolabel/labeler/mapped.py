"""Gives a labeler's head the map of a meta-learner, and refuses what does not go with it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras

from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.data.learnt import contents_of
from tfautolabel.heads.meta import MetaHead
from tfautolabel.training.meta import MetaLearner

NAMES = ("linear", "auto")
"""The heads that a meta-learner goes with."""


def mapped_head(
    head: str | keras.Model,
    meta_learner: MetaLearner | str | os.PathLike[str] | None,
    backbone: Backbone,
    n_classes: int,
    seed: int,
    transfer: str,
) -> str | keras.Model:
    """Returns the head with the map of a meta-learner; as it is without one.

    Raises:
        ValueError: If head, backbone or transfer do not go with the meta-learner.
        RuntimeError: If the meta-learner has learnt nothing yet.
    """
    if meta_learner is None:
        return head
    if not (isinstance(head, str) and head in NAMES):
        received = head if isinstance(head, str) else getattr(head, "name", head)
        raise ValueError(
            f"a meta-learner goes with a head of the names {' and '.join(NAMES)}. Received: head={received!r}"
        )
    learner = meta_learner if isinstance(meta_learner, MetaLearner) else MetaLearner.load(meta_learner)
    matrix = learner.map_for(backbone)
    made = MetaHead(
        backbone.feature_dim, n_classes, from_pool=head == "auto", fingerprint=learner.fingerprint,
        earlier=learner.learnt_.hashes, on_earlier=learner.worth_.get("why"), seed=seed,
        name=f"meta_{head}_head",
    )  # fmt: skip
    made.compile()
    made.use_map(matrix, learner.power_)
    check_mapped(made, backbone, transfer)
    return made


def check_mapped(head: keras.Model, backbone: Backbone, transfer: str) -> None:
    """Refuses features that a head's map is not for.

    Raises:
        ValueError: If the backbone is another one, or is to be tuned.
    """
    if not isinstance(head, MetaHead):
        return
    if transfer != "feature":
        raise ValueError(
            "a meta-learner is for features of a frozen backbone: transfer='feature'. Received: "
            f"transfer={transfer!r}"
        )
    if head.fingerprint != backbone.fingerprint:
        raise ValueError(
            "the head's map is for the backbone that the meta-learner learnt with. Received: "
            f"{backbone.handle} with other weights or preprocessing"
        )


def refuse_known(head: keras.Model, examples: Dataset, contents: Sequence[str] | None) -> None:
    """Lets a head not use its map if labelled examples taught it: as held-out ones they would flatter it.

    Args:
        head: any head.
        examples: the labelled examples.
        contents: hashes of their contents, perhaps with others; None to read them.
    """
    if not isinstance(head, MetaHead) or not head.earlier:
        return
    count = len(head.earlier.intersection(contents_of(examples) if contents is None else contents))
    known = f"{count:,} labelled {'example is' if count == 1 else 'examples are'} in the earlier sets too"
    head.refused = f"{known}: no held-out label of them would say its worth" if count else None
