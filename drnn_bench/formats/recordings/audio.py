"""Recordings: decoded, mixed down to mono, resampled, cut into segments of one length.

Errors are UserErrors of one line that names the file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import read_bytes
from drnn_bench.formats.recordings.riff import corrected

ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")
HIGHEST_RATE = 192_000  # Hz
LONGEST_RECORDING = 3_600  # seconds; a small file, or a damaged one, may hold more than memory
MOST_SAMPLES = 2**28  # of all channels: 1 GiB, or 2
WIDE = ("PCM_32", "DOUBLE", "ALAC_32")  # float32 has 24 bits and holds the others exactly
BLOCK = 65_536  # samples decoded at once: how many a header promises is not relied on
UNKNOWN_LENGTH = 2**62  # samples that libsndfile calls more: a flac that was written to a pipe
CANCELLED = 1e-3  # channels are not mixed where that leaves less of their power
MP3_DELAY = 2 * 1_152  # samples that an mp3 may promise and not hold
MP3_FRAME = 1_500  # bytes; none is longer
OGG_END, OGG_HEADER = 4, 27  # of a page: the flag that says it is the last, the size of its header


@dataclass(frozen=True)
class Sound:
    """A recording as its file has it."""

    samples: np.ndarray  # [samples], at least one, mono; float64 where float32 has too few bits
    rate: int  # Hz
    channels: int
    coding: str  # of the samples, as libsndfile calls it: PCM_16, VORBIS
    cancelled: bool  # the channels cancel out when mixed: `samples` is one of them
    missing: str  # what the file promises and does not hold, for a message
    beyond: int  # bytes after the samples that were not read


def segments(paths: Sequence[Path], rate: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """All segments [N, length] of some recordings, and the index [N] in `paths` of the recording
    of each. `rate` is in Hz, `length` in samples."""
    return joined([cut(read(path, rate), length) for path in paths])


def joined(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The segments of some recordings [N, length], and the index [N] in `parts` of each."""
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def cut(samples: np.ndarray, length: int) -> np.ndarray:
    """Segments that follow one another from the start, the rest dropped; a recording shorter than
    one segment is one, with zeros after its end."""
    if len(samples) < length:
        return np.pad(samples, (0, length - len(samples)))[None]
    whole = len(samples) // length
    return samples[: whole * length].reshape(whole, length)


def read(path: Path, rate: int) -> np.ndarray:
    """A whole recording, mixed down to mono and resampled: float32 [samples]."""
    return decode(read_bytes(path), path, rate)


def decode(raw: bytes, path: Path | str, rate: int) -> np.ndarray:
    """The same of a file's bytes; `path` is what errors call it."""
    recording = _sound(raw, path)
    if recording.missing:
        raise UserError(f"{path}: {recording.missing}; fetch it again")
    samples = recording.samples.astype(np.float32)
    return resampled(path, samples, recording.rate, rate)


def sound(path: Path) -> Sound:
    """What a file holds of a recording, which may be less than it promises, mixed down to mono."""
    return _sound(read_bytes(path), path)


def resampled(path: Path | str, samples: np.ndarray, its_rate: int, rate: int) -> np.ndarray:
    """The samples [samples] of a recording at another rate."""
    import soxr  # here, as `soundfile` below: `bench ls` needs neither

    if its_rate == rate:
        return samples
    sound = soxr.resample(samples, its_rate, rate, quality="HQ")
    _check_finite(path, sound)
    if not len(sound):
        raise UserError(
            f"{path}: {len(samples)} samples at {its_rate} Hz leave none at {rate} Hz; "
            f"remove the file, or ask for a higher rate"
        )
    return sound


def _sound(raw: bytes, path: Path | str) -> Sound:
    file = corrected(raw)
    samples, rate, coding, missing = _decode(file.raw, path)
    missing = file.missing or missing
    if not len(samples):
        why = f" ({missing})" if missing else ""
        raise UserError(f"{path}: the recording has no samples{why}; remove it or fetch it again")
    _check_finite(path, samples)
    mono, cancelled = _mixed(samples)
    return Sound(mono, rate, samples.shape[1], coding, cancelled, missing, file.beyond)


def _mixed(samples: np.ndarray) -> tuple[np.ndarray, bool]:
    """The mean of the channels [samples]; where they cancel out, the first that is not silent."""
    mean = samples.mean(axis=1, dtype=np.float64)
    powers = np.square(samples, dtype=np.float64).mean(axis=0)
    if np.square(mean).mean() < CANCELLED * powers.mean():
        return samples[:, np.argmax(powers > 0)].copy(), True
    return mean.astype(samples.dtype), False


def _decode(raw: bytes, path: Path | str) -> tuple[np.ndarray, int, str, str]:
    """Samples [samples, channels], their rate, their coding, and what is missing."""
    import soundfile

    if not raw:
        raise UserError(f"{path}: the file is empty; fetch it again")
    stream = io.BytesIO(raw)
    try:
        with soundfile.SoundFile(stream) as file:
            samples = _samples(file, stream, path)
            rate, coding, form, promised = file.samplerate, file.subtype, file.format, file.frames
    except soundfile.SoundFileError as error:
        why = str(getattr(error, "error_string", "")).rstrip(".") or "it is damaged"
        raise UserError(
            f"{path}: no recording that libsndfile can read ({why}); fetch it again"
        ) from None
    if form == "MP3":
        promised = _checked_mp3(path, raw, promised, unread=len(raw) - stream.tell())
    if len(samples) < promised < UNKNOWN_LENGTH:
        return samples, rate, coding, f"{len(samples):,} samples, its header promises {promised:,}"
    if form == "OGG" and not _ogg_ends(raw):
        return samples, rate, coding, "ends before the last page of an ogg file"
    return samples, rate, coding, ""


def _checked_mp3(path: Path | str, raw: bytes, promised: int, unread: int) -> int:
    """How many samples an mp3 must hold: its first frame may say it, else libsndfile guesses."""
    if unread > len(raw) // 10 and b"APETAGEX" not in raw[-unread:]:
        raise UserError(
            f"{path}: does not say how long it is, and libsndfile reads {len(raw) - unread:,} of "
            f"its {len(raw):,} bytes; convert it to wav or flac"
        )
    start = 0
    if raw.startswith(b"ID3"):  # its size, 7 bits a byte
        start = 10 + sum(
            byte << shift for byte, shift in zip(raw[6:10], (21, 14, 7, 0), strict=False)
        )
    first_frame = raw[start : start + MP3_FRAME]
    says = any(mark in first_frame for mark in (b"Xing", b"Info", b"VBRI"))
    return promised - MP3_DELAY if says else 0


def _samples(file, stream: io.BytesIO, path: Path | str) -> np.ndarray:
    """What there is, decoded: [samples, channels], float64 of the codings that are WIDE."""
    import soundfile

    kind = np.float64 if file.subtype in WIDE else np.float32
    size = min(file.frames + 1, BLOCK)  # mostly one more than there are, which shows the end
    blocks, count, ended = [], 0, False
    _check_length(path, file, file.frames if file.frames < UNKNOWN_LENGTH else 0)
    while not ended:
        block = np.full((size, file.channels), np.nan, kind)
        try:
            read = len(file.read(out=block))
            ended = read < size
        except soundfile.SoundFileError:  # a flac that does not end where it says
            if stream.tell() < len(stream.getbuffer()):
                raise  # damaged, and not cut
            read, ended = np.isfinite(block).all(axis=1).sum(), True  # what was written
        blocks.append(block[:read])
        count += read
        _check_length(path, file, count)
    return np.concatenate(blocks)


def _ogg_ends(raw: bytes) -> bool:
    """Whether the last page is whole and says that it is the last."""
    page = raw.rfind(b"OggS")
    head = raw[page : page + OGG_HEADER]
    if len(head) < OGG_HEADER or not head[5] & OGG_END:
        return False
    sizes = raw[page + OGG_HEADER : page + OGG_HEADER + head[26]]
    return page + OGG_HEADER + head[26] + sum(sizes) <= len(raw)


def _check_length(path: Path | str, file, count: int) -> None:
    if count > LONGEST_RECORDING * file.samplerate or count * file.channels > MOST_SAMPLES:
        raise UserError(
            f"{path}: {count:,} samples at {file.samplerate} Hz in {file.channels} channel(s); at "
            f"most an hour, and {MOST_SAMPLES:,} in all channels, are read of one recording"
        )


def _check_finite(path: Path | str, samples: np.ndarray) -> None:
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: samples are NaN or infinite; remove the file or fetch it again")
