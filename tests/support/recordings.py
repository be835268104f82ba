"""Folders of recordings in the layouts of VCTK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def small_vctk(folder: Path, utterances: dict[str, int]) -> Path:
    for speaker, count in utterances.items():
        (folder / "wav48" / speaker).mkdir(parents=True)
        for text in range(1, count + 1):
            path = folder / "wav48" / speaker / f"{speaker}_{text:03}.wav"
            soundfile.write(path, noise(9000, text), 16000)
    return folder


def as_092(vctk: Path, folder: Path) -> Path:
    """The sample in the layout of 0.92: flac, two microphones, p228 with the second only."""
    for path in sorted((vctk / "wav48").rglob("*.wav")):
        sound, rate = soundfile.read(path, dtype="int16")
        speaker = path.parent.name
        place = folder / "wav48_silence_trimmed" / speaker
        place.mkdir(parents=True, exist_ok=True)
        heard = {"mic2": sound} if speaker == "p228" else {"mic1": sound, "mic2": sound // 3}
        for microphone, samples in heard.items():
            soundfile.write(place / f"{path.stem}_{microphone}.flac", samples, rate)
    return folder
