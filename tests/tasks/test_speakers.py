"""Speakers from raw waveforms: real recordings, the layouts of VCTK, recordings gone bad."""

from __future__ import annotations

import os
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from drnn_bench.formats.recordings import audio
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.speakers import Recording
from drnn_bench.tasks.task import SPLITS, data_hash
from tests.support.recordings import as_092, noise, small_vctk
from tests.support.refused import refusal

NAMES = ("ann", "ben", "cat", "dan", "eve", "flo")
FSDD_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset"
VCTK_URL = "https://datashare.ed.ac.uk/handle/10283/3443"


@pytest.fixture
def small(tmp_path) -> Path:
    """Six speakers as in FSDD, one digit, 12 recordings of 2,500 samples each."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for i, name in enumerate(NAMES):
        for index in range(12):
            soundfile.write(folder / f"0_{name}_{index}.wav", noise(2500, 100 * i + index), 8000)
    return tmp_path


def places(recordings: list[Recording]) -> dict[str, set[Path]]:
    return {split: {r.path for r in recordings if r.split == split} for split in SPLITS}


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.square(x, dtype=np.float64).mean()))


def check_arrays(task, arrays):
    """What holds for both tasks, whatever the recordings."""
    assert set(arrays) == set(SPLITS)
    for x, y in arrays.values():
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert x.shape == (len(y), task.length)
        assert np.isfinite(x).all()
        assert set(y) == set(range(task.output_size))
    assert rms(arrays["train"][0]) == pytest.approx(1, abs=1e-5)


# -- the real recordings -----------------------------------------------------------------------


def test_fsdd_has_the_sizes_that_its_protocol_gives(fsdd_dir):
    task = parse_task("speaker_fsdd")
    arrays = task.load(str(fsdd_dir))
    check_arrays(task, arrays)
    assert {split: len(x) for split, (x, _) in arrays.items()} == {
        "train": 3131, "validation": 411, "test": 393,
    }  # fmt: skip
    found = places(task.recordings(str(fsdd_dir)))
    assert [len(found[split]) for split in SPLITS] == [2400, 300, 300]


def test_fsdd_is_split_by_the_index_of_a_recording(fsdd_dir):
    recordings = parse_task("speaker_fsdd").recordings(str(fsdd_dir))
    assert recordings == sorted(recordings, key=lambda r: str(r.path))
    assert len({r.path for r in recordings}) == 3000
    for r in recordings:
        _, speaker, index = r.path.stem.split("_")
        assert r.speaker == speaker
        expected = "test" if int(index) < 5 else "validation" if int(index) < 10 else "train"
        assert r.split == expected


def test_fsdd_segments_are_the_recordings_one_after_the_other(fsdd_dir):
    task = parse_task("speaker_fsdd:rate=8000")  # their own rate: nothing is resampled
    x, y = task.load(str(fsdd_dir))["test"]
    chosen = [r for r in task.recordings(str(fsdd_dir)) if r.split == "test"]
    speakers = sorted({r.speaker for r in chosen})
    unit, row = None, 0
    for r in chosen:
        sound, rate = soundfile.read(r.path, dtype="float32")
        assert rate == 8000
        unit = unit or rms(sound[:1000]) / rms(x[row])
        for start in range(0, len(sound) - 999, 1000):
            np.testing.assert_allclose(x[row] * unit, sound[start : start + 1000], atol=1e-5)
            assert y[row] == speakers.index(r.speaker)
            row += 1
    assert row == len(x)


def test_fsdd_is_the_same_every_time_and_without_its_folder_recordings(fsdd_dir):
    task = parse_task("speaker_fsdd")
    once = data_hash(task.load(str(fsdd_dir)))
    assert data_hash(task.load(str(fsdd_dir))) == once
    assert data_hash(task.load(str(fsdd_dir / "recordings"))) == once


def test_the_vctk_sample_is_split_by_utterance(vctk_dir):
    task = parse_task("speaker_vctk:speakers=4")
    arrays = task.load(str(vctk_dir))
    check_arrays(task, arrays)
    assert {split: len(x) for split, (x, _) in arrays.items()} == {
        "train": 414, "validation": 83, "test": 54,
    }  # fmt: skip
    recordings = task.recordings(str(vctk_dir))
    assert len({r.path for r in recordings}) == 40
    for speaker in ("p225", "p226", "p227", "p228"):
        theirs = [r.split for r in recordings if r.speaker == speaker]
        assert [theirs.count(split) for split in SPLITS] == [8, 1, 1]


def test_fewer_speakers_of_vctk_are_the_first_with_the_same_splits(vctk_dir):
    four = parse_task("speaker_vctk:speakers=4").recordings(str(vctk_dir))
    two = parse_task("speaker_vctk:speakers=2").recordings(str(vctk_dir))
    assert two == [r for r in four if r.speaker in ("p225", "p226")]
    y = parse_task("speaker_vctk:speakers=2").load(str(vctk_dir))["test"][1]
    assert set(y) == {0, 1}


# -- the layouts of VCTK -----------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["", "VCTK-Corpus-0.92"])
def test_the_layout_of_092_gives_the_same_data_from_one_microphone(vctk_dir, tmp_path, inner):
    task = parse_task("speaker_vctk:speakers=4")
    as_092(vctk_dir, tmp_path / inner)
    used = [r.path.name for r in task.recordings(str(tmp_path))]
    assert len(used) == 40
    assert {name for name in used if "mic2" in name} == {n for n in used if n.startswith("p228")}
    assert data_hash(task.load(str(tmp_path))) == data_hash(task.load(str(vctk_dir)))


def test_a_speaker_heard_by_the_first_microphone_is_never_heard_by_the_second(tmp_path):
    folder = small_vctk(tmp_path, {"p225": 4, "s5": 4})
    for path in (folder / "wav48").rglob("*.wav"):
        path.rename(path.with_name(f"{path.stem}_mic1.wav"))
    only_second = folder / "wav48" / "s5" / "s5_009_mic2.wav"
    shutil.copy(folder / "wav48" / "s5" / "s5_001_mic1.wav", only_second)
    recordings = parse_task("speaker_vctk:speakers=2").recordings(str(folder))
    assert {r.speaker for r in recordings} == {"p225", "s5"}
    assert len(recordings) == 8
    assert only_second not in {r.path for r in recordings}


def test_p315_whom_the_hub_lacks_is_left_out_of_a_folder_too(tmp_path):
    folder = small_vctk(tmp_path, {"p314": 3, "p315": 3, "p316": 3})
    recordings = parse_task("speaker_vctk:speakers=2").recordings(str(folder))
    assert {r.speaker for r in recordings} == {"p314", "p316"}


@pytest.mark.parametrize(("count", "held_out"), [(3, 1), (10, 1), (16, 2), (40, 4)])
def test_a_tenth_of_the_utterances_is_held_out_twice_and_at_least_one(tmp_path, count, held_out):
    folder = small_vctk(tmp_path, {"p1": count, "p2": 3})
    recordings = parse_task("speaker_vctk:speakers=2").recordings(str(folder))
    theirs = [r.split for r in recordings if r.speaker == "p1"]
    assert [theirs.count(s) for s in SPLITS] == [count - 2 * held_out, held_out, held_out]


def test_what_does_not_fit_the_names_is_passed_over(small, tmp_path):
    task = parse_task("speaker_fsdd")
    before = task.recordings(str(small))
    for name in ("._0_ann_0.wav", "0_ann_1.wav.txt", "0_ann.wav", "ann_0_1.wav", "README.md"):
        (small / "recordings" / name).write_bytes(b"no sound")
    assert task.recordings(str(small)) == before

    folder = small_vctk(tmp_path / "vctk", {"p1": 3, "p2": 3})
    (folder / "wav48" / "p1" / "p2_004.wav").write_bytes(b"another speaker's")
    (folder / "wav48" / "p1" / "p1_004.txt").write_bytes(b"what was said")
    (folder / "wav48" / "log.txt").write_bytes(b"")
    assert len(parse_task("speaker_vctk:speakers=2").recordings(str(folder))) == 6


# -- decoding, resampling, cutting -------------------------------------------------------------


def test_stereo_and_other_rates_are_what_their_mono_at_8_khz_is(fsdd_dir, tmp_path):
    for name in ("0_george_0.wav", "7_jackson_32.wav", "3_theo_11.wav"):
        path = fsdd_dir / "recordings" / name
        mono, rate = soundfile.read(path)
        wanted = audio.read(path, 4000)
        assert wanted.dtype == np.float32
        fast = soxr.resample(mono, rate, 44_100, quality="VHQ")
        other = 0.3 * noise(len(fast))
        sounds = {
            "stereo": (np.stack([mono, mono], axis=1), rate),
            "fast": (fast, 44_100),
            "both": (np.stack([fast + other, fast - other], axis=1), 44_100),
        }
        for kind, (sound, its_rate) in sounds.items():
            soundfile.write(tmp_path / f"{kind}.wav", sound, its_rate, subtype="FLOAT")
            got = audio.read(tmp_path / f"{kind}.wav", 4000)
            assert abs(len(got) - len(wanted)) <= 1
            inner = slice(20, min(len(got), len(wanted)) - 20)  # beyond an end each has zeros
            assert rms(got[inner] - wanted[inner]) < 5e-3 * rms(wanted)


def test_a_tone_keeps_its_pitch_and_one_above_the_new_band_goes(tmp_path):
    seconds = np.arange(16_000) / 16_000
    for hertz, left in ((500, 1.0), (3_000, 0.0)):
        soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * hertz * seconds), 16_000)
        got = audio.read(tmp_path / "tone.wav", 4_000)
        assert len(got) == 4_000
        wanted = left * 0.5 * np.sin(2 * np.pi * hertz * np.arange(4_000) / 4_000)
        np.testing.assert_allclose(got[200:-200], wanted[200:-200], atol=2e-3)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "G721_32"])
def test_a_wav_may_be_coded_in_any_way(tmp_path, subtype):
    sound = 0.5 * np.sin(np.arange(4_800) / 5)
    soundfile.write(tmp_path / "coded.wav", sound, 8_000, subtype=subtype)
    got = audio.read(tmp_path / "coded.wav", 8_000)
    assert len(got) == 4_800
    assert rms(got - sound) < 0.05 * rms(sound)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9])
def test_recordings_are_cut_from_the_start_and_only_short_ones_are_padded(count):
    samples = np.arange(1, count + 1, dtype=np.float32)
    got = audio.cut(samples, 4)
    assert got.shape == (max(1, count // 4), 4)
    np.testing.assert_array_equal(got.ravel()[:count], samples[: got.size])
    assert not got.ravel()[count:].any()


def test_every_segment_is_known_by_its_recording(small):
    paths = sorted((small / "recordings").iterdir())[:3]
    soundfile.write(paths[1], noise(300), 8000)
    x, source = audio.segments(paths, rate=8000, length=1000)
    assert source.tolist() == [0, 0, 1, 2, 2]
    assert x[2, :300].any()
    assert not x[2, 300:].any()
    np.testing.assert_array_equal(x[3:].ravel(), audio.read(paths[2], 8000)[:2000])


def test_all_splits_are_divided_by_the_size_of_the_training_inputs(small):
    task = parse_task("speaker_fsdd:rate=8000")
    arrays = task.load(str(small))
    check_arrays(task, arrays)
    found = places(task.recordings(str(small)))
    raw = {split: audio.segments(sorted(found[split]), 8000, 1000)[0] for split in SPLITS}
    for split in SPLITS:
        np.testing.assert_allclose(arrays[split][0], raw[split] / rms(raw["train"]), rtol=1e-5)


# -- bad recordings ----------------------------------------------------------------------------

VICTIM = "0_cat_7.wav"


def wav(samples: np.ndarray, folder: Path, rate: int = 8000, **options) -> bytes:
    path = folder / "made.wav"
    soundfile.write(path, samples, rate, **options)
    return path.read_bytes()


def with_sample(value: float, folder: Path) -> bytes:
    samples = noise(2500)
    samples[-1] = value  # in the rest that is dropped: the recording is bad all the same
    return wav(samples, folder, subtype="FLOAT")


def promising(frames: int, folder: Path) -> bytes:
    """A flac whose header promises more samples than it has."""
    path = folder / "made.flac"
    soundfile.write(path, noise(2500), 8000)
    raw = bytearray(path.read_bytes())
    raw[22:26] = struct.pack(">I", frames)
    return bytes(raw)


BAD_RECORDINGS = {
    "empty": (lambda folder: b"", "the file is empty"),
    "a web page": (lambda folder: b"<!DOCTYPE html><title>404</title>", "no recording that"),
    "only a beginning": (lambda folder: wav(noise(2500), folder)[:20], "no recording that"),
    "cut": (lambda folder: wav(noise(2500), folder)[:3000], "2,956 bytes of samples, its header"),
    "nothing but a header": (lambda folder: wav(noise(2500), folder)[:44], "header promises 5,000"),
    "a header of zeros": (lambda folder: b"RIFF" + bytes(60), "no recording that"),
    "no samples": (lambda folder: wav(noise(0), folder), "no samples"),
    "too few to resample": (lambda folder: wav(noise(1), folder, 48_000), "leave none at 4000 Hz"),
    "NaN": (lambda folder: with_sample(np.nan, folder), "NaN or infinite"),
    "infinite": (lambda folder: with_sample(np.inf, folder), "NaN or infinite"),
    "an endless header": (lambda folder: promising(2**32 - 1, folder), "at most an hour"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", BAD_RECORDINGS)
def test_a_bad_recording_among_good_ones_is_named(small, tmp_path, case):
    content, says = BAD_RECORDINGS[case]
    path = small / "recordings" / VICTIM
    path.write_bytes(content(tmp_path))
    said = refusal(parse_task("speaker_fsdd").load, str(small))
    assert str(path) in said
    assert says in said
    assert re.search(r"fetch it again|remove|of one recording", said)


def test_a_cut_flac_is_named(tmp_path):
    folder = small_vctk(tmp_path, {"p1": 3, "p2": 3})
    path = folder / "wav48" / "p1" / "p1_004.flac"
    soundfile.write(path, noise(20_000), 16_000)
    path.write_bytes(path.read_bytes()[:15_000])
    said = refusal(parse_task("speaker_vctk:speakers=2").load, str(folder))
    assert str(path) in said
    assert "its header promises 20,000; fetch it again" in said


def test_a_recording_that_is_a_folder_or_is_not_readable_is_named(small):
    path = small / "recordings" / VICTIM
    path.unlink()
    path.mkdir()
    said = refusal(parse_task("speaker_fsdd").load, str(small))
    assert f"{path} is no file" in said
    path.rmdir()
    os.symlink(small / "nowhere.wav", path)
    said = refusal(parse_task("speaker_fsdd").load, str(small))
    assert f"{path}: cannot be read (No such file or directory)" in said


def test_a_wav_that_was_written_to_a_pipe_is_read(small):
    path = small / "recordings" / VICTIM
    task = parse_task("speaker_fsdd")
    whole = data_hash(task.load(str(small)))
    raw = bytearray(path.read_bytes())
    raw[4:8] = raw[40:44] = b"\xff" * 4
    path.write_bytes(raw)
    assert data_hash(task.load(str(small))) == whole


def test_silence_in_all_of_training_is_refused(small):
    for path in (small / "recordings").iterdir():
        soundfile.write(path, np.zeros(2500), 8000)
    said = refusal(parse_task("speaker_fsdd").load, str(small))
    assert str(small) in said
    assert "silent" in said


# -- bad folders and options -------------------------------------------------------------------


def test_fsdd_needs_a_folder():
    said = refusal(parse_task("speaker_fsdd").load, None)
    assert all(word in said for word in ("speaker_fsdd", "--data-dir", FSDD_URL, "pixel_digits"))


@pytest.mark.parametrize(
    ("spec", "url"), [("speaker_fsdd", FSDD_URL), ("speaker_vctk:speakers=4", VCTK_URL)]
)
def test_a_folder_without_recordings_is_refused(spec, url, tmp_path):
    task = parse_task(spec)
    said = refusal(task.load, str(tmp_path / "none"))
    assert f"data folder {tmp_path / 'none'} does not exist" in said
    (tmp_path / "file").write_bytes(b"")
    assert str(tmp_path / "file") in refusal(task.load, str(tmp_path / "file"))
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "notes.wav").write_bytes(b"")
    (tmp_path / "wav48" / "p225").mkdir(parents=True)
    said = refusal(task.load, str(tmp_path))
    assert f"data folder {tmp_path} has no recordings" in said
    assert url in said


def test_another_number_of_speakers_is_refused(small):
    for path in (small / "recordings").glob("*_flo_*"):
        path.unlink()
    said = refusal(parse_task("speaker_fsdd").load, str(small))
    assert f"{small} has 5 speakers, expected 6" in said
    assert "ann, ben, cat, dan, eve" in said


def test_fewer_speakers_than_asked_for_are_counted(tmp_path):
    folder = small_vctk(tmp_path, {"p1": 3, "p2": 3, "p3": 3})
    said = refusal(parse_task("speaker_vctk").load, str(folder))
    assert f"{folder} has 3 speakers, expected 108" in said
    assert "speaker_vctk:speakers=3" in said

    alone = refusal(parse_task("speaker_vctk").load, str(small_vctk(tmp_path / "one", {"p1": 3})))
    assert "has 1 speakers, expected 108" in alone
    assert "speakers=1" not in alone
    assert VCTK_URL in alone


def test_a_speaker_who_is_not_in_every_split_is_named(small, tmp_path):
    for index in range(5, 10):
        (small / "recordings" / f"0_dan_{index}.wav").unlink()
    said = refusal(parse_task("speaker_fsdd").load, str(small))
    assert str(small) in said
    assert "speaker dan has 7 recordings, none for validation" in said
    assert "5 to 9 validation" in said

    folder = small_vctk(tmp_path / "vctk", {"p1": 3, "p2": 2})
    said = refusal(parse_task("speaker_vctk:speakers=2").load, str(folder))
    assert str(folder) in said
    assert "speaker p2 has 2 recordings, none for train" in said
    assert "at least three" in said


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("speaker_fsdd:rate=0", "rate must be 1 to 192000, got 0"),
        ("speaker_fsdd:rate=192001", "rate must be 1 to 192000, got 192001"),
        ("speaker_vctk:rate=-8000", "rate must be 1 to 192000, got -8000"),
        ("speaker_fsdd:length=0", "length must be 1 to 240000, got 0"),
        ("speaker_vctk:length=480001", "length must be 1 to 480000, got 480001"),
        ("speaker_vctk:speakers=1", "speakers must be at least 2, got 1"),
        ("speaker_vctk:speakers=all", "speakers=all is no "),
        ("speaker_fsdd:speakers=6", "no option 'speakers'"),
    ],
)
def test_options_that_cannot_be_are_said_in_one_line(spec, says):
    said = refusal(parse_task, spec)
    assert says in said
    assert spec.partition(":")[0] in said


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ("speaker_fsdd", "speaker_fsdd:rate=4000,length=1000"),
        ("speaker_fsdd:length=7,rate=192000", "speaker_fsdd:rate=192000,length=7"),
        ("speaker_vctk", "speaker_vctk:rate=8000,length=4000,speakers=108"),
        ("speaker_vctk:speakers=9", "speaker_vctk:rate=8000,length=4000,speakers=9"),
    ],
)
def test_options_are_read_back_from_the_key(spec, key):
    task = parse_task(spec)
    assert task.key == key
    assert parse_task(key) == task


def test_the_options_decide_the_sizes():
    assert parse_task("speaker_fsdd:length=7").length == 7
    assert parse_task("speaker_fsdd").output_size == 6
    assert parse_task("speaker_vctk").output_size == 108
    assert parse_task("speaker_vctk:speakers=9").output_size == 9
