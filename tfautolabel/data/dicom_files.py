"""Decodes medical pictures (DICOM) when they are read, as a viewer shows them and without any tag.

Pixels follow the standard (DICOM PS3.3 C.7.6.3, C.11.1, C.11.2). The rescale or the modality table is applied
first, then the first window or VOI table; without one, the range of nearly all values is shown. MONOCHROME1
is inverted; palettes and YBR become RGB. Messages contain no text from a file, because tags hold names of
patients.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tfautolabel._optional import require
from tfautolabel.data.readers import ReadFailure

PERCENTILES = (1.0, 99.0)
"""The percentiles that are shown where no window is given; values outside become black or white."""

_VALUE_KINDS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW "
    b"PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def quietly() -> Iterator[None]:
    """Silences the warnings of decoders: they quote the data, and the reason of a failure is enough.

    Python has one filter of warnings for all threads, so only one thread at a time may be in here.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(data: bytes) -> bool:
    """Returns whether bytes begin as DICOM, with or without the preamble (128 bytes and a mark).

    Args:
        data: the bytes of a file, or at least the first few hundred.
    """
    if data[128:132] == b"DICM":
        return True
    # Without the preamble: an element of group 2 or 8, followed by its value's type or length.
    if data[:2] in (b"\x02\x00", b"\x08\x00") and data[3:4] == b"\0":
        return data[4:6] in _VALUE_KINDS or (data[6:8] == b"\0\0" and data[5:6] == b"\0" and data[4] <= 64)
    return data[:2] in (b"\x00\x02", b"\x00\x08") and data[2:3] == b"\0" and data[4:6] in _VALUE_KINDS


def dicom_pixels(data: bytes, frame: int | None, max_pixels: int) -> np.ndarray:
    """Returns a DICOM picture as a viewer shows it.

    Args:
        data: the content of the file.
        frame: which of several frames, from 1; the middle one by default.
        max_pixels: the largest width times height that is decoded.

    Returns:
        (h, w) or (h, w, 3) uint8.

    Raises:
        MissingExtraError: If pydicom is not installed.
        ReadFailure: If there is no picture in it, or it cannot be decoded.
    """
    require("pydicom", extra="medical")
    with quietly():
        return _read_pixels(data, frame, max_pixels)


def _read_pixels(data: bytes, frame: int | None, max_pixels: int) -> np.ndarray:
    import pydicom

    try:
        file = pydicom.dcmread(io.BytesIO(data), force=True)
        has_pixels = any(name in file for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
        rows, columns = int(file.get("Rows") or 0), int(file.get("Columns") or 0)
        frames = max(int(file.get("NumberOfFrames") or 1), 1)
    # A damaged file can raise any error, with its values in the message.
    except Exception:
        raise ReadFailure("damaged DICOM file") from None
    if not has_pixels:
        raise ReadFailure("DICOM file without a picture, such as a report, a plan or a waveform")
    if rows * columns > max_pixels:
        raise ReadFailure(f"too many pixels: DICOM of {columns} x {rows}, at most {max_pixels:,} are decoded")
    if frame is not None and not 1 <= frame <= frames:
        raise ReadFailure(f"there is no frame {frame}: the DICOM picture has {frames}")
    index = frames // 2 if frame is None else frame - 1
    try:
        _add_transfer_syntax(file)
        return _as_shown(file, _stored(file, index))
    except (KeyboardInterrupt, SystemExit):
        raise
    # Decoders written in Rust panic, and a panic is no Exception.
    except BaseException:
        raise ReadFailure(f"DICOM picture that cannot be decoded{_encoding(file)}") from None


def _add_transfer_syntax(file: Any) -> None:
    """Sets the encoding of a file without a header: the way it was read shows it."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" in getattr(file, "file_meta", {}):
        return
    implicit, little = file.original_encoding
    if not hasattr(file, "file_meta"):
        from pydicom.dataset import FileMetaDataset

        file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    )


def _stored(file: Any, index: int) -> np.ndarray:
    """Returns the samples of one frame; YBR is converted to RGB."""
    from pydicom.pixels import pixel_array

    return np.asarray(pixel_array(file, index=index))


def _as_shown(file: Any, stored: np.ndarray) -> np.ndarray:
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    kind = file.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        coloured = apply_color_lut(stored, file)
        bits = 16 if coloured.dtype == np.uint16 and coloured.max(initial=0) > 255 else 8
        return (coloured >> (bits - 8)).astype(np.uint8)
    if stored.ndim == 3:
        bits = int(file.BitsStored)
        return (stored >> (bits - 8) if bits > 8 else stored).astype(np.uint8)
    values = apply_modality_lut(stored, file)
    if "VOILUTSequence" in file or ("WindowCenter" in file and file.WindowCenter not in (None, "")):
        low, high = _range_of_output(file)
        values = apply_voi_lut(values, file, index=0)
    else:
        kept = values[stored != file.PixelPaddingValue] if "PixelPaddingValue" in file else values
        kept = kept[np.isfinite(kept)] if kept.size else values
        low, high = np.percentile(kept, PERCENTILES) if kept.size else (0.0, 1.0)
        if high <= low:
            low, high = float(kept.min(initial=0)), float(kept.max(initial=1))
    shares = np.clip((np.nan_to_num(values.astype(np.float64)) - low) / max(high - low, 1e-12), 0.0, 1.0)
    shown = np.round(255.0 * shares).astype(np.uint8)
    return 255 - shown if kind == "MONOCHROME1" else shown


def _range_of_output(file: Any) -> tuple[float, float]:
    """Returns the output values that mean black and white for a window or a VOI table."""
    if "VOILUTSequence" in file and "LUTDescriptor" in file.VOILUTSequence[0]:
        return 0.0, 2.0 ** int(file.VOILUTSequence[0].LUTDescriptor[2]) - 1
    if "ModalityLUTSequence" in file:
        return 0.0, 2.0 ** int(file.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    bits = int(file.BitsStored)
    signed = int(file.PixelRepresentation) == 1
    low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    slope, intercept = float(file.get("RescaleSlope", 1)), float(file.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


def _encoding(file: object) -> str:
    """Returns the encoding's name, if it is registered, and which package may be missing."""
    from pydicom.uid import UID

    uid = getattr(file, "file_meta", {}).get("TransferSyntaxUID")
    if (
        not isinstance(uid, UID)
        or not uid.is_transfer_syntax
        or uid.name == str(uid)
        or not uid.is_compressed
    ):
        return ""
    return f' ({uid.name}); decoders come with pip install "tfautolabel[medical]"'
