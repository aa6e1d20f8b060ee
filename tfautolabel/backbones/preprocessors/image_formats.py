"""Encoded pictures to RGB pixels in TensorFlow operations only, one function a format.

The content decides the format. Each function fails (an `InvalidArgumentError` at run time) on what it
cannot read, and refuses pictures over a pixel limit from their header, before any pixel is decoded.
"""

from __future__ import annotations

import tensorflow as tf

from tfautolabel.backbones.preprocessors.gif import first_frame


def decode_picture(encoded: tf.Tensor, size: int, max_pixels: int) -> tf.Tensor:
    """Decodes one picture and stretches it to a square.

    JPEG is decoded with the accurate DCT, which gives Pillow's pixels; a JPEG at least twice as large as
    needed is reduced while it is decoded (libjpeg's DCT scaling). Alpha is laid on white. Of an animated
    GIF the first frame counts.

    Args:
        encoded: () string, the bytes of a JPEG, PNG, GIF, BMP or still WebP.
        size: side of the result in pixels.
        max_pixels: the largest width times height that is decoded.

    Returns:
        (size, size, 3) float32 in [0, 255].
    """
    magic = tf.strings.substr(encoded, 0, 12)

    def starts_with(prefix: bytes) -> tf.Tensor:
        return tf.equal(tf.strings.substr(magic, 0, len(prefix)), prefix)

    is_webp = tf.logical_and(starts_with(b"RIFF"), tf.equal(tf.strings.substr(encoded, 8, 4), b"WEBP"))
    rgb = tf.cond(
        starts_with(b"\xff\xd8\xff"),
        lambda: _decode_jpeg(encoded, size, max_pixels),
        lambda: tf.cond(
            starts_with(b"\x89PNG\r\n\x1a\n"),
            lambda: _decode_png(encoded, max_pixels),
            lambda: tf.cond(
                is_webp,
                lambda: _decode_webp(encoded, max_pixels),
                lambda: tf.cond(
                    starts_with(b"BM"),
                    lambda: _decode_bmp(encoded, max_pixels),
                    lambda: _decode_gif(encoded, max_pixels),
                ),
            ),
        ),
    )
    rgb.set_shape([None, None, 3])
    return _stretch(rgb, size)


def _stretch(rgb: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes bilinearly; the slower antialiasing filter only where plain sampling would skip pixels."""
    shape = tf.shape(rgb)[:2]

    def resize(antialias: bool) -> tf.Tensor:
        return tf.image.resize(rgb, (size, size), antialias=antialias)

    resized = tf.cond(
        tf.reduce_all(tf.equal(shape, size)),
        lambda: tf.cast(rgb, tf.float32),
        lambda: tf.cond(
            tf.reduce_max(shape) > 2 * size,
            # The filter's weights add up to one only nearly, which shows in white pictures.
            lambda: tf.clip_by_value(resize(antialias=True), 0.0, 255.0),
            lambda: resize(antialias=False),
        ),
    )
    return tf.ensure_shape(resized, [size, size, 3])


def _number(encoded: tf.Tensor, start: int, count: int, big_endian: bool = False) -> tf.Tensor:
    """The unsigned integer in `count` bytes from `start`, as int64."""
    raw = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, start, count), tf.uint8), tf.int64)
    powers = [256**i for i in range(count)]
    return tf.reduce_sum(
        tf.ensure_shape(raw, [count]) * tf.constant(powers[::-1] if big_endian else powers, tf.int64)
    )


def _within(encoded: tf.Tensor, width: tf.Tensor, height: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """`encoded` itself, once its header has been found to stay within the limit."""
    checks = [
        tf.debugging.assert_positive(tf.minimum(width, height), message="a picture without pixels"),
        # Each side is checked alone too, so that a hostile header cannot overflow the product.
        tf.debugging.assert_less_equal(tf.maximum(width, height), tf.constant(max_pixels, tf.int64)),
        tf.debugging.assert_less_equal(
            width * height, tf.constant(max_pixels, tf.int64), message="too many pixels"
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(encoded)


def _decode_jpeg(encoded: tf.Tensor, size: int, max_pixels: int) -> tf.Tensor:
    shape = tf.image.extract_jpeg_shape(encoded, output_type=tf.int64)
    safe = _within(encoded, shape[1], shape[0], max_pixels)
    spare = tf.reduce_min(shape[:2]) // size  # how many times over the smaller side is larger than needed

    def at_ratio(ratio: int) -> tf.Tensor:
        return tf.io.decode_jpeg(safe, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    return tf.cond(
        spare < 2,
        lambda: at_ratio(1),
        lambda: tf.cond(
            spare < 4,
            lambda: at_ratio(2),
            lambda: tf.cond(spare < 8, lambda: at_ratio(4), lambda: at_ratio(8)),
        ),
    )


def _decode_png(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    width, height = _number(encoded, 16, 4, big_endian=True), _number(encoded, 20, 4, big_endian=True)
    safe = _within(encoded, width, height, max_pixels)
    # Grey or RGB with one transparent colour: only asking for four channels turns that colour into alpha.
    # Everywhere else channels=0 is right: below 8 bits a sample, asking for four would invent a wrong alpha.
    colour_type = _number(encoded, 25, 1)
    before_pixels = tf.strings.split(encoded, "IDAT", maxsplit=1)[0]
    has_transparent_colour = tf.logical_and(
        tf.logical_or(tf.equal(colour_type, 0), tf.equal(colour_type, 2)),
        tf.size(tf.strings.split(before_pixels, "tRNS")) > 1,
    )
    pixels = tf.cond(
        has_transparent_colour,
        lambda: tf.io.decode_png(safe, channels=4),
        lambda: tf.io.decode_png(safe, channels=0),
    )
    return _lay_on_white(pixels)


def _decode_webp(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    chunk = tf.strings.substr(encoded, 12, 4)

    def lossy() -> tuple[tf.Tensor, tf.Tensor]:
        return _number(encoded, 26, 2) % 2**14, _number(encoded, 28, 2) % 2**14

    def lossless() -> tuple[tf.Tensor, tf.Tensor]:
        bits = _number(encoded, 21, 4)
        return bits % 2**14 + 1, bits // 2**14 % 2**14 + 1

    def extended() -> tuple[tf.Tensor, tf.Tensor]:
        # TensorFlow 2.21 writes past its buffer on an animation without alpha, so animations are not decoded.
        still = tf.debugging.assert_equal(
            _number(encoded, 20, 1) // 2 % 2, tf.constant(0, tf.int64), "animated WebP"
        )
        with tf.control_dependencies([still] if still is not None else []):
            return _number(encoded, 24, 3) + 1, _number(encoded, 27, 3) + 1

    width, height = tf.cond(
        tf.equal(chunk, b"VP8 "), lossy, lambda: tf.cond(tf.equal(chunk, b"VP8L"), lossless, extended)
    )
    frames = tf.image.decode_webp(_within(encoded, width, height, max_pixels), channels=0)
    return _lay_on_white(frames[0])


def _decode_bmp(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    def signed(start: int) -> tf.Tensor:
        return tf.abs(tf.cast(tf.bitcast(tf.cast(_number(encoded, start, 4), tf.uint32), tf.int32), tf.int64))

    bits, compression = _number(encoded, 28, 2), _number(encoded, 30, 4)
    known = tf.debugging.assert_equal(
        tf.logical_or(tf.equal(compression, 0), tf.logical_and(tf.equal(compression, 3), tf.equal(bits, 32))),
        True,
        message="a compressed BMP",
    )
    with tf.control_dependencies([known] if known is not None else []):
        safe = _within(encoded, signed(18), signed(22), max_pixels)

    def with_palette() -> tf.Tensor:
        start = tf.cast(14 + _number(encoded, 14, 4), tf.int32)
        colours = tf.cast(_number(encoded, 46, 4), tf.int32)
        colours = tf.where(tf.equal(colours, 0), 256, colours)
        palette = tf.reshape(
            tf.io.decode_raw(tf.strings.substr(encoded, start, 4 * colours), tf.uint8), [-1, 4]
        )
        indices = tf.io.decode_bmp(safe, channels=0)[..., 0]
        return tf.gather(palette[:, 2::-1], tf.cast(indices, tf.int32))

    def direct() -> tf.Tensor:
        # The fourth byte of a 32-bit BMP is padding more often than alpha, so it is not looked at.
        return tf.io.decode_bmp(safe, channels=0)[..., :3]

    return tf.cond(tf.equal(bits, 8), with_palette, direct)


def _decode_gif(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    is_gif = tf.debugging.assert_equal(tf.strings.substr(encoded, 0, 4), b"GIF8", message="not a picture")
    with tf.control_dependencies([is_gif] if is_gif is not None else []):
        frame = first_frame(tf.identity(encoded))
    safe = _within(frame.encoded, frame.width, frame.height, max_pixels)
    rgb = tf.io.decode_image(safe, channels=3, expand_animations=False)
    rgb = tf.ensure_shape(rgb, [None, None, 3])
    high, wide = (tf.shape(rgb, tf.int64)[axis] for axis in (0, 1))
    around = [
        [frame.top, frame.height - frame.top - high],
        [frame.left, frame.width - frame.left - wide],
        [0, 0],
    ]
    # What the frame leaves uncovered is transparent, so it is white like all that is.
    return tf.pad(rgb, around, constant_values=tf.constant(255, tf.uint8))


def _lay_on_white(pixels: tf.Tensor) -> tf.Tensor:
    """(h, w, 1 to 4) uint8, grey or RGB with or without alpha, to (h, w, 3) uint8."""

    def blend(colour: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        # Products of two bytes fit 16 bits, so a large picture costs two bytes a sample, not four.
        colour, alpha = tf.cast(colour, tf.uint16), tf.cast(alpha, tf.uint16)
        white = tf.constant(255, tf.uint16)
        return tf.cast(
            (colour * alpha + white * (white - alpha) + tf.constant(127, tf.uint16)) // white, tf.uint8
        )

    def grey() -> tf.Tensor:
        return tf.image.grayscale_to_rgb(pixels[..., :1])

    def grey_alpha() -> tf.Tensor:
        return tf.image.grayscale_to_rgb(blend(pixels[..., :1], pixels[..., 1:2]))

    def rgb() -> tf.Tensor:
        return pixels[..., :3]

    def rgb_alpha() -> tf.Tensor:
        return blend(pixels[..., :3], pixels[..., 3:4])

    return tf.switch_case(tf.shape(pixels)[2] - 1, [grey, grey_alpha, rgb, rgb_alpha])
