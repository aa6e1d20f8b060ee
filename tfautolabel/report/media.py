"""Makes small copies of pictures, sounds and texts that fit into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.picture_files import scaled_to_bytes
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.row_groups import read_in_groups

SIDE = 96
SNIPPET = 280
SECONDS = 4.0
RATES = (16_000, 8_000)
"""The second rate is used for many clips, which would otherwise be cut short."""

BUDGET = 5_000_000
"""The most characters for all pictures or sounds of a page together."""

_AT_ONCE = 32

_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""Maps the EXIF orientation to a value of Pillow's `Image.Transpose`."""


@dataclass(frozen=True)
class Medium:
    """One example in the form that a page shows.

    Attributes:
        kind: "image", "audio", "text", or "none" if it cannot be shown.
        content: a data URI, a text, or the reason why it cannot be shown.
        width: the width of a picture in pixels.
        height: the height of a picture in pixels.
        cut: whether only the beginning is shown.
    """

    kind: str
    content: str
    width: int = 0
    height: int = 0
    cut: bool = False


def read_media(dataset: Dataset, names: Sequence[str], budget: int = BUDGET) -> dict[str, Medium]:
    """Makes small copies of some examples; only these are read.

    Args:
        dataset: the data set with the examples.
        names: ids, some of which may not exist.
        budget: the most characters for all of them.

    Returns:
        Name to medium, for the examples that exist.
    """
    wanted = {*names}
    rows = {name: row for row, name in enumerate(dataset.ids) if name in wanted}
    found: dict[str, Medium] = {}
    in_order = [name for name in dict.fromkeys(names) if name in rows]
    share = budget // max(len(in_order), 1)
    spent = 0
    chosen = dataset.subset([rows[name] for name in in_order])
    for group, values in read_in_groups(chosen, _AT_ONCE):
        for row, value in zip(group, values, strict=True):
            name = in_order[row]
            if isinstance(value, ReadFailure):
                medium = Medium("none", str(value))
            elif spent > budget:
                medium = Medium("none", "left out to keep this page small")
            else:
                medium = _small(dataset.modality, value, share)
            spent += len(medium.content)
            found[name] = medium
    return found


def _small(modality: str, content: bytes, share: int) -> Medium:
    if modality == "text":
        return snippet(content)
    try:
        return thumbnail(content) if modality == "image" else clip(content, share)
    except Exception as error:  # decoders raise many kinds of errors; the page goes on without the picture
        return Medium("none", f"it cannot be shown ({type(error).__name__})")


def thumbnail(content: bytes, side: int = SIDE) -> Medium:
    """Makes a JPEG of a picture, at most `side` pixels wide and high; transparency becomes white.

    Args:
        content: the bytes of a picture's file.
        side: the limit in pixels.

    Raises:
        OSError: If the picture cannot be decoded.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        picture.draft("RGB", (2 * side, 2 * side))
        orientation = picture.getexif().get(274, 1)
        if picture.mode.startswith("I"):
            # 16 bits a pixel: Pillow itself would clip values above 255.
            small = Image.fromarray(scaled_to_bytes(np.clip(np.asarray(picture, np.int64), 0, 65535)))
        elif "A" in picture.getbands() or "transparency" in picture.info:
            layer = picture.convert("RGBA")
            small = Image.new("RGB", layer.size, "white")
            small.paste(layer, mask=layer.getchannel("A"))
        else:
            small = picture.convert("RGB")
    if orientation in _TURNS:
        small = small.transpose(Image.Transpose(_TURNS[orientation]))
    small.thumbnail((side, side))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=82, optimize=True)
    return Medium("image", _uri("image/jpeg", stream.getvalue()), small.width, small.height)


def clip(content: bytes, share: int, seconds: float = SECONDS) -> Medium:
    """Makes a copy of the beginning of a sound: one channel, 16 bits, at most `share` characters.

    Args:
        content: the bytes of a WAV file.
        share: the most characters of the data URI.
        seconds: the longest duration.

    Raises:
        tf.errors.InvalidArgumentError: If the sound cannot be decoded.
    """
    import tensorflow as tf

    from tfautolabel.preprocessors.sounds.resample import resample
    from tfautolabel.preprocessors.sounds.riff import decode_wav
    from tfautolabel.preprocessors.sounds.wave import wav_bytes

    sound = decode_wav(tf.constant(content))
    source = int(sound.rate)
    room = max(share * 3 // 4 - 100, 0) // 2
    length = len(sound.samples) / source
    rate = next((rate for rate in RATES if room >= min(seconds, length, 2.0) * rate), RATES[-1])
    kept = min(length, seconds, room / rate)
    start = sound.samples[: max(int(kept * source), 1)]
    samples = resample(start, sound.rate, rate).numpy() if source != rate else start.numpy()
    return Medium("audio", _uri("audio/wav", wav_bytes(samples, rate)), cut=kept < length)


def snippet(content: bytes, length: int = SNIPPET) -> Medium:
    """Returns the beginning of a text, with runs of white space replaced by one space."""
    text = " ".join(content[: 16 * length].decode("utf-8", "replace").split())
    cut = len(text) > length or len(content) > 16 * length
    return Medium("text", text[:length], cut=cut)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
