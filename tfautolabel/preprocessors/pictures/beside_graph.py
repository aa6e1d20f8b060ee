"""Prepares the plain JPEG files of a batch outside the graph, to the same pixels in less time.

The pixels are the same to the bit, so features do not depend on the way that a picture took. A cache filled
by one way is read by the other, under one key. Exported models have only the graph, and agree as before.
What is not decoded here, for whatever reason, is left to the graph, which alone says what is unreadable.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from tfautolabel._cores import granted_cores
from tfautolabel.preprocessors.contract import Outside
from tfautolabel.preprocessors.pictures.orientation import UPRIGHT, orientations
from tfautolabel.preprocessors.pictures.plain_jpeg import PlainJpeg, PlainJpegDecoder, plain_jpeg
from tfautolabel.preprocessors.pictures.stretched import Stretcher

_PART = 4
"""Pictures that a thread prepares before it takes others."""


class PlainPictures:
    """Does for plain JPEG files what `ImagePreprocessor` does in the graph, on all cores that are granted.

    Several threads may call it.

    Args:
        size: side of the square in pixels.
        max_pixels: pictures with more pixels than this are left to the graph.
    """

    def __init__(self, size: int, max_pixels: int) -> None:
        self._size, self._max_pixels = size, max_pixels
        self._of_thread = threading.local()
        self._threads = ThreadPoolExecutor(granted_cores(), "pictures")

    def __call__(self, encoded: Sequence[bytes]) -> Outside | None:
        """Prepares some of n pictures, or returns None if none of them is plain.

        Args:
            encoded: the bytes of n files.
        """
        found = enumerate(map(plain_jpeg, encoded))
        headers = {row: header for row, header in found if header and self._is_within(header)}
        if not headers:
            return None
        turns = _turns(encoded, headers)
        done = np.zeros(len(encoded), bool)
        squares = np.empty((len(encoded), self._size, self._size, 3), np.float32)

        def prepare(rows: list[int]) -> None:
            with tf.device("CPU:0"):
                decode, stretch = self._tools()
                for row in rows:
                    rgb = decode(encoded[row], headers[row])
                    if rgb is not None:
                        _turn_and_stretch(stretch, rgb, turns.get(row, UPRIGHT), squares[row])
                        done[row] = True

        rows = list(headers)
        parts = [rows[start : start + _PART] for start in range(0, len(rows), _PART)]
        list(self._threads.map(prepare, parts))
        return Outside(done, (squares,))

    def _is_within(self, header: PlainJpeg) -> bool:
        return header.height * header.width <= self._max_pixels

    def _tools(self) -> tuple[PlainJpegDecoder, Stretcher]:
        """Returns what this thread decodes and stretches with."""
        if not hasattr(self._of_thread, "tools"):
            self._of_thread.tools = PlainJpegDecoder(self._size), Stretcher(self._size)
        tools: tuple[PlainJpegDecoder, Stretcher] = self._of_thread.tools
        return tools


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a picture upright by its orientation; see `orientation.upright`.

    Args:
        pixels: (h, w, 3) of any type, as stored.
        orientation: in [1, 8].

    Returns:
        A view of them, (h, w, 3) or, if the picture was stored on its side, (w, h, 3).
    """
    down, across = orientation in (3, 4, 6, 7), orientation in (2, 3, 7, 8)
    mirrored = pixels[:: -1 if down else 1, :: -1 if across else 1]
    return mirrored.transpose(1, 0, 2) if orientation > 4 else mirrored


def _turns(encoded: Sequence[bytes], headers: dict[int, PlainJpeg]) -> dict[int, int]:
    """Returns the orientations of those pictures that have EXIF data, as the graph reads them."""
    with_exif = [row for row, header in headers.items() if header.has_exif]
    if not with_exif:
        return {}
    with tf.device("CPU:0"):
        found = orientations(tf.constant([encoded[row] for row in with_exif]))
    return dict(zip(with_exif, found.numpy().tolist(), strict=True))


def _turn_and_stretch(stretch: Stretcher, rgb: np.ndarray, orientation: int, square: np.ndarray) -> None:
    if orientation == UPRIGHT:
        stretch(rgb, square)
    elif rgb.size <= square.size:  # turned first if it has fewer pixels, as in `decode_picture`
        stretch(np.ascontiguousarray(turned(rgb, orientation)), square)
    else:
        stored = np.empty_like(square)
        stretch(rgb, stored)
        square[...] = turned(stored, orientation)
