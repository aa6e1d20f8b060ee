"""Rules for two text sets, written from what the task is about before any label was seen; and planted ones.

A rule is a name, the class it votes for, and an expression that is searched without regard to case, or a
function that returns a class or None.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from text_sets import text_set

from tfautolabel.labels import ABSTAIN

Rule = tuple[str, str | None, str | Callable[[str], str | None]]

_PRAISE = re.compile(
    r"great|excellent|perfect|love|loved|amazing|awesome|fantastic|wonderful|best|delicious|beautiful|brilliant|"
    r"superb|outstanding|enjoy(ed|able)?|happy|pleased|impressed|nice|good|incredible|friendly|fresh|tasty|"
    r"comfortable"
)
_BLAME = re.compile(
    r"bad|terrible|horrible|awful|worst|poor|poorly|disappoint\w*|waste|boring|slow|rude|broke|broken|useless|"
    r"crap|disgusting|bland|stupid|junk|garbage|sucks?|lame|mediocre|annoying|fails?|failed|cheap|hate"
)
_DENIED_PRAISE = re.compile(
    rf"\b(not|n't|never|no|hardly|isn't|wasn't|don't|didn't)\b(\W+\w+){{0,2}}\W+({_PRAISE.pattern})\b", re.I
)


def _lexicon(text: str) -> str | None:
    words = re.findall(r"[a-z']+", text.lower())
    good = sum(bool(_PRAISE.fullmatch(word)) for word in words)
    bad = sum(bool(_BLAME.fullmatch(word)) for word in words)
    return None if good == bad else "positive" if good > bad else "negative"


def _denied_praise(text: str) -> str | None:
    return "negative" if _DENIED_PRAISE.search(text) else None


def _shouts(text: str) -> str | None:
    letters = [letter for letter in text[:300] if letter.isalpha()]
    loud = len(letters) > 40 and sum(letter.isupper() for letter in letters) / len(letters) > 0.35
    return "spam" if loud else None


def _quotes(text: str) -> str | None:
    return "ham" if len(re.findall(r"(^|\s)> ", text)) >= 2 else None


_UCI: tuple[Rule, ...] = (
    ("great words", "positive", r"\b(great|excellent|perfect|amazing|awesome|fantastic|wonderful)\b"),
    ("love", "positive", r"\b(i|we|you'll|will) (\w+ )?love|\bloved\b|\blove (it|this|the)\b"),
    ("recommends", "positive", r"\b(highly|definitely|would|strongly) recommend"),
    ("works well", "positive", r"works? (great|well|fine|perfectly|like a charm)"),
    ("good", "positive", r"\b(good|nice|happy|pleased|impressed)\b"),
    ("best", "positive", r"\bbest\b"),
    ("good food", "positive", r"\b(delicious|tasty|fresh|yummy|flavorful)\b"),
    (
        "good film",
        "positive",
        r"\b(brilliant|masterpiece|beautiful(ly)?|funny|hilarious|enjoyed|enjoyable|superb)\b",
    ),
    ("good service", "positive", r"\b(friendly|attentive|helpful|quick|fast service|prompt)\b"),
    ("comes back", "positive", r"(will|i'll|definitely) (be )?(come|go|going|coming|be) back|again soon"),
    (
        "good price",
        "positive",
        r"(great|good|reasonable|worth) (price|value|deal|every penny)|five stars|10/10",
    ),
    ("bad words", "negative", r"\b(bad|terrible|horrible|awful|worst|poor|crap|garbage|junk)\b"),
    ("disappointed", "negative", r"disappoint|let ?down"),
    ("waste", "negative", r"\bwaste(d)?\b|save your (money|time)|don't (buy|bother|go)"),
    (
        "broken",
        "negative",
        r"\b(broke|broken|stopped working|doesn't work|does not work|didn't work|defective|useless|died)\b",
    ),
    ("boring", "negative", r"\b(boring|dull|predictable|stupid|lame|plot ?holes?|unconvincing)\b"),
    ("bad food", "negative", r"\b(bland|cold|dry|soggy|overpriced|tasteless|disgusting|stale|overcooked)\b"),
    ("bad service", "negative", r"\b(rude|slow|waited|ignored|unprofessional)\b"),
    (
        "never again",
        "negative",
        r"never (again|go|come|be|eat|buy)|won't be (back|going)|not (be )?(coming|going) back|"
        r"return(ed)? (it|this)",
    ),
    ("denied praise", None, _denied_praise),
    ("lexicon", None, _lexicon),
)

_SPAM: tuple[Rule, ...] = (
    ("reply", "ham", r"^\s*re:"),
    ("list tag", "ham", r"^\s*(re:\s*)?\[[\w .-]{2,25}\]"),
    ("wrote", "ham", r"\b(wrote|writes|said):"),
    ("quotes", None, _quotes),
    (
        "code",
        "ham",
        r"\b(kernel|linux|perl|python|gcc|rpm|patch|cvs|debian|redhat|sourceforge|compile|bug|spamassassin|config)\b",
    ),
    ("news", "ham", r"\b(url:|date:|supplied|guardian|newspaper|rss|weblog)\b"),
    ("signature", "ham", r"\b(regards|cheers|thanks),?\s"),
    ("first person", "ham", r"\b(i think|i guess|i don't|i've been|iirc|afaik|imho)\b"),
    ("free", "spam", r"\bfree\b"),
    ("money", "spam", r"\$ ?\d|\b(cash|money|income|profit|earn|dollars)\b"),
    ("click", "spam", r"click (here|below|on)|visit our"),
    ("remove", "spam", r"\b(unsubscribe|opt.?out|remove(d)? (from|me)|to be removed|mailing list)\b"),
    (
        "guarantee",
        "spam",
        r"guarantee|100 ?%|risk.?free|no obligation|limited time|act now|special offer",
    ),
    ("loan", "spam", r"\b(mortgage|loan|credit card|debt|refinanc\w*|insurance|quote)\b"),
    ("health", "spam", r"\b(viagra|weight|diet|pills?|prescription|herbal|enlarg\w*|hgh|aging)\b"),
    ("adult", "spam", r"\b(sexy?|porn|xxx|adult|girls|nude)\b"),
    (
        "transfer",
        "spam",
        r"\b(nigeria|transfer|million|bank account|confidential|assistance|urgent|deceased)\b",
    ),
    ("dear", "spam", r"\bdear (sir|friend|madam|customer|home|valued)|hello friend"),
    ("order", "spam", r"\b(order (now|today)|buy now|call (now|toll)|toll.?free|1-8\d\d)\b"),
    ("shouts", None, _shouts),
    ("exclaims", "spam", r"!{2,}|!.*!.*!"),
)

RULES = {"uci": _UCI, "spam": _SPAM}


def rule_votes(data: Path, name: str) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Votes of the rules on a whole text set.

    Args:
        data: where the sets are kept.
        name: a key of `RULES`.

    Returns:
        (n, m) int64 votes with -1 = abstain, (n,) int64 class ids, the classes, the ids of the texts.
    """
    with text_set(data, name).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    classes = sorted({row["label"] for row in rows})
    number = {label: at for at, label in enumerate(classes)} | {None: ABSTAIN}
    votes = np.full((len(rows), len(RULES[name])), ABSTAIN, np.int64)
    for column, (_, label, what) in enumerate(RULES[name]):
        search = re.compile(what, re.I | re.S).search if isinstance(what, str) else None
        for at, row in enumerate(rows):
            said = (label if search(row["text"]) else None) if search else what(row["text"])  # type: ignore[operator]
            votes[at, column] = number[said]
    truth = np.array([number[row["label"]] for row in rows])
    return votes, truth, classes, [row["id"] for row in rows]


def planted(n: int, k: int, m: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Made-up rules of one class each, as keywords are: each fires on 1 to 6 % of all examples.

    Their accuracies lie between .5 and 1; they err independently.

    Returns:
        (n, m) int64 votes, (n,) int64 class ids.
    """
    truth = rng.integers(0, k, n)
    votes = np.full((n, m), ABSTAIN, np.int64)
    for column in range(m):
        label, rate, accuracy = column % k, rng.uniform(0.01, 0.06), rng.uniform(0.5, 1.0)
        chance = np.where(truth == label, rate * accuracy * k, rate * (1.0 - accuracy) * k / (k - 1))
        votes[rng.random(n) < chance, column] = label
    return votes, truth


def stresses(votes: np.ndarray, truth: np.ndarray, k: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What goes wrong with rules: the same rules with something added, or only a few of them.

    The worst rules are the ones most often wrong among those that fire on at least 0.5 % of examples.
    """
    n, fires = len(truth), votes >= 0
    right = ((votes == truth[:, None]) & fires).sum(axis=0) / np.maximum(fires.sum(axis=0), 1)
    worst = np.argsort(np.where(fires.mean(axis=0) >= 0.005, right, 2.0), kind="stable")
    wrong = (truth + rng.integers(1, k, n)) % k
    adversary = np.where(rng.random(n) < 0.25, np.where(rng.random(n) < 0.25, truth, wrong), ABSTAIN)
    noise = np.where(rng.random(n) < 0.35, truth, rng.integers(0, k, n))
    broad = {f"always class {c}": np.hstack([votes, np.full((n, 1), c)]) for c in range(min(k, 2))}
    return {
        "plain": votes,
        "worst rule copied 6 times": np.hstack([votes, *[votes[:, worst[:1]]] * 6]),
        "3 worst copied 4 times": np.hstack([votes, *[votes[:, worst[:3]]] * 4]),
        "adversary, 25 % right": np.hstack([votes, adversary[:, None]]),
        "noisy rule everywhere": np.hstack([votes, noise[:, None]]),
        **broad,
        "4 broadest rules only": votes[:, np.sort(np.argsort(-fires.mean(axis=0), kind="stable")[:4])],
    }
