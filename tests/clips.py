"""WAV files of every kind that is read, made by hand so that headers can be wrong on purpose."""

import struct

import numpy as np

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def tones(seconds=0.5, rate=16_000, channels=1, seed=0):
    """(t, channels) float64 in [-0.9, 0.9]: a few tones below 3 kHz, others in every channel."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate))[:, None] / rate
    pitches, phases = rng.uniform(100, 3000, (4, channels)), rng.uniform(0, 6, (4, channels))
    parts = [np.sin(2 * np.pi * pitch * time + phase) for pitch, phase in zip(pitches, phases, strict=True)]
    return 0.225 * np.sum(parts, axis=0)


def packed(samples, kind, bits):
    """The bytes of (t, channels) samples in [-1, 1), channels interleaved."""
    if kind == FLOAT:
        return samples.astype(f"<f{bits // 8}").tobytes()
    whole = np.clip(np.round(samples * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(
        np.int64
    )
    if bits == 8:
        return (whole + 128).astype(np.uint8).tobytes()
    return whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, : bits // 8].tobytes()


def chunk(name, content, claimed=None):
    """A chunk, padded to an even length; it can claim to be of another length."""
    size = len(content) if claimed is None else claimed
    return name + struct.pack("<I", size) + content + b"\0" * (len(content) % 2)


def form(kind, bits, channels=1, rate=16_000, extensible=False):
    """The content of a format chunk."""
    frame = channels * bits // 8
    tag = EXTENSIBLE if extensible else kind
    plain = struct.pack("<HHIIHH", tag, channels, rate % 2**32, rate * frame % 2**32, frame % 2**16, bits)
    if not extensible:
        return plain
    return plain + struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", kind) + _GUID_TAIL


def riff(*chunks, magic=b"RIFF", claimed=None):
    """A file of chunks."""
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if claimed is None else claimed) + body


def wav(samples=None, kind=PCM, bits=16, rate=16_000, extensible=False, content=None):
    """A WAV file of (t, channels) or (t,) samples, or with bytes of samples as they are."""
    samples = tones(rate=rate) if samples is None else np.asarray(samples, np.float64)
    samples = samples[:, None] if samples.ndim == 1 else samples
    head = form(kind, bits, samples.shape[1], rate, extensible)
    data = packed(samples, kind, bits) if content is None else content
    return riff(chunk(b"fmt ", head), chunk(b"data", data))


DEPTHS = {
    "pcm-8": (PCM, 8),
    "pcm-16": (PCM, 16),
    "pcm-24": (PCM, 24),
    "pcm-32": (PCM, 32),
    "float-32": (FLOAT, 32),
    "float-64": (FLOAT, 64),
}
"""Name to format tag and bits a sample."""


def _unpadded(*order):
    """As `_arranged`, without the byte behind an odd length."""
    odd = chunk(b"note", b"an odd number of by")
    return riff(*(part if part != odd else odd[:-1] for part in map(_known, order)))


def _arranged(*order):
    """A file whose chunks come in another order or among others."""
    return riff(*map(_known, order))


def _known(name):
    known = {
        "fmt": chunk(b"fmt ", form(PCM, 16)),
        "long-fmt": chunk(b"fmt ", form(PCM, 16) + b"\0\0"),
        "data": chunk(b"data", packed(tones(), PCM, 16)),
        "list": chunk(b"LIST", b"INFOISFT\x0e\0\0\0Lavf58.29.100\0"),
        "odd": chunk(b"note", b"an odd number of by"),
        "fact": chunk(b"fact", struct.pack("<I", len(tones()))),
        "empty": chunk(b"JUNK", b""),
    }
    return known[name]


def _claiming(size, magic=b"RIFF", whole=None):
    data = chunk(b"data", packed(tones(), PCM, 16), claimed=size)
    return riff(chunk(b"fmt ", form(PCM, 16)), data, magic=magic, claimed=whole)


ARRANGED = {
    "long-format-chunk": lambda: _arranged("long-fmt", "data"),
    "chunks-before": lambda: _arranged("list", "empty", "fmt", "fact", "data"),
    "chunks-after": lambda: _arranged("fmt", "data", "list", "odd"),
    "odd-chunk-before": lambda: _arranged("odd", "fmt", "odd", "data"),
    "data-first": lambda: _arranged("data", "fmt"),
    "size-all-ones": lambda: _claiming(0xFFFFFFFF, whole=0xFFFFFFFF),
    "size-beyond-the-file": lambda: _claiming(1_000_000),
    "size-never-filled-in": lambda: _claiming(0, whole=0),
    "size-zero-in-an-endless-file": lambda: _claiming(0, whole=0xFFFFFFFF),
    "size-zero-in-a-file-of-the-most": lambda: _claiming(0, whole=0x7FFFFFFF),
    "odd-chunks-without-padding": lambda: _unpadded("odd", "fmt", "odd", "data"),
    "odd-chunk-without-padding-before-another": lambda: _unpadded("odd", "list", "fmt", "data"),
    "rf64": lambda: _claiming(0xFFFFFFFF, b"RF64", 0xFFFFFFFF),
    "extensible": lambda: wav(tones(), extensible=True),
}
"""Name to a function that gives a file of `tones()` in 16 bits, all with the same samples."""


def broken():
    """Name to bytes that are no clip, and a part of the reason."""
    silent = np.zeros((100, 1))
    return {
        "nothing": (b"", "empty file"),
        "text": (b"this is no sound", "not a sound file"),
        "only-the-magic": (b"RIFF\x04\0\0\0WAVE", "what format"),
        "flac": (b"fLaC" + bytes(200), "not a sound file"),
        "no-format": (riff(chunk(b"data", bytes(400))), "what format"),
        "short-format": (riff(chunk(b"fmt ", bytes(10)), chunk(b"data", bytes(400))), "what format"),
        "no-data": (riff(chunk(b"fmt ", form(PCM, 16))), "without any samples"),
        "no-samples": (wav(np.zeros((0, 1))), "without any samples"),
        "no-samples-but-a-note": (
            riff(chunk(b"fmt ", form(PCM, 16)), chunk(b"data", b""), chunk(b"LIST", bytes(400))),
            "without any samples",
        ),
        "less-than-a-sample": (wav(content=b"\1"), "without any samples"),
        "no-channels": (riff(chunk(b"fmt ", form(PCM, 16, 0)), chunk(b"data", bytes(400))), "0 channels"),
        "channels": (riff(chunk(b"fmt ", form(PCM, 16, 9999)), chunk(b"data", bytes(400))), "9999 channels"),
        "rate-0": (wav(silent, rate=0), "at 0 samples a second"),
        "rate-huge": (wav(silent, rate=2**32 - 1), "4,294,967,295 samples a second"),
        "adpcm": (wav(silent, kind=2, bits=8), "format 2 with 8 bits"),
        "pcm-12": (riff(chunk(b"fmt ", form(PCM, 12)), chunk(b"data", bytes(400))), "with 12 bits"),
        "float-16": (riff(chunk(b"fmt ", form(FLOAT, 16)), chunk(b"data", bytes(400))), "with 16 bits"),
        "not-a-number": (wav([0.1, np.nan, 0.2], FLOAT, 32), "no numbers"),
        "infinite": (wav([0.1, np.inf, 0.2], FLOAT, 64), "no numbers"),
        "beyond-float-32": (wav([0.1, 1e200, 0.2], FLOAT, 64), "no numbers"),
        "absurdly-loud": (wav([0.1, 1e30, 0.2], FLOAT, 32), "no numbers"),
        "many-chunks": (riff(chunk(b"JUNK", b"") * 5000, chunk(b"fmt ", form(PCM, 16))), "what format"),
    }
