import random
import unicodedata

import pytest

from tfautolabel.preprocessors.texts.words import folding_table


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [True, False])
def test_folding_has_every_character_that_changes(lowercase, strip_accents):
    codes, folded = folding_table(lowercase, strip_accents)
    table = dict(zip(codes.tolist(), folded.tolist(), strict=True))
    drawn = random.Random(0).sample(range(0x3000, 0xD800), 2_000) + random.Random(1).sample(
        range(0xE000, 0x110000), 10_000
    )
    changed = 0
    for code in [*range(0x80, 0x3000), *drawn]:
        folds = chr(code)
        if strip_accents:
            folds = without_marks(unicodedata.normalize("NFD", folds))
        if lowercase:
            folds = folds.lower()
        if strip_accents:
            folds = without_marks(folds)
        packed = sum(ord(part) << 21 * place for place, part in enumerate(folds))
        if code != 0xFFFD:
            assert table.get(code, code) == (packed if len(folds) <= 3 else code), hex(code)
        changed += folds != chr(code)
    assert changed or not (lowercase or strip_accents)


def without_marks(text):
    return "".join(part for part in text if unicodedata.category(part) != "Mn")
