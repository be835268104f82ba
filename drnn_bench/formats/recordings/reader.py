"""Recordings, a folder for each class: FOLDER/CLASS/*.wav, or FOLDER/SPLIT/CLASS/*.wav; also flac,
ogg, opus and mp3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from os.path import isdir  # False where Path.is_dir raises: no permission
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import (
    SPLIT_WORDS,
    hidden,
    listed,
    some,
    stray_notes,
)
from drnn_bench.formats.labels import label_text
from drnn_bench.formats.options import Options
from drnn_bench.formats.recordings import audio
from drnn_bench.formats.sequences import (
    Form,
    Part,
    Sequences,
    joined,
)

OPTIONS = ("rate",)
LAYOUT = "one folder a class, FOLDER/CLASS/*.wav, or FOLDER/{train,test}/CLASS/*.wav"
# Sound, and films with sound, in files that are not read.
UNREAD = (
    ".m4a", ".m4b", ".mp4", ".aac", ".wma", ".amr", ".webm", ".weba", ".3gp", ".mka", ".mkv",
    ".mov", ".avi", ".ac3", ".ape", ".wv", ".ra", ".mp2", ".spx", ".aif", ".aiff", ".aifc", ".au",
    ".snd", ".caf", ".w64", ".rf64", ".sph", ".nist", ".voc",
)  # fmt: skip
TELLING = 0.9  # a note is given where one class has this share of the recordings of a kind
COMMON = 0.75  # unless that class has this share of all recordings
FEW = 5  # recordings of a kind; fewer may be of one class by chance


@dataclass
class _Folder:
    recordings: list[tuple[Path, str, str | None]] = field(default_factory=list)  # class, split
    unread: list[Path] = field(default_factory=list)  # sound of other kinds beside recordings
    lost: list[str] = field(default_factory=list)  # folders that would be classes, and why not
    strays: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class _Recording:
    name: str  # for notes: cat/1.wav
    label: str
    sound: audio.Sound  # its samples at the rate of all
    own_rate: int


def in_folders(folder: Path) -> bool:
    """Whether the folder has recordings in the layout of this reader."""
    return bool(_find(folder).recordings)


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """Whole recordings, mono, all at `options.rate` Hz, else at the rate that most of them have."""
    rate = options.rate
    if rate is not None and not 1 <= rate <= audio.HIGHEST_RATE:
        raise UserError(f"{place}: rate must be 1 to {audio.HIGHEST_RATE} Hz, got {rate}")
    contents = _find(place) if isdir(place) else _Folder()
    if not contents.recordings:
        raise UserError(f"{place}: recordings that tell no class; expected {LAYOUT}")
    if contents.lost:
        raise UserError(contents.lost[0])
    recordings = []
    for path, label, _ in contents.recordings:
        sound = audio.sound(path)
        own_rate = sound.rate
        if rate is not None:  # at once: at their own rate all may not fit into memory
            sound = _resampled(path, sound, rate)
        recordings.append(_Recording(f"{label}/{path.name}", label_text(label), sound, own_rate))
    if rate is None:
        counts = Counter(recording.own_rate for recording in recordings)
        rate = min(counts, key=lambda r: (-counts[r], r))
        recordings = [
            replace(recording, sound=_resampled(path, recording.sound, rate))
            for (path, _, _), recording in zip(contents.recordings, recordings, strict=True)
        ]
    part = Part(
        x=[recording.sound.samples[:, None] for recording in recordings],
        y=np.array([recording.label for recording in recordings]),
        where=[str(path) for path, _, _ in contents.recordings],
        split=[split for _, _, split in contents.recordings],
    )
    return joined([part], Form("recordings"), [*_notes(recordings, rate), *_left_out(contents)])


def _resampled(path: Path, sound: audio.Sound, rate: int) -> audio.Sound:
    samples = audio.resampled(path, sound.samples, sound.rate, rate)
    return replace(sound, samples=samples, rate=rate)


def _find(folder: Path) -> _Folder:
    contents = _Folder(strays=hidden(folder))
    entries = listed(folder)
    splits = [e for e in entries if isdir(e) and SPLIT_WORDS.get(e.name.lower())]
    for split in splits:
        within = _Folder(strays=hidden(split))
        for entry in listed(split):
            _find_class(entry, SPLIT_WORDS[split.name.lower()], within)
        if within.recordings:  # else its recordings lie in it, if any: a class of that name
            entries.remove(split)
            for kind, paths in vars(contents).items():
                paths += getattr(within, kind)
    in_splits = bool(contents.recordings)
    for entry in entries:
        _find_class(entry, None, contents)
    classes = {label for _, label, split in contents.recordings if split is None}
    if in_splits and classes:
        raise UserError(
            f"{folder} has splits and beside them recordings in {some(sorted(classes))}; "
            f"expected {LAYOUT}"
        )
    return contents


def _find_class(entry: Path, split: str | None, contents: _Folder) -> None:
    """Adds the recordings of what may be the folder of a class; what is none is stray."""
    if not isdir(entry):
        contents.strays.append(entry)
        return
    inside = listed(entry)
    recordings = [path for path in inside if _ends(path, audio.ENDINGS)]
    unread = [path for path in inside if _ends(path, UNREAD)]
    contents.recordings += [(path, entry.name, split) for path in recordings]
    if recordings:
        contents.unread += unread
        contents.strays += [p for p in inside if p not in {*recordings, *unread}] + hidden(entry)
    elif unread:
        contents.lost.append(
            f"{entry}: none of its recordings can be read ({some(path.name for path in unread)}); "
            f"convert them to wav or flac"
        )
    elif deeper := next((path for path in inside if _has_sound(path)), None):
        contents.lost.append(
            f"{entry}: recordings lie deeper in it, in {deeper}; expected {LAYOUT}"
        )
    else:
        contents.strays.append(entry)


def _ends(path: Path, endings: Sequence[str]) -> bool:
    return path.suffix.lower() in endings and not isdir(path)


def _has_sound(path: Path) -> bool:
    """Whether it is a folder with recordings, of whatever kind."""
    return isdir(path) and any(_ends(inner, (*audio.ENDINGS, *UNREAD)) for inner in listed(path))


def _notes(recordings: Sequence[_Recording], rate: int) -> list[str]:
    """Notes on the recordings that were read."""
    notes = [f"{len(recordings)} recordings at {rate} Hz"]

    def note(words: str, applies: Callable[[_Recording], object], names: bool = True) -> None:
        chosen = [recording for recording in recordings if applies(recording)]
        if chosen:
            which = f": {some(recording.name for recording in chosen)}" if names else ""
            notes.append(f"{len(chosen)} of {len(recordings)} recordings {words}{which}")

    others = " and ".join(str(r) for r in sorted({r.own_rate for r in recordings} - {rate}))
    note(f"resampled from {others} to {rate} Hz", lambda r: r.own_rate != rate, names=False)
    note(
        "mixed down to mono",
        lambda r: r.sound.channels > 1 and not r.sound.cancelled,
        names=False,
    )
    note(
        "have channels that cancel out when mixed; one channel of each is read",
        lambda r: r.sound.cancelled,
    )
    note(
        "hold less than their headers promise and are read as far as they go",
        lambda r: r.sound.missing,
    )
    note(
        "have bytes at their ends that their headers do not count; these are not read",
        lambda r: r.sound.beyond,
    )
    note("are silent from beginning to end", lambda r: not r.sound.samples.any())
    codings = Counter(recording.sound.coding for recording in recordings).most_common()
    if len(codings) > 1:
        counts = ", ".join(f"{count} {coding}" for coding, count in codings)
        notes.append(f"recordings are coded in {len(codings)} ways: {counts}")
    labels = [recording.label for recording in recordings]
    for what, kinds in (
        ("sampling rate", [f"{recording.own_rate} Hz" for recording in recordings]),
        ("number of channels", [str(recording.sound.channels) for recording in recordings]),
        ("coding", [recording.sound.coding for recording in recordings]),
    ):
        notes += _telling(what, kinds, labels)
    return notes


def _telling(what: str, kinds: Sequence, labels: Sequence[str]) -> list[str]:
    """Notes where recordings of one kind are nearly all of one class."""
    classes, notes = Counter(labels), []
    for kind in sorted(set(kinds)) if len(set(kinds)) > 1 else ():
        of_kind = Counter(label for k, label in zip(kinds, labels, strict=True) if k == kind)
        ((label, count),) = of_kind.most_common(1)
        if (
            of_kind.total() >= FEW
            and count >= TELLING * of_kind.total()
            and classes[label] < COMMON * len(labels)
        ):
            notes.append(
                f"the {what} may tell the class, and a net learn it rather than the sound: "
                f"{kind}: {count} of {of_kind.total()} recordings are of class {some([label])}"
            )
    return notes


def _left_out(contents: _Folder) -> list[str]:
    """Notes on files and folders that were not read."""
    notes = stray_notes(contents.strays)
    if contents.unread:
        names = some(f"{path.parent.name}/{path.name}" for path in contents.unread)
        read = ", ".join(ending.removeprefix(".") for ending in audio.ENDINGS)
        return [f"not read, for only {read} are: {len(contents.unread)} of sound ({names})", *notes]
    return notes
