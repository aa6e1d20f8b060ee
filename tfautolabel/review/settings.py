"""How a session asks and what it promises."""

from __future__ import annotations

from dataclasses import dataclass

from tfautolabel.labels import MIN_CONFIDENCE

PORT = 8502
"""Where the page is served unless somebody says otherwise; it stays, so that an open page goes on."""


@dataclass(frozen=True)
class ReviewSettings:
    """How a session asks.

    Attributes:
        strategy: how examples are chosen, a key of `tfautolabel.active.QUERY_STRATEGIES`. With
            "sequential" they are asked as they stand in the data; none is drawn at random, so nothing can be
            said of the accuracy.
        batch_size: after so many answers the head learns again; with more classes, as many as there are
            classes.
        random_share: in [0, 1], the share of questions that are drawn at random, from which accuracy is
            estimated.
        overlap: in [0, 1], the share of examples that two people answer.
        planned: how many answers the person has in mind; for the progress only.
        target_error: in (0, 1), the greatest share of wrong labels among the accepted ones.
        certify_confidence: in (0, 1), how often a certificate is true at least.
        min_confidence: in [0, 1], labels with a lower confidence are not accepted.
        sampling: how labels that were there before were selected, as in `RunSettings`. Unless they were
            "chosen", they tell of the others what the randomly asked ones tell.
        seed: determines everything random.
    """

    strategy: str = "uncertainty-herding"
    batch_size: int = 10
    random_share: float = 0.15
    overlap: float = 0.0
    planned: int = 200
    target_error: float = 0.05
    certify_confidence: float = 0.95
    min_confidence: float = MIN_CONFIDENCE
    sampling: str = "unknown"
    seed: int = 0

    def check(self) -> None:
        """Refuses values that make no sense.

        Raises:
            ValueError: If one is out of range.
        """
        # Imported late: the command line takes its defaults from here and must not wait for it.
        from tfautolabel.active.strategies import strategy_of
        from tfautolabel.data.shares import check_sampling

        strategy_of(self.strategy)
        check_sampling(self.sampling)
        for name in ("random_share", "overlap", "min_confidence"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1]. Received: {name}={getattr(self, name)}")
        for name in ("target_error", "certify_confidence"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie in (0, 1). Received: {name}={getattr(self, name)}")
        for name in ("batch_size", "planned"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={getattr(self, name)}")
