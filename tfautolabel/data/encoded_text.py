"""Checks that texts are UTF-8, and gives a clear reason where they are not."""

from __future__ import annotations

import codecs

from tfautolabel.data.readers import ReadFailure

_WIDE = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def other_encoding(data: bytes) -> str | None:
    """Returns the encoding that a byte order mark announces, if it is not that of UTF-8."""
    return next((name for mark, name in _WIDE if data.startswith(mark)), None)


def as_text(data: bytes) -> bytes:
    r"""Returns a text's UTF-8 bytes without a byte order mark.

    Args:
        data: the content of a file or of a field.

    Raises:
        ReadFailure: If it is not UTF-8; the reason names the first invalid byte.

    Examples:
        >>> as_text(b"\xef\xbb\xbfhello")
        b'hello'
    """
    if (encoding := other_encoding(data)) is not None:
        raise ReadFailure(f"the text is {encoding}, not UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ReadFailure(
                f"the text is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
            ) from error
    return data
