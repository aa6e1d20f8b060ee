"""Writes sounds/ with 40 short clips, bells and drums, and sounds.csv with labels for 16 of them."""

import csv
import pathlib
import wave

import numpy as np

RATE = 16_000
folder = pathlib.Path("sounds")
folder.mkdir(exist_ok=True)
rng = np.random.default_rng(0)
seconds = np.arange(RATE) / RATE
labels = []
for number in range(40):
    kind = ("bell", "drum")[number % 2]
    if kind == "bell":
        pitch = rng.uniform(500, 900)
        sound = sum(np.sin(2 * np.pi * pitch * part * seconds) / part for part in (1, 2.76, 5.4))
        sound *= np.exp(-3 * seconds)
    else:
        beats = (seconds * rng.uniform(3, 6)) % 1
        sound = rng.normal(0, 1, RATE) * np.exp(-25 * beats)
    samples = (32767 * 0.8 * sound / np.abs(sound).max()).astype("<i2")
    with wave.open(str(folder / f"{number:02d}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    if number < 16:
        labels.append((f"{number:02d}.wav", kind))
with open("sounds.csv", "w", encoding="utf-8", newline="") as file:
    csv.writer(file).writerows([("path", "label"), *labels])
