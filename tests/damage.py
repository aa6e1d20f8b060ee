"""Damages files at random, mostly in their heads: the same seed gives the same damage."""

import os
import random

FUZZ = int(os.environ.get("TFAUTOLABEL_FUZZ", "500"))
"""How many damaged files of a kind are tried; the first are always the same. More for who looks for more."""

VALUES = (0, 1, 127, 128, 255)


def damaged(whole, seed, kept=4):
    """The bytes of a file, some of them changed or cut off.

    Args:
        whole: the file.
        seed: of the damage.
        kept: how many bytes at the beginning stay, by which the file's kind is told.
    """
    chance = random.Random(seed)
    data = bytearray(whole[: chance.randint(kept + 6, len(whole))] if chance.random() < 0.4 else whole)
    for _ in range(chance.randint(1, 8)):
        end = min(len(data), kept + 200) if chance.random() < 0.7 else len(data)
        data[chance.randrange(kept, end)] = chance.choice((*VALUES, chance.randrange(256)))
    return bytes(data)
