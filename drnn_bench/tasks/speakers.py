"""Who is speaking? The raw waveform, one sample a step, classified at the last step.

speaker_fsdd: the Free Spoken Digit Dataset (CC BY-SA 4.0), six speakers. Split by recording as the
data set has it: index 0 to 4 is the test set; ours: 5 to 9 validation, the rest training.

speaker_vctk: VCTK (CC BY 4.0), version 0.80 or 0.92. Of the two microphones of 0.92 the first,
since both heard the same utterances; the second for a speaker who has no other. Without a folder
the recordings are streamed from the hub's copy of 0.92, `CSTR-Edinburgh/vctk`; it lacks p315, whose
texts are lost, so that p315 is left out of a folder too. Split by utterance for each speaker:
RandomState(0) shuffles the speaker's sorted utterances, a tenth is the test set, a tenth validation
(at least one each), the rest training.

The paper gives the segment as about half a second, but neither sampling rate nor split nor number
of speakers. So the protocol is ours: each recording is decoded with soundfile, mixed down to mono,
resampled to `rate` with soxr and cut from its start into segments of `length` samples that do not
overlap. The rest is dropped; only a recording shorter than one segment is kept as one, with zeros
after its end. All splits are divided by one number, the root mean square of the training inputs.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os.path import isdir  # False where Path.is_dir raises: no permission
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import listed
from drnn_bench.formats.recordings.audio import (
    HIGHEST_RATE,
    cut,
    decode,
    joined,
    segments,
)
from drnn_bench.tasks.sources import PARQUET, UNAIDED, from_hub
from drnn_bench.tasks.task import SPLITS, Reading, Task

LONGEST_SEGMENT = 60  # seconds: beyond it there would be nothing but padding
FSDD_SOURCE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
FSDD_NAME = re.compile(r"[0-9]_(?P<speaker>[^_]+)_(?P<index>[0-9]+)\.wav")
VCTK_SOURCE = "https://datashare.ed.ac.uk/handle/10283/3443"
VCTK_NAME = re.compile(
    r"(?P<speaker>[ps][0-9]+)_(?P<text>[0-9]+)(_mic(?P<microphone>[12]))?\.(wav|flac)"
)
VCTK_LEFT_OUT = "p315"
VCTK_HUB = "CSTR-Edinburgh/vctk"
VCTK_LAYOUTS = ("wav48_silence_trimmed", "wav48")  # of 0.92 and of 0.80


@dataclass(frozen=True)
class Recording:
    path: Path  # on the hub: speaker and file name
    speaker: str
    split: str


@dataclass(frozen=True, kw_only=True)
class _Speakers(Task):
    rate: int = 8000
    length: int = 4000  # pyright: ignore[reportIncompatibleMethodOverride]

    version: ClassVar[int] = 1
    metric: ClassVar[str] = "accuracy"
    scored: ClassVar[int] = 1
    input_size: ClassVar[int] = 1
    default_budget: ClassVar[int] = 25_000
    default_steps: ClassVar[int] = 3_000
    default_trials: ClassVar[int] = 15
    data: ClassVar[str]  # what --data-dir must hold, and where it can be had
    splitting: ClassVar[str]  # what each speaker needs

    def __post_init__(self) -> None:
        for option, most in (("rate", HIGHEST_RATE), ("length", LONGEST_SEGMENT * self.rate)):
            value = getattr(self, option)
            if not 1 <= value <= most:
                raise UserError(f"task {self.name}: {option} must be 1 to {most}, got {value}")

    def read(self, data_dir: str | None) -> Reading:
        recordings = self.recordings(data_dir)
        numbers = {name: i for i, name in enumerate(sorted({r.speaker for r in recordings}))}
        streamed = self._streamed(recordings) if data_dir is None else None
        arrays = {}
        for split in SPLITS:
            chosen = [r for r in recordings if r.split == split]
            if streamed is None:
                x, source = segments([r.path for r in chosen], self.rate, self.length)
            else:
                x, source = joined([streamed.pop(r.path) for r in chosen])
            y = np.array([numbers[r.speaker] for r in chosen], dtype=np.int64)
            arrays[split] = (x, y[source])
        size = np.float32(_rms(arrays["train"][0]))
        if size == 0:
            raise UserError(f"{self._place(data_dir)}: all training recordings are silent")
        for x, _ in arrays.values():
            x /= size
        facts = {"classes": list(numbers), "divided_by": float(size)}
        return Reading(self, arrays, facts=facts)

    def recordings(self, data_dir: str | None) -> list[Recording]:
        """What the task reads, sorted by path; every speaker is in each split."""
        if data_dir is None:
            recordings = self._on_hub()
        elif not Path(data_dir).is_dir():
            raise UserError(f"data folder {data_dir} does not exist (--data-dir)")
        else:
            recordings = self._in_folder(Path(data_dir))
        place = self._place(data_dir)
        recordings = sorted(recordings, key=lambda recording: recording.path)
        if not recordings:
            raise UserError(f"{place} has no recordings: expected {self.data}")
        speakers = sorted({r.speaker for r in recordings})
        if len(speakers) != self.output_size:
            raise UserError(
                f"{place} has {len(speakers)} speakers, expected {self.output_size} "
                f"({self._other_speakers(speakers)})"
            )
        for speaker in speakers:
            splits = [r.split for r in recordings if r.speaker == speaker]
            if missing := [split for split in SPLITS if split not in splits]:
                raise UserError(
                    f"{place}: speaker {speaker} has {len(splits)} recordings, none "
                    f"for {' and '.join(missing)} ({self.splitting})"
                )
        return recordings

    def _place(self, data_dir: str | None) -> str:
        return f"data folder {data_dir}"

    def _on_hub(self) -> list[Recording]:
        raise UserError(f"task {self.name} needs --data-dir, a folder with {self.data}; {UNAIDED}")

    def _streamed(self, recordings: list[Recording]) -> dict[Path, np.ndarray]:
        """The segments of each recording on the hub."""
        raise NotImplementedError

    def _in_folder(self, folder: Path) -> list[Recording]:
        raise NotImplementedError

    def _other_speakers(self, speakers: list[str]) -> str:
        """The hint in the error for another number of speakers than expected."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class SpeakerFSDD(_Speakers):
    rate: int = 4000
    length: int = 1000

    name: ClassVar[str] = "speaker_fsdd"
    licence: ClassVar[str] = "Free Spoken Digit Dataset: CC BY-SA 4.0"
    summary: ClassVar[str] = "six speakers of digits, raw waveform (--data-dir; rate, length)"
    target_value: ClassVar[float] = 0.95  # 3 of the 4 families on the published board reach it
    output_size: ClassVar[int] = 6
    data: ClassVar[str] = (
        f"recordings/DIGIT_SPEAKER_INDEX.wav of the Free Spoken Digit Dataset ({FSDD_SOURCE})"
    )
    splitting: ClassVar[str] = "index 0 to 4 is test, 5 to 9 validation, the rest train"

    def _in_folder(self, folder: Path) -> list[Recording]:
        for place in (folder / "recordings", folder):
            matches = [(path, FSDD_NAME.fullmatch(path.name)) for path in _listed(place)]
            recordings = [
                Recording(path, match["speaker"], self._split(int(match["index"])))
                for path, match in matches
                if match
            ]
            if recordings:
                return recordings
        return []

    @staticmethod
    def _split(index: int) -> str:
        return "test" if index < 5 else "validation" if index < 10 else "train"

    def _other_speakers(self, speakers: list[str]) -> str:
        return f"found: {', '.join(speakers[:10])}; the whole data set: {FSDD_SOURCE}"


@dataclass(frozen=True, kw_only=True)
class SpeakerVCTK(_Speakers):
    speakers: int = 108  # the first in sorted order

    name: ClassVar[str] = "speaker_vctk"
    licence: ClassVar[str] = "VCTK (CSTR, University of Edinburgh): CC BY 4.0"
    summary: ClassVar[str] = "speakers of VCTK, raw waveform (options rate, length, speakers)"
    data: ClassVar[str] = (
        f"wav48/p225/p225_001.wav or wav48_silence_trimmed/p225/p225_001_mic1.flac and so on, "
        f"as VCTK has them ({VCTK_SOURCE})"
    )
    splitting: ClassVar[str] = "each speaker needs at least three utterances"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.speakers < 2:
            raise UserError(f"task speaker_vctk: speakers must be at least 2, got {self.speakers}")

    @property
    def output_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.speakers

    def _in_folder(self, folder: Path) -> list[Recording]:
        roots = (folder, *sorted(folder.glob("VCTK-Corpus*")))
        for place in (root / layout for root in roots for layout in VCTK_LAYOUTS):
            speakers = {path.name: _utterances(path.name, _listed(path)) for path in _listed(place)}
            if any(speakers.values()):
                return self._first(speakers)
        return []

    def _place(self, data_dir: str | None) -> str:
        return VCTK_HUB if data_dir is None else super()._place(data_dir)

    def _on_hub(self) -> list[Recording]:
        paths = defaultdict(set)
        for row in self._rows("speaker_id", "file"):
            paths[row["speaker_id"]].add(_path(row))
        return self._first({name: _utterances(name, files) for name, files in paths.items()})

    def _streamed(self, recordings: list[Recording]) -> dict[Path, np.ndarray]:
        """The segments of each recording: no more is ever held than those and one row group."""
        speakers = {r.path: r.speaker for r in recordings}
        filters = [("speaker_id", "in", sorted(set(speakers.values())))]
        parts = {}
        for row in self._rows("speaker_id", "file", "audio", filters=filters):
            path = _path(row)
            if path in speakers and path not in parts:
                name = f"{VCTK_HUB}, speaker {speakers[path]}, {path.name}"
                parts[path] = cut(
                    decode(row["audio"]["bytes"] or b"", name, self.rate), self.length
                )
        return parts

    @staticmethod
    def _rows(*columns: str, filters: list[tuple] | None = None) -> Iterable[Mapping]:
        return from_hub(VCTK_HUB, "train", columns, PARQUET, streaming=True, filters=filters)

    def _first(self, utterances: dict[str, list[Path]]) -> list[Recording]:
        """The first speakers who have any, their utterances split."""
        speakers = sorted(name for name, paths in utterances.items() if paths)
        speakers = [name for name in speakers if name != VCTK_LEFT_OUT]
        return [
            Recording(path, name, split)
            for name in speakers[: self.speakers]
            for path, split in zip(
                utterances[name], _shuffled_splits(len(utterances[name])), strict=True
            )
        ]

    def _other_speakers(self, speakers: list[str]) -> str:
        if len(speakers) < 2:
            return f"the whole data set: {VCTK_SOURCE}"
        return f"for those there are: --task speaker_vctk:speakers={len(speakers)}"


def _path(row: Mapping) -> Path:
    """A row of the hub's as the path below VCTK's folder of recordings: p225/p225_001_mic1.flac."""
    return Path(row["speaker_id"], PurePosixPath(row["file"]).name)


def _utterances(speaker: str, paths: Iterable[Path]) -> list[Path]:
    """One recording for each text that a speaker of VCTK read, sorted by text."""
    matches = [(path, VCTK_NAME.fullmatch(path.name)) for path in sorted(paths)]
    recordings = [
        (match["microphone"] or "1", match["text"], path)
        for path, match in matches
        if match and match["speaker"] == speaker
    ]
    first = min((microphone for microphone, _, _ in recordings), default=None)
    texts = {text: path for microphone, text, path in recordings if microphone == first}
    return [texts[text] for text in sorted(texts)]


def _shuffled_splits(count: int) -> list[str]:
    """A split for each of a speaker's utterances."""
    held_out = max(1, round(count / 10))
    splits = np.array(["train"] * count, dtype=object)
    order = np.random.RandomState(0).permutation(count)
    splits[order[:held_out]] = "test"
    splits[order[held_out : 2 * held_out]] = "validation"
    return splits.tolist()


def _listed(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where it is no folder."""
    return listed(folder) if isdir(folder) else []


def _rms(x: np.ndarray) -> float:
    # Row by row: all of VCTK squared in float64 would not fit beside it.
    total = math.fsum(np.square(row, dtype=np.float64).sum() for row in x)
    return math.sqrt(total / x.size)
