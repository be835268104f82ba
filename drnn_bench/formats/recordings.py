"""Recordings, a folder for each class: FOLDER/CLASS/*.wav or flac, or FOLDER/SPLIT/CLASS/*."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import isdir  # False where Path.is_dir raises: no permission
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats import audio
from drnn_bench.formats.files import SPLIT_WORDS, listed, some, stray_notes
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import Form, Part, Sequences, joined

OPTIONS = ("rate",)
ENDINGS = (".wav", ".flac")
LAYOUT = "one folder a class, FOLDER/CLASS/*.wav or flac, or FOLDER/{train,test}/CLASS/*"


@dataclass
class _Found:
    recordings: list[tuple[Path, str, str | None]] = field(default_factory=list)  # class, split
    strays: list[Path] = field(default_factory=list)


def in_folders(folder: Path) -> bool:
    """Whether the folder has recordings in the layout of this reader."""
    return bool(_find(folder).recordings)


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """Whole recordings, mono, all at `options.rate` Hz, else at the rate that most of them have."""
    rate = options.rate
    if rate is not None and not 1 <= rate <= audio.HIGHEST_RATE:
        raise UserError(f"{place}: rate must be 1 to {audio.HIGHEST_RATE} Hz, got {rate}")
    found = _find(place) if isdir(place) else _Found()
    if not found.recordings:
        raise UserError(f"{place}: recordings that tell no class; expected {LAYOUT}")
    paths = [path for path, _, _ in found.recordings]
    sounds, rates, channels = [], [], []
    for path in paths:
        sound, its_rate, its_channels = audio.mono(path)
        if rate is not None:  # at once: at their own rate all may not fit into memory
            sound = audio.resampled(path, sound, its_rate, rate)
        sounds.append(sound)
        rates.append(its_rate)
        channels.append(its_channels)
    if rate is None:
        counts = Counter(rates)
        rate = min(counts, key=lambda r: (-counts[r], r))
        sounds = [audio.resampled(*one, rate) for one in zip(paths, sounds, rates, strict=True)]
    part = Part(
        x=[sound[:, None] for sound in sounds],
        y=np.array([label for _, label, _ in found.recordings]),
        where=[str(path) for path in paths],
        split=[split for _, _, split in found.recordings],
    )
    return joined([part], Form("recordings"), _notes(rates, rate, channels, found.strays))


def _find(folder: Path) -> _Found:
    found = _Found()
    entries = listed(folder)
    splits = [e for e in entries if isdir(e) and SPLIT_WORDS.get(e.name.lower())]
    for split in splits:
        within = _Found()
        for entry in listed(split):
            _find_class(entry, SPLIT_WORDS[split.name.lower()], within)
        if within.recordings:  # else its recordings lie in it, if any: a class of that name
            entries.remove(split)
            found.recordings += within.recordings
            found.strays += within.strays
    in_splits = bool(found.recordings)
    for entry in entries:
        _find_class(entry, None, found)
    classes = {label for _, label, split in found.recordings if split is None}
    if in_splits and classes:
        raise UserError(
            f"{folder} has splits and beside them recordings in {some(sorted(classes))}; "
            f"expected {LAYOUT}"
        )
    return found


def _find_class(entry: Path, split: str | None, found: _Found) -> None:
    """Adds the recordings of what may be the folder of a class; what is none is stray."""
    if entry.name.startswith(".") or not isdir(entry):
        found.strays.append(entry)
        return
    recordings, others = [], []
    for path in listed(entry):
        is_one = path.suffix.lower() in ENDINGS and not path.name.startswith(".")
        (recordings if is_one and not isdir(path) else others).append(path)
    found.recordings += [(path, entry.name, split) for path in recordings]
    found.strays += others if recordings else [entry]


def _notes(rates: list[int], rate: int, channels: list[int], strays: list[Path]) -> list[str]:
    notes = [f"{len(rates)} recordings at {rate} Hz"]
    others = [r for r in rates if r != rate]
    if others:
        sources = " and ".join(str(r) for r in sorted(set(others)))
        notes.append(
            f"{len(others)} of {len(rates)} recordings resampled from {sources} to {rate} Hz"
        )
    mixed = sum(count > 1 for count in channels)
    if mixed:
        notes.append(f"{mixed} of {len(rates)} recordings mixed down to mono")
    return notes + stray_notes(strays)
