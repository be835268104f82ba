"""Folders of recordings: one for each class, and splits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

from tests.support.reading import read, written
from tests.support.refused import refusal


def recording(path: Path, rate: int = 8000, channels: int = 1, seconds: float = 0.05) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.3 * np.sin(np.arange(int(rate * seconds)) * 2000 / rate)
    soundfile.write(path, np.stack([sound] * channels, axis=1), rate, subtype="PCM_16")
    return path


def test_a_folder_of_recordings_for_each_class(tmp_path):
    paths = [
        recording(tmp_path / "cat" / "1.wav"),
        recording(tmp_path / "cat" / "2.WAV", channels=2),
        recording(tmp_path / "dog" / "1.flac", rate=16_000),
        recording(tmp_path / "dog" / "2.wav", rate=4_000),
    ]
    written(tmp_path / "cat" / ".DS_Store", "x")
    written(tmp_path / "cat" / "._1.wav", "x")
    written(tmp_path / "labels.csv", "file,label\n")
    (tmp_path / "none").mkdir()
    found = read(tmp_path)
    assert found.recordings
    assert found.y == ["cat", "cat", "dog", "dog"]
    assert found.where == [str(path) for path in paths]
    assert found.split == [None] * 4
    assert found.notes == (
        "4 recordings at 8000 Hz",
        "2 of 4 recordings resampled from 4000 and 16000 to 8000 Hz",
        "1 of 4 recordings mixed down to mono",
        "1 stray file skipped: labels.csv",
        "1 stray folder skipped: none",
        "2 hidden files skipped: .DS_Store, ._1.wav",
    )
    assert [x.shape for x in found.x] == [(400, 1)] * 4
    np.testing.assert_array_equal(found.x[0], found.x[1])
    for x in found.x[2:]:
        np.testing.assert_allclose(x[50:-50], found.x[0][50:-50], atol=0.02)
    at_4 = read(tmp_path, rate=4000)
    assert {len(x) for x in at_4.x} == {200}
    assert "3 of 4 recordings resampled from 8000 and 16000 to 4000 Hz" in at_4.notes


def test_recordings_in_splits(tmp_path):
    for split in ("train", "val", "test"):
        for label in ("cat", "dog"):
            recording(tmp_path / split / label / "1.wav")
    found = read(tmp_path)
    assert Counter(zip(found.split, found.y, strict=True)) == dict.fromkeys(
        [(s, y) for s in ("train", "validation", "test") for y in ("cat", "dog")], 1
    )
    recording(tmp_path / "bird" / "1.wav")
    assert "has splits and beside them recordings in bird" in refusal(read, tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    recording(tmp_path / "train" / "1.wav")
    recording(tmp_path / "plane" / "1.wav")
    found = read(tmp_path)
    assert (found.y, found.split) == (["plane", "train"], [None, None])


def test_wrong_recordings_are_one_line(tmp_path):
    for i in range(3):
        recording(tmp_path / "cat" / f"{i}.wav")
    bad = tmp_path / "cat" / "1.wav"
    for content in (b"", b"RIFF", b"words and words", bad.read_bytes()[:44]):
        assert str(bad) in refusal(read, written(bad, content).parent.parent)
    bad.unlink()
    bad.symlink_to(tmp_path / "gone.wav")
    assert str(bad) in refusal(read, tmp_path)
    said = refusal(read, tmp_path / "cat")
    assert str(tmp_path / "cat") in said
    assert "FOLDER/CLASS/*.wav" in said
    assert "FOLDER/CLASS/*.wav" in refusal(read, tmp_path / "cat" / "0.wav")
    for rate in (0, -1, 10**6):
        assert "rate must be 1 to 192000" in refusal(lambda rate=rate: read(tmp_path, rate=rate))
