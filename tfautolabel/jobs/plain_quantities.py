"""Quantities of examples that a person can check: of pictures, texts and sound clips."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.measures.plain_differences import plain_differences

MOST = 200
"""Examples of each side that are read, drawn at random."""

_WORD = re.compile(r"[^\W\d_]+")
_WORDS, _SHORT = 3, 3  # told of each side; plain words of up to so many letters say nothing
_MORE = 0.2  # the least by which the share of texts with a word must be larger
_TOGETHER = {
    "text": MOST,
    "image": 16,
    "audio": 1,
}  # examples in memory at a time: a clip may be an hour long
_LARGEST = 1024  # pixels of a side; larger pictures are looked at in steps


def differences(labelled: Dataset, pool: Dataset, *, seed: int = 0) -> list[str]:
    """Returns in words which plain quantities differ between labelled examples and a pool.

    Args:
        labelled: n examples.
        pool: m examples of the same modality.
        seed: determines which examples are read, at most `MOST` of each side.

    Returns:
        Sentences, the largest difference first; empty if no such quantity differs.
    """
    sides: list[Iterable[bytes]] = [_read(side, seed) for side in (labelled, pool)]
    if labelled.modality == "text":
        sides = [list(side) for side in sides]  # their words are looked at too
    of_sides = [_columns(map(QUANTITIES[labelled.modality], side)) for side in sides]
    names = of_sides[0].keys() & of_sides[1].keys()
    known = [{name: side[name] for name in side if name in names} for side in of_sides]
    told = [one.sentence() for one in plain_differences(*known)]
    return told + (_words(*map(list, sides)) if labelled.modality == "text" else [])


def of_picture(encoded: bytes) -> dict[str, float] | None:
    """Returns size, brightness, contrast and sharpness; None if the picture cannot be decoded here."""
    import tensorflow as tf

    try:
        pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False).numpy()
    except tf.errors.InvalidArgumentError:
        return None
    height, width = pixels.shape[:2]
    step = max(1, -(-max(height, width) // _LARGEST))
    light = pixels[::step, ::step].astype(np.float64) @ [0.299, 0.587, 0.114]
    edges = np.abs(np.diff(light, axis=0)).mean() if len(light) > 1 else 0.0
    return {
        "width in pixels": width,
        "height in pixels": height,
        "brightness of 255": float(light.mean()),
        "contrast (spread of the brightness)": float(light.std()),
        "sharpness (difference of neighbouring pixels)": float(edges),
    }


def of_text(encoded: bytes) -> dict[str, float]:
    """Returns length, length of the words, and shares of capitals, digits and letters beyond A to Z."""
    text = encoded.decode("utf-8", "replace")
    words = _WORD.findall(text)
    letters = max(sum(map(len, words)), 1)
    return {
        "length in characters": len(text),
        "letters in a word": letters / max(len(words), 1),
        "share of capitals among the letters": sum(map(str.isupper, text)) / letters,
        "share of digits": sum(map(str.isdigit, text)) / max(len(text), 1),
        "share of letters beyond A to Z": sum(not letter.isascii() for word in words for letter in word)
        / letters,
    }


def of_sound(encoded: bytes) -> dict[str, float] | None:
    """Returns duration, samples a second, loudness and the share of near silence; None if it is no sound."""
    import tensorflow as tf

    from tfautolabel.preprocessors.sounds.riff import decode_wav

    try:
        sound = decode_wav(tf.constant(encoded))
    except tf.errors.InvalidArgumentError:
        return None
    samples, rate = sound.samples.numpy().astype(np.float64), int(sound.rate)
    level = max(float(np.sqrt((samples**2).mean())), 1e-6)
    return {
        "duration in seconds": len(samples) / rate,
        "samples a second": rate,
        "loudness in dB of full scale": 20.0 * np.log10(level),
        "share of near silence": float((np.abs(samples) < 0.1 * level).mean()),
    }


QUANTITIES: dict[str, Callable[[bytes], dict[str, float] | None]] = {
    "image": of_picture,
    "text": of_text,
    "audio": of_sound,
}
"""A function from the bytes of an example to its quantities, for each modality."""


def _read(dataset: Dataset, seed: int) -> Iterator[bytes]:
    """Yields examples, read so many at a time that they fit into memory."""
    rows = np.sort(np.random.default_rng(seed).choice(len(dataset), min(MOST, len(dataset)), replace=False))
    together = _TOGETHER[dataset.modality]
    for start in range(0, len(rows), together):
        found = dataset.read(rows[start : start + together])
        yield from (one for one in found if not isinstance(one, ReadFailure))


def _columns(rows: Iterable[dict[str, float] | None]) -> dict[str, np.ndarray]:
    """Returns each quantity of the examples that have one."""
    known = [row for row in rows if row is not None]
    return {name: np.array([row[name] for row in known]) for name in known[0]} if known else {}


def _words(labelled: list[bytes], pool: list[bytes]) -> list[str]:
    """Returns which words are in many more texts of one side than of the other."""
    shares = []
    for texts in (labelled, pool):
        counts: Counter[str] = Counter()
        for encoded in texts:
            counts.update({word.lower() for word in _WORD.findall(encoded.decode("utf-8", "replace"))})
        shares.append({word: count / len(texts) for word, count in counts.items()})
    of_labelled, of_pool = shares
    more = {
        word: of_pool.get(word, 0.0) - of_labelled.get(word, 0.0) for word in of_labelled.keys() | of_pool
    }
    more = {word: value for word, value in more.items() if len(word) > _SHORT or not word.isascii()}
    told = []
    for sign, where in ((1, "in the pool"), (-1, "among the labelled examples")):
        most = sorted(
            (word for word in more if sign * more[word] >= _MORE), key=lambda word: (-sign * more[word], word)
        )
        if most:
            told.append(f"words that are more frequent {where}: {', '.join(most[:_WORDS])}")
    return told
