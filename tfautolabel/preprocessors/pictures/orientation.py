"""Reads from EXIF data how to turn photographs upright, with TensorFlow operations only.

Cameras store the pixels as the sensor was held and record the rotation in the tag Orientation (Exif 2.32,
CIPA DC-008, section 4.6.4). Each format keeps EXIF data in its own place: JPEG in an APP1 segment before the
tables, PNG in a chunk eXIf, WebP in a chunk EXIF. A picture counts as upright if the tag is missing, damaged
or not in 1 to 8.

The functions work on a whole batch at once. For single pictures, the overhead of the operations would be a
tenth of the time to decode a small JPEG.
"""

from __future__ import annotations

import tensorflow as tf

from tfautolabel.preprocessors.traced_once import traced_once

_TAG = 0x0112
UPRIGHT = 1
_FIRST_CHUNK = 30
"""The position of the first chunk after the header of an extended WebP."""
_FAR = 1 << 29
_ENTRIES = 128
"""The most tags to read in a directory. Cameras write about a dozen."""
_SEGMENTS = 1000
"""The most segments or chunks to read. Photographs have a few. Malicious files have millions."""
_PNG_EDGE = 1 << 14
"""The number of bytes to search at both ends of a PNG. The chunk is before or after the pixels."""
_PNG_CHUNK = r"eXIf(?:II\*\x00|MM\x00\*|Exif)"
"""The chunk's name with the beginning of its content.

Compressed pixels do not hold all eight bytes by chance.
"""


@traced_once(tf.TensorSpec([None], tf.string))
def orientations(examples: tf.Tensor) -> tf.Tensor:
    """Returns the orientation of each picture in a batch.

    Args:
        examples: (n,) string, the bytes of the files.

    Returns:
        (n,) int32 in [1, 8]; 1 for a file without EXIF data.
    """
    found, start = _exif_of_jpeg_and_webp(examples)
    is_png = tf.equal(tf.strings.substr(examples, 0, 4), b"\x89PNG")
    in_png, start_in_png = tf.cond(
        tf.reduce_any(is_png),
        lambda: _exif_of_png(examples, is_png),
        lambda: (tf.zeros_like(is_png), tf.zeros_like(start)),
    )
    found, start = found | in_png, tf.where(in_png, start_in_png, start)
    return tf.cond(
        tf.reduce_any(found),
        lambda: _tiff_orientation(examples, found, start),
        lambda: tf.fill(tf.shape(start), UPRIGHT),
    )


def upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns a picture upright by its orientation. It mirrors first, then transposes.

    For a JPEG of 224 pixels, reading the tag takes most of the 3 % of decoding that upright pictures may
    cost, and one copy of the square takes more than 3 %. No other way was faster in the whole graph: to
    transpose floats, the planes of colours or `space_to_batch`, or to gather or project the pixels.

    Args:
        pixels: (h, w, 3) of any type, as stored.
        orientation: () int32 in [1, 8].

    Returns:
        The upright picture, (h, w, 3) or, if it was stored on its side, (w, h, 3), of the same type.
    """

    def across() -> tf.Tensor:
        return tf.reverse(pixels, [1])

    def half_round() -> tf.Tensor:
        # The pixels are reversed as one long row. To reverse two axes at once takes four times as long.
        return tf.reshape(tf.reverse(tf.reshape(pixels, [1, -1, 3]), [1]), tf.shape(pixels))

    def down() -> tf.Tensor:
        # This copies whole rows at once. `reverse` would move the numbers one by one.
        return tf.gather(pixels, tf.range(tf.shape(pixels)[0] - 1, -1, -1))

    way = tf.gather([0, 0, 1, 2, 3, 0, 3, 2, 1], orientation)
    mirrored = tf.switch_case(way, [lambda: pixels, across, half_round, down])
    return tf.cond(orientation > 4, lambda: tf.transpose(mirrored, [1, 0, 2]), lambda: mirrored)


def webp_chunk(encoded: tf.Tensor, name: bytes) -> tf.Tensor:
    """Returns where the first chunk with a name is in an extended WebP, or the file's end if there is none.

    Args:
        encoded: () string, the bytes of the file.
        name: four bytes.

    Returns:
        () int32, the position of the chunk's name.
    """
    end = tf.strings.length(encoded)

    def goes_on(position: tf.Tensor) -> tf.Tensor:
        return (position < end) & tf.not_equal(tf.strings.substr(encoded, position, 4), name)

    def onward(position: tf.Tensor) -> tuple[tf.Tensor]:
        return (tf.minimum(position + _webp_step(bytes_at(encoded[None], position[None], 8))[0], end),)

    first = tf.minimum(_FIRST_CHUNK, end)
    (position,) = tf.while_loop(goes_on, onward, (first,), maximum_iterations=_SEGMENTS)
    return position


def bytes_at(examples: tf.Tensor, positions: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Returns bytes of each example from a position on, (n, count) int32, zeros after its end; count >= 1."""
    positions = tf.minimum(positions, tf.strings.length(examples))
    found = tf.strings.substr(examples, positions, tf.fill(tf.shape(positions), count))
    raw = tf.io.decode_raw(found, tf.uint8, fixed_length=count)
    return tf.cast(tf.ensure_shape(raw, [None, count if isinstance(count, int) else None]), tf.int32)


def _webp_step(chunk: tf.Tensor) -> tf.Tensor:
    """Returns the distance to the next chunk, (n,) int32, from the first (n, 8 or more) bytes of a chunk."""
    # Files have at most 512 MB, so a chunk that claims more is damaged.
    size = tf.where(
        chunk[:, 7] > 31, _FAR, chunk[:, 4] + 256 * (chunk[:, 5] + 256 * (chunk[:, 6] + 256 * chunk[:, 7]))
    )
    return 8 + size + size % 2


def _exif_of_jpeg_and_webp(examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds EXIF data in JPEG and WebP files: whether there is some, (n,) bool, and its start, (n,) int32."""
    head = bytes_at(examples, tf.zeros_like(tf.strings.length(examples)), 21)
    is_jpeg = tf.reduce_all(tf.equal(head[:, :2], [0xFF, 0xD8]), axis=1)
    is_webp = tf.reduce_all(
        tf.equal(tf.gather(head, [0, 1, 2, 3, 12, 13, 14, 15], axis=1), list(b"RIFFVP8X")), axis=1
    )
    # Only an extended WebP can hold EXIF data. A flag says whether it does.
    is_webp &= tf.equal(head[:, 20] // 8 % 2, 1)
    end = tf.strings.length(examples)

    def kinds(position: tf.Tensor, chunk: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns which chunks hold EXIF data, and after which ones the search continues."""
        mark = tf.reduce_all(tf.equal(chunk[:, 4:], list(b"Exif\0\0")), axis=1)
        in_jpeg = is_jpeg & tf.equal(chunk[:, 0], 0xFF) & tf.equal(chunk[:, 1], 0xE1) & mark
        # Application segments and comments. EXIF data come before all other segments.
        before = tf.equal(chunk[:, 1] // 16, 0xE) | tf.equal(chunk[:, 1], 0xFE)
        # An extra byte 0xFF may come before each of them.
        before |= tf.equal(chunk[:, 1], 0xFF)
        goes_on = is_jpeg & tf.equal(chunk[:, 0], 0xFF) & before
        in_webp = is_webp & tf.reduce_all(tf.equal(chunk[:, :4], list(b"EXIF")), axis=1)
        found = in_jpeg | in_webp
        return found, (goes_on | is_webp) & ~found & (position < end)

    def onward(
        position: tf.Tensor, chunk: tf.Tensor, _: tf.Tensor, open_: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        segment = 2 + tf.maximum(chunk[:, 2] * 256 + chunk[:, 3], 2)
        segment = tf.where(tf.equal(chunk[:, 1], 0xFF), 1, segment)
        step = tf.where(is_webp, _webp_step(chunk), segment)
        position = tf.minimum(position + tf.where(open_, step, 0), end)
        chunk = bytes_at(examples, position, 10)
        return position, chunk, *kinds(position, chunk)

    first = tf.where(is_webp, _FIRST_CHUNK, 2)
    chunk = bytes_at(examples, first, 10)
    position, _, found, _ = tf.while_loop(
        lambda _, __, ___, open_: tf.reduce_any(open_),
        onward,
        (first, chunk, *kinds(first, chunk)),
        maximum_iterations=_SEGMENTS,
    )
    return found, position + tf.where(is_webp, 8, 10)


def _exif_of_png(examples: tf.Tensor, is_png: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the chunk eXIf in PNG files: whether there is one, (n,) bool, and where, (n,) int32."""
    end = tf.strings.length(examples)
    first = tf.zeros_like(end)
    # The two ends share some bytes, so that a directory at the boundary is not cut in two.
    tail_at = tf.maximum(end - _PNG_EDGE, tf.minimum(end, _PNG_EDGE - 2048))
    size = tf.where(is_png, _PNG_EDGE, 0)
    edges = [tf.strings.substr(examples, first, size), tf.strings.substr(examples, tail_at, size)]
    # RE2 finds out much faster whether a word is there than where it is. Few pictures need the position.
    lengths = [tf.strings.length(edge) for edge in edges]
    in_head, in_tail = (
        tf.strings.length(tf.strings.regex_replace(edge, _PNG_CHUNK, "", False)) < length
        for edge, length in zip(edges, lengths, strict=True)
    )
    found = in_head | in_tail

    def starts() -> tf.Tensor:
        edge = tf.where(in_head, edges[0], tf.where(in_tail, edges[1], ""))
        rest = tf.strings.length(tf.strings.regex_replace(edge, rf"\A\C*?{_PNG_CHUNK}", "", False))
        behind = tf.where(in_head, lengths[0], tail_at + lengths[1]) - rest
        return behind - 4

    return found, tf.cond(tf.reduce_any(found), starts, lambda: first)


def _tiff_orientation(examples: tf.Tensor, found: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Reads the tag in the first directory of EXIF data, which have the form of a TIFF file.

    It copies no file, and no bytes after the end of a directory.

    Args:
        examples: (n,) string.
        found: (n,) bool, which of them have EXIF data.
        start: (n,) int32, where the EXIF data begin in them.

    Returns:
        (n,) int32 in [1, 8].
    """
    start = tf.where(found, start, tf.strings.length(examples))
    head = bytes_at(examples, start, 14)
    # Some programs write JPEG's marker before the data in a PNG or WebP.
    marked = tf.equal(head[:, 0], ord("E"))
    start, head = tf.where(marked, start + 6, start), tf.where(marked[:, None], head[:, 6:], head[:, :8])
    little = tf.equal(head[:, 0], ord("I"))

    def number(two: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
        low, high = two[..., 0], two[..., 1]
        return tf.where(little, low + 256 * high, 256 * low + high)

    def half(values: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
        """Returns the lower two of four bytes. No value that is read needs the other two."""
        return number(tf.where(little[..., None], values[..., :2], values[..., 2:]), little)

    directory = start + half(head[:, 4:], little)
    held = number(bytes_at(examples, directory, 2), little)
    most = tf.clip_by_value(tf.reduce_max(held), 1, _ENTRIES)
    entries = tf.reshape(bytes_at(examples, directory + 2, 12 * most), [-1, most, 12])
    order = little[:, None]
    # A short number is at the beginning of its four bytes. A long number uses all four.
    is_long = tf.equal(number(entries[..., 2:4], order), 4)
    values = tf.where(is_long, half(entries[..., 8:], order), number(entries[..., 8:10], order))
    valid = (
        tf.equal(number(entries[..., :2], order), _TAG)
        & (tf.range(most) < held[:, None])
        & (values >= 1)
        & (values <= 8)
    )
    value = tf.reduce_max(tf.where(valid, values, 0), axis=1)
    return tf.maximum(value, UPRIGHT)
