"""Files in base64 are told from texts, by how they begin."""

import base64

import pytest

from tfautolabel.data.written_paths import from_base64, is_base64, spellings

STARTS = {
    "JPEG": b"\xff\xd8\xff\xe0",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "TIFF": b"II*\0",
    "BMP": b"BM\x36\x03",
    "HEIC": b"\0\0\0\x18ftypheic",
    "WAV": b"RIFF\x24\x08\0\0WAVE",
    "FLAC": b"fLaC\0\0\0\x22",
    "OGG": b"OggS\0\2",
    "MP3 with tags": b"ID3\x04\0",
    "MP3": b"\xff\xfb\x90\x64",
    "AIFF": b"FORM\0\0\x80\x2eAIFF",
    "AU": b".snd\0\0\0\x18",
    "CAF": b"caff\0\1\0\0",
    "W64": b"riff.\x91\xcf\x11",
    "WebM": b"\x1aE\xdf\xa3\x9f",
    "DICOM": bytes(128) + b"DICM",
}
CONTENT = bytes(range(256))


@pytest.mark.parametrize("kind", STARTS)
def test_files_in_base64_are_known_by_how_they_begin(kind):
    data = STARTS[kind] + CONTENT
    for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes):
        text = encode(data)
        for value in (text, text.rstrip(b"=\n"), b"data:application/octet-stream;base64," + text):
            assert is_base64(value.decode())
            assert from_base64(value) == data


@pytest.mark.parametrize(
    "text",
    [
        "/9j/", "Qk0 is a key", "SUQz", "//server/share/file", "A" * 30, "a" * 200, "//remark " * 30,
        "hello-world_hello-world_hello", "UklGR is how RIFF begins", "OggS" * 50,
    ],
)  # fmt: skip
def test_texts_are_none(text):
    assert not is_base64(text)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("a/b.jpg?w=200&h=3", "a/b.jpg"),
        ("http://localhost:8080/data/local-files/?d=a%2Fb.jpg", "a/b.jpg"),
        ("https://studio.example.org/data/upload/1/0a1b2c3d-b.jpg", "b.jpg"),
    ],
)
def test_paths_within_addresses(written, path):
    assert path in list(spellings(written))
    assert written in list(spellings(written)) or written.startswith("http")
