"""Recordings as segments of one sampling rate and one length.

Files are checked as they are read: what is wrong is said in one line that names the file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError

HIGHEST_RATE = 192_000  # Hz
LONGEST_RECORDING = 3_600  # seconds; a damaged header may promise more than memory holds
WIDE = ("PCM_32", "DOUBLE", "ALAC_32")  # float32 has 24 bits and holds the others exactly
PIPED = 0x7FFF_0000  # a wav written to a pipe cannot know its size and promises 2 or 4 GiB


def segments(paths: Sequence[Path], rate: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """All segments [N, length] of some recordings, and for each the place in `paths` of the
    recording that it was cut from [N]."""
    return joined([cut(read(path, rate), length) for path in paths])


def joined(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The segments of some recordings [N, length], and for each the place in `parts` that it has
    come from [N]."""
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def cut(samples: np.ndarray, length: int) -> np.ndarray:
    """Segments that follow one another from the start, the rest dropped; a recording shorter than
    one segment is one, with zeros after its end."""
    if len(samples) < length:
        return np.pad(samples, (0, length - len(samples)))[None]
    whole = len(samples) // length
    return samples[: whole * length].reshape(whole, length)


def read(path: Path, rate: int) -> np.ndarray:
    """A recording, mixed down to mono and resampled: float32 [samples]."""
    samples, its_rate, _ = mono(path)
    return resampled(path, samples.astype(np.float32), its_rate, rate)


def decode(raw: bytes, path: Path | str, rate: int) -> np.ndarray:
    """The same of a file's bytes; `path` is what errors call it."""
    samples, its_rate, _ = _mono(raw, path)
    return resampled(path, samples.astype(np.float32), its_rate, rate)


def mono(path: Path) -> tuple[np.ndarray, int, int]:
    """A recording mixed down to mono [samples], its own rate, its number of channels.

    The samples are float32, or float64 where the file has more bits than float32 holds.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    return _mono(raw, path)


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


def _mono(raw: bytes, path: Path | str) -> tuple[np.ndarray, int, int]:
    sound, rate = _decode(raw, path)
    _check_finite(path, sound)
    mixed = sound.mean(axis=1, dtype=np.float64)
    return mixed.astype(sound.dtype), rate, sound.shape[1]


def _decode(raw: bytes, path: Path | str) -> tuple[np.ndarray, int]:
    """Samples [samples, channels], at least one, and their rate."""
    import soundfile

    if not raw:
        raise UserError(f"{path}: the file is empty; fetch it again")
    promised = 8 + int.from_bytes(raw[4:8], "little")
    # libsndfile reads a cut wav to where it ends and says nothing; one byte may be padding.
    if raw.startswith(b"RIFF") and len(raw) + 1 < promised < PIPED:
        raise UserError(f"{path}: {len(raw)} bytes, its header promises {promised}; fetch it again")
    try:
        with soundfile.SoundFile(io.BytesIO(raw)) as file:
            if file.frames > LONGEST_RECORDING * file.samplerate:
                raise UserError(
                    f"{path}: its header promises {file.frames} samples at {file.samplerate} Hz, "
                    f"more than an hour; a recording is one utterance"
                )
            # How many is said because soundfile refuses to guess for the codecs that cannot seek.
            kind = "float64" if file.subtype in WIDE else "float32"
            samples = file.read(file.frames, dtype=kind, always_2d=True)
            rate = file.samplerate
    except soundfile.SoundFileError as error:
        why = str(getattr(error, "error_string", error)).rstrip(".")
        raise UserError(
            f"{path}: no wav or flac that can be read ({why}); fetch it again"
        ) from None
    if not len(samples):
        raise UserError(f"{path}: the recording has no samples; remove it or fetch it again")
    return samples, rate


def _check_finite(path: Path | str, samples: np.ndarray) -> None:
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: samples are NaN or infinite; remove the file or fetch it again")
