r"""The tokenizer of CLIP (Radford et al. 2021, arXiv 2103.00020) with TensorFlow's own operations.

It gives the same tokens as Hugging Face's, for texts in composed form (NFC), which it does not compose
itself: lower case, then words by the pattern

    's|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+

and byte pairs in which the last piece of a word is another one than the same letters within a word.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tfautolabel.preprocessors.texts.byte_level import ByteLevelPreprocessor
from tfautolabel.preprocessors.texts.spelled_out import CUT, SPACE, at_cuts, replaced

_WORD = rf"('s|'t|'re|'ve|'m|'ll|'d|\p{{L}}+|\p{{N}}|[^{SPACE}\p{{L}}\p{{N}}]+)"


@keras.saving.register_keras_serializable("tfautolabel")
class ClipTextPreprocessor(ByteLevelPreprocessor):
    """Converts texts to token ids; see `ByteLevelPreprocessor`."""

    kind = "clip_text"
    ending = "</w>"

    def _words(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Maps (n,) string to (n, ragged) string, with stand-ins for special tokens."""
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        texts = self._spelled_out.marked(tf.strings.lower(texts, encoding="utf-8"))
        return at_cuts(replaced(replaced(texts, _WORD, rb"\1" + CUT), f"[{SPACE}]+", CUT))
