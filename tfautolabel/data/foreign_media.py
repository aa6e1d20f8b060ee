"""Recognises sound and video formats that are not read, and names the command that converts them."""

from __future__ import annotations

from typing import NamedTuple

from tfautolabel.data.picture_files import converted_kind


class ForeignMedia(NamedTuple):
    """A kind of file that holds sound or video and is not read.

    Attributes:
        name: the format's name.
        ending: the usual ending of such files, without the point.
    """

    name: str
    ending: str

    @property
    def reason(self) -> str:
        """Says why such a file is set aside and how to convert it."""
        return (
            f"sound or video of a kind that is not read, {self.name}; "
            f"ffmpeg -i FILE.{self.ending} FILE.wav converts it"
        )


_BY_START = (
    (b"0&\xb2u\x8ef\xcf\x11", ForeignMedia("WMA or WMV", "wma")),
    (b"#!AMR", ForeignMedia("AMR", "amr")),
    (b"ADIF", ForeignMedia("AAC", "aac")),
    (b"MThd\0\0\0\6", ForeignMedia("MIDI", "mid")),
    (b"tBaK", ForeignMedia("TAK", "tak")),
    (b"OFR ", ForeignMedia("OptimFROG", "ofr")),
    (b"OpusHead", ForeignMedia("Opus without its container", "opus")),
    (b"FLV\x01", ForeignMedia("Flash video", "flv")),
    (b"\0\0\x01\xba", ForeignMedia("MPEG", "mpg")),
    (b"\0\0\x01\xb3", ForeignMedia("MPEG", "mpg")),
    (b".RMF", ForeignMedia("RealMedia", "rm")),
    (b".ra\xfd", ForeignMedia("RealAudio", "ra")),
    (b"wvpk", ForeignMedia("WavPack", "wv")),
    (b"MAC ", ForeignMedia("Monkey's Audio", "ape")),
    (b"TTA1", ForeignMedia("True Audio", "tta")),
    (b"MPCK", ForeignMedia("Musepack", "mpc")),
    (b"MP+", ForeignMedia("Musepack", "mpc")),
    (b"DSD ", ForeignMedia("DSF", "dsf")),
    (b"FRM8", ForeignMedia("DSDIFF", "dff")),
    (b"\x0bw", ForeignMedia("AC-3", "ac3")),
    (b"\x7f\xfe\x80\x01", ForeignMedia("DTS", "dts")),
)
_MATROSKA = b"\x1aE\xdf\xa3"
_QUICKTIME_ATOMS = (b"moov", b"mdat", b"wide")
"""How films begin that are older than the `ftyp` mark."""

_PICTURE_BRANDS = (b"crx ",)
"""Raw pictures of cameras that use the container of films."""


def foreign_media(data: bytes) -> ForeignMedia | None:
    r"""Returns the unsupported sound or video format that a file begins like, or None.

    Args:
        data: the bytes of a file, or at least the first few hundred.

    Examples:
        >>> foreign_media(b"\0\0\0\x18ftypM4A \0\0\0\0").reason
        'sound or video of a kind that is not read, M4A; ffmpeg -i FILE.m4a FILE.wav converts it'
        >>> foreign_media(b"MAC is a computer")
    """
    if not any(byte < 9 or 13 < byte < 32 for byte in data[:256]):
        return None  # a text can begin with the same bytes
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    if data[4:8] in _QUICKTIME_ATOMS:
        return ForeignMedia("QuickTime", "mov")
    if data.startswith(_MATROSKA):
        return ForeignMedia("WebM", "webm") if b"webm" in data[:64] else ForeignMedia("Matroska", "mkv")
    if data.startswith(b"RIFF") and data[8:12] in (b"AVI ", b"AVIX"):
        return ForeignMedia("AVI", "avi")
    if data.startswith(b"FORM") and data[8:12] in (b"8SVX", b"16SV"):
        return ForeignMedia("IFF 8SVX", "iff")
    if data.startswith(b"RIFF") and data[8:12] == b"RMID":
        return ForeignMedia("MIDI", "mid")
    if data.startswith(b"OggS") and (b"\x80theora" in data[:256] or b"Speex   " in data[:256]):
        return ForeignMedia("Theora or Speex in OGG", "ogg")
    # Twelve set bits, then a layer of zero, where MP3 has another number.
    if data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xF6 == 0xF0:
        return ForeignMedia("AAC", "aac")
    if data[:377:188] == b"GGG":
        return ForeignMedia("MPEG transport stream", "ts")
    return next((kind for start, kind in _BY_START if data.startswith(start)), None)


def _by_brand(data: bytes) -> ForeignMedia | None:
    brand = data[8:12]
    if converted_kind(data) is not None or brand in _PICTURE_BRANDS:
        return None
    if brand in (b"M4A ", b"M4B ", b"M4P "):
        return ForeignMedia("M4A", "m4a")
    if brand == b"qt  ":
        return ForeignMedia("QuickTime", "mov")
    return ForeignMedia("3GP", "3gp") if brand.startswith(b"3g") else ForeignMedia("MP4", "mp4")
