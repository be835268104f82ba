"""Recordings as people have them: cut, streamed, of all codings."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.formats.reading import read
from drnn_bench.formats.recordings import audio
from drnn_bench.formats.recordings.riff import corrected
from tests.support.refused import refusal

RNG = np.random.default_rng(0)
TONE = 0.3 * np.sin(np.arange(8_000) / 7) + 0.05 * RNG.normal(size=8_000)


def coded(sound: np.ndarray, form: str = "WAV", rate: int = 8000, **options) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate, format=form, **options)
    return stream.getvalue()


def chunks(*parts: tuple[bytes, bytes]) -> bytes:
    """A wav of these chunks, its sizes as they should be."""
    body = b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for name, content in parts
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


FMT = (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16))
NOTE = (b"LIST", b"INFOISFT\x06\0\0\0Lavf58")
PCM = (TONE * 32767).astype("<i2").tobytes()


def with_sizes(raw: bytes, whole: int, samples: int) -> bytes:
    """A wav that promises other sizes."""
    place = raw.index(b"data") + 4
    raw = raw[:4] + struct.pack("<I", whole) + raw[8:]
    return raw[:place] + struct.pack("<I", samples) + raw[place + 4 :]


def folder_of(folder: Path, **classes: dict[str, bytes]) -> Path:
    for label, files in classes.items():
        (folder / label).mkdir(parents=True)
        for name, raw in files.items():
            (folder / label / name).write_bytes(raw)
    return folder


def one(tmp_path: Path, raw: bytes, name: str = "1.wav") -> tuple[np.ndarray, str]:
    """What a file is read as, and what is said of it, among whole recordings."""
    whole = {f"{i}.wav": coded(TONE) for i in range(2, 5)}
    found = read(folder_of(tmp_path / "data", a={name: raw, **whole}, b=whole))
    return found.x[0][:, 0], " | ".join(found.notes)


# -- sizes in headers --------------------------------------------------------------------------

STREAMED = {
    "zeros": (0, 0),
    "a zero for the samples": (len(PCM) + 36, 0),
    "ones": (0xFFFFFFFF, 0xFFFFFFFF),
    "half of it": (0x7FFFFFFF, 0x7FFFFFFF - 36),
    "only the samples unknown": (len(PCM) + 36, 0xFFFFFFFF),
}


@pytest.mark.parametrize("case", STREAMED)
@pytest.mark.parametrize("before", [[FMT], [FMT, NOTE]])
def test_a_wav_whose_writer_did_not_know_its_size_is_read_whole(tmp_path, case, before):
    raw = with_sizes(chunks(*before, (b"data", PCM)), *STREAMED[case])
    samples, said = one(tmp_path, raw)
    np.testing.assert_allclose(samples, TONE, atol=1e-4)
    assert "promise" not in said
    path = tmp_path / "data" / "a" / "1.wav"
    np.testing.assert_allclose(audio.read(path, 8000), TONE, atol=1e-4)  # as the speakers' tasks do


@pytest.mark.parametrize("after", [[], [NOTE], [NOTE, (b"odd ", b"123")]])
def test_a_wav_that_has_no_samples_has_none_though_it_says_zero(tmp_path, after):
    folder_of(tmp_path, a={"1.wav": chunks(FMT, (b"data", b""), *after)}, b={"1.wav": coded(TONE)})
    assert f"{tmp_path / 'a' / '1.wav'}: the recording has no samples" in refusal(read, tmp_path)


@pytest.mark.parametrize(
    "after", [b"", b"\0", b"\x7f", bytes(300), NOTE[0] + struct.pack("<I", 2) + b"ab"]
)
def test_what_may_follow_the_samples(tmp_path, after):
    samples, said = one(tmp_path, chunks(FMT, (b"data", PCM)) + after)
    assert len(samples) == len(TONE)
    assert "not read" not in said


def test_samples_beyond_the_size_that_a_header_gives_are_said(tmp_path):
    raw = with_sizes(chunks(FMT, (b"data", PCM)), 36 + 2000, 2000)
    samples, said = one(tmp_path, raw)
    assert len(samples) == 1000
    assert "1 of 7 recordings have bytes at their ends that their headers do not count" in said
    assert "a/1.wav" in said


@pytest.mark.parametrize("options", [{}, {"subtype": "FLOAT"}, {"form": "FLAC"}])
@pytest.mark.parametrize("part", [0.9, 0.5])
def test_a_cut_recording_is_read_as_far_as_it_goes_and_said(tmp_path, options, part):
    sound = np.tile(TONE, 4)
    raw = coded(sound, **options)
    samples, said = one(tmp_path, raw[: int(part * len(raw))])
    assert 0.2 * part * len(sound) < len(samples) < len(sound)
    np.testing.assert_allclose(samples, sound[: len(samples)], atol=1e-3)
    assert "1 of 7 recordings hold less than their headers promise" in said
    assert said.count("a/1.wav") == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"form": "OGG", "subtype": "VORBIS"}, "1.ogg"),
        ({"form": "OGG", "subtype": "OPUS"}, "1.opus"),
        ({"form": "MP3", "subtype": "MPEG_LAYER_III"}, "1.mp3"),
    ],
)
def test_a_cut_recording_of_a_lossy_coding_is_said_too(tmp_path, options, name):
    sound = np.tile(TONE, 20)
    raw = coded(sound, **options)
    samples, said = one(tmp_path / "whole", raw, name)
    assert abs(len(samples) - len(sound)) < 2_000
    assert "promise" not in said
    samples, said = one(tmp_path / "cut", raw[: int(0.6 * len(raw))], name)
    assert 0.3 * len(sound) < len(samples) < 0.7 * len(sound)
    assert "1 of 7 recordings hold less than their headers promise" in said


def test_a_recording_cut_before_its_samples_is_refused(tmp_path):
    raw = chunks(FMT, (b"data", PCM))
    folder_of(tmp_path, a={"1.wav": raw[:44]}, b={"1.wav": raw})
    said = refusal(read, tmp_path)
    assert "1.wav: the recording has no samples (0 bytes of samples, its header promises 1" in said


def test_a_flac_that_is_damaged_and_not_cut_is_refused(tmp_path):
    raw = bytearray(coded(np.tile(TONE, 20), "FLAC"))
    raw[len(raw) // 2 : len(raw) // 2 + 50] = bytes(50)
    folder_of(tmp_path, a={"1.flac": bytes(raw)}, b={"1.wav": coded(TONE)})
    assert "1.flac: no recording that libsndfile can read" in refusal(read, tmp_path)


def test_a_flac_that_was_written_to_a_pipe_is_read_whole(tmp_path):
    raw = bytearray(coded(TONE, "FLAC"))
    raw[21] &= 0xF0  # of its 36 bits for the number of samples
    raw[22:26] = bytes(4)
    samples, said = one(tmp_path, bytes(raw), "1.flac")
    np.testing.assert_allclose(samples, TONE, atol=1e-4)
    assert "promise" not in said


def without_its_length(sound: np.ndarray) -> bytes:
    """An mp3 of many rates that lacks the frame which says how many there are."""
    raw = coded(sound, "MP3", 48_000)
    return raw[raw.index(b"\xff\xfb", 4) :]


def test_an_mp3_whose_length_is_guessed_too_short_is_refused(tmp_path):
    sound = 0.3 * np.sin(np.arange(480_000) / 20) + 0.01 * RNG.normal(size=480_000)
    folder_of(tmp_path, a={"1.mp3": without_its_length(sound)}, b={"1.wav": coded(TONE)})
    said = refusal(read, tmp_path)
    assert "1.mp3: does not say how long it is, and libsndfile reads" in said


def test_an_mp3_whose_length_is_guessed_too_long_is_read(tmp_path):
    sound = np.concatenate([np.zeros(80_000), np.tile(TONE, 40)])
    samples, said = one(tmp_path, without_its_length(sound), "1.mp3")
    assert len(samples) > 0.9 * len(sound) / 6
    assert "promise" not in said


@given(st.binary(max_size=80), st.sampled_from([b"RIFF", b"RIFX", b"FORM", b"OggS"]))
def test_whatever_a_header_says_no_byte_of_the_rest_changes(rest, kind):
    raw = kind + rest
    found = corrected(raw)
    assert len(found.raw) == len(raw)
    changed = [i for i, (a, b) in enumerate(zip(raw, found.raw, strict=True)) if a != b]
    assert not changed or changed[-1] - changed[0] < 4
    assert 0 <= found.beyond <= len(raw)


# -- channels ----------------------------------------------------------------------------------


def test_channels_that_cancel_out_are_not_mixed(tmp_path):
    antiphase = coded(np.stack([TONE, -TONE], axis=1))
    silent_first = coded(np.stack([0 * TONE, TONE, -TONE], axis=1))
    stereo = coded(np.stack([TONE, 0.5 * TONE], axis=1))
    found = read(
        folder_of(tmp_path, a={"1.wav": antiphase, "2.wav": silent_first}, b={"1.wav": stereo})
    )
    np.testing.assert_allclose(found.x[0][:, 0], TONE, atol=1e-4)
    np.testing.assert_allclose(found.x[1][:, 0], TONE, atol=1e-4)
    np.testing.assert_allclose(found.x[2][:, 0], 0.75 * TONE, atol=1e-4)
    assert "1 of 3 recordings mixed down to mono" in found.notes
    assert (
        "2 of 3 recordings have channels that cancel out when mixed; one channel of each is "
        "read: a/1.wav, a/2.wav"
    ) in found.notes
    np.testing.assert_array_equal(audio.read(tmp_path / "a" / "1.wav", 8000), found.x[0][:, 0])


@given(st.floats(-0.9, 0.9), st.floats(0, 1))
def test_channels_that_do_not_cancel_out_are_mixed(gain, other):
    sound = np.stack([TONE, gain * TONE, other * TONE], axis=1).astype(np.float32)
    raw = coded(sound, subtype="FLOAT")
    np.testing.assert_allclose(audio.decode(raw, "a", 8000), sound.mean(axis=1), atol=1e-6)


def test_silent_recordings_are_said(tmp_path):
    silent, stereo = coded(0 * TONE), coded(np.stack([0 * TONE] * 2, axis=1))
    sounds = {"1.wav": coded(TONE), "2.wav": stereo}
    found = read(folder_of(tmp_path, a={"1.wav": silent}, b=sounds))
    assert "2 of 3 recordings are silent from beginning to end: a/1.wav, b/2.wav" in found.notes
    assert not any("cancel" in note for note in found.notes)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_float_samples_that_are_no_numbers_are_refused(tmp_path, value):
    sound = TONE.copy()
    sound[-1] = value
    folder_of(tmp_path, a={"1.wav": coded(sound, subtype="FLOAT")}, b={"1.wav": coded(TONE)})
    assert "1.wav: samples are NaN or infinite" in refusal(read, tmp_path)


# -- codings, and what may vanish --------------------------------------------------------------


def test_all_codings_are_read_and_a_class_may_have_one_of_its_own(tmp_path):
    vorbis = coded(TONE, "OGG", subtype="VORBIS")
    folder_of(
        tmp_path,
        a={"1.wav": coded(TONE), "2.OGG": vorbis, "3.oga": vorbis},
        b={"1.flac": coded(TONE, "FLAC"), "2.opus": coded(TONE, "OGG", subtype="OPUS")},
        c={"1.mp3": coded(TONE, "MP3"), "2.mp3": coded(TONE, "MP3")},
    )
    found = read(tmp_path)
    assert found.y == ["a"] * 3 + ["b"] * 2 + ["c"] * 2
    for x in found.x:
        assert abs(len(x) - len(TONE)) < 2_000
        assert 0.1 < np.sqrt(np.mean(np.square(x))) < 0.4
    assert (
        "recordings are coded in 4 ways: 2 PCM_16, 2 VORBIS, 2 MPEG_LAYER_III, 1 OPUS"
        in found.notes
    )


@pytest.mark.parametrize("split", ["", "train"])
def test_a_class_that_would_vanish_is_an_error(tmp_path, split):
    folder_of(tmp_path / split, a={"1.wav": coded(TONE)}, b={"1.wav": coded(TONE)})
    folder_of(tmp_path / split, c={"1.m4a": b"x", "2.m4a": b"x", "notes.txt": b"x"})
    said = refusal(read, tmp_path)
    assert f"{tmp_path / split / 'c'}: none of its recordings can be read (1.m4a, 2.m4a)" in said
    assert "convert them to wav or flac" in said
    for path in (tmp_path / split / "c").iterdir():
        path.unlink()
    folder_of(tmp_path / split / "c", ann={"1.wav": coded(TONE)})
    said = refusal(read, tmp_path)
    assert f"{tmp_path / split / 'c'}: recordings lie deeper in it" in said


def test_a_split_that_would_vanish_is_an_error(tmp_path):
    sounds = {"1.wav": coded(TONE)}
    folder_of(tmp_path / "train", a=sounds, b=sounds)
    folder_of(tmp_path / "test", a={"1.m4a": b"x"}, b={"1.m4a": b"x"})
    assert f"{tmp_path / 'test'}: recordings lie deeper in it" in refusal(read, tmp_path)


def test_recordings_that_are_left_out_are_counted(tmp_path):
    sounds = {"1.wav": coded(TONE)}
    found = read(folder_of(tmp_path, a={**sounds, "2.m4a": b"x", "list.txt": b"x"}, b=sounds))
    assert found.y == ["a", "b"]
    assert (
        "not read, for only wav, flac, ogg, oga, opus, mp3 are: 1 of sound (a/2.m4a)" in found.notes
    )
    assert "1 stray file skipped: list.txt" in found.notes


def test_what_tells_the_class_and_is_no_sound_is_said(tmp_path):
    slow = {f"{i}.wav": coded(TONE) for i in range(6)}
    fast = {f"{i}.wav": coded(TONE, rate=16_000, subtype="PCM_24") for i in range(6)}
    found = read(folder_of(tmp_path / "told", a=slow, b=fast))
    said = " | ".join(found.notes)
    for words in (
        "the sampling rate may tell the class, and a net learn it rather than the sound: 8000 Hz: "
        "6 of 6 recordings are of class a",
        "16000 Hz: 6 of 6 recordings are of class b",
        "the coding may tell the class",
        "PCM_24: 6 of 6 recordings are of class b",
    ):
        assert words in said
    both = {**slow, **{f"fast{name}": raw for name, raw in fast.items()}}
    found = read(folder_of(tmp_path / "untold", a=both, b=both))
    assert not any("may tell" in note for note in found.notes)


# -- limits ------------------------------------------------------------------------------------


def test_more_samples_than_are_read_of_one_recording(tmp_path, monkeypatch):
    folder_of(tmp_path, a={"1.wav": coded(TONE)}, b={"1.wav": coded(TONE)})
    monkeypatch.setattr(audio, "MOST_SAMPLES", len(TONE) - 1)
    said = refusal(read, tmp_path)
    assert f"{tmp_path / 'a' / '1.wav'}: 8,000 samples at 8000 Hz in 1 channel(s)" in said


def test_an_hour_of_silence_in_a_small_flac_is_refused_before_it_is_decoded(tmp_path):
    raw = bytearray(coded(TONE, "FLAC", rate=1_000))
    raw[22:26] = struct.pack(">I", 3_600_001)
    folder_of(tmp_path, a={"1.flac": bytes(raw)}, b={"1.wav": coded(TONE)})
    assert "1.flac: 3,600,001 samples at 1000 Hz" in refusal(read, tmp_path)
