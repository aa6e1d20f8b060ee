"""Labelled sound clips, written as WAV files in a folder.

fsdd        3,000 spoken digits of six speakers, 8 kHz; file names are {digit}_{speaker}_{index}.wav
            (Free Spoken Digit Dataset, CC BY-SA 4.0; an archive of its recordings is given by the user)
digits      the ten digits spoken by espeak-ng (Debian package espeak-ng) at several speeds and pitches
"""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

from datasets import once

NUMERALS = "零一二三四五六七八九"
SPEEDS, PITCHES = (120, 145, 170, 195), (20, 35, 50, 65, 80)


def fsdd(data: Path, archive: Path) -> Path:
    """The folder of the recordings in an archive, wherever they lie in it."""

    def make(folder: Path) -> None:
        with zipfile.ZipFile(archive) as files:
            for name in files.namelist():
                if name.endswith(".wav"):
                    (folder / Path(name).name).write_bytes(files.read(name))

    return once(data / "fsdd-recordings", make)


def spoken_digits(data: Path, voice: str) -> Path:
    """A folder per digit with 20 clips of a voice, such as "cmn" (Mandarin) or "yue" (Cantonese)."""

    def make(folder: Path) -> None:
        for digit, numeral in enumerate(NUMERALS):
            (folder / str(digit)).mkdir()
            for speed in SPEEDS:
                for pitch in PITCHES:
                    file = folder / str(digit) / f"{speed}-{pitch}.wav"
                    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch)]
                    subprocess.run([*command, "-w", str(file), numeral], check=True)

    return once(data / f"espeak-digits-{voice}", make)
