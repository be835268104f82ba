"""Data from the hub: small files of the same columns and layout, served from disk.

`datasets` takes the path of a folder for a repository's name, so the constants that name the
repositories are all that a test changes. The whole way over HTTP, into the cache and out of it
without a network, runs against `hub.py` in processes of its own.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shlex
import signal
import string
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Audio, ClassLabel, Features, Image, Value

from drnn_bench.tasks import characters, sources, speakers
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS, data_hash
from tests.support.command import ROOT, command
from tests.support.hub import serving
from tests.support.recordings import as_092, noise, small_vctk
from tests.support.refused import refusal

UNAIDED = "pixel_digits, copy_memory, adding and mackey_glass need no data"
MNIST, PTB, VCTK = "ylecun/mnist", "ptb-text-only/ptb_text_only", "CSTR-Edinburgh/vctk"

MNIST_COLUMNS = Features(
    {"image": Image(), "label": ClassLabel(names=[str(digit) for digit in range(10)])}
)
MNIST_CARD = """---
configs:
- config_name: mnist
  data_files:
  - split: train
    path: mnist/train-*
  - split: test
    path: mnist/test-*
---
"""
PTB_COLUMNS = Features({"sentence": Value("string")})
VCTK_COLUMNS = Features(
    {"speaker_id": Value("string"), "audio": Audio(sampling_rate=48_000)}
    | dict.fromkeys(
        ("file", "text", "text_id", "age", "gender", "accent", "region", "comment"),
        Value("string"),
    )
)
VCTK_FILE = "main/train/0000.parquet"


def write(path: Path, columns: Features, rows: list[dict]) -> Path:
    """A parquet file as `datasets` makes them, in more than one row group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=columns.arrow_schema)
    pq.write_table(table, path, row_group_size=10)
    return path


@pytest.fixture
def local(tmp_path, monkeypatch) -> Path:
    """A folder of repositories, which the tasks now take for the hub's; and an empty cache."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    root = tmp_path / "hub"
    for module, constant, name in (
        (sources, "MNIST_HUB", MNIST), (characters, "PTB_HUB", PTB), (speakers, "VCTK_HUB", VCTK),
    ):  # fmt: skip
        assert getattr(module, constant) == name
        (root / name).mkdir(parents=True)
        monkeypatch.setattr(module, constant, str(root / name))
    return root


# -- MNIST -------------------------------------------------------------------------------------


def small_mnist(seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {
        split: (rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count) % 10)
        for split, count in (("train", 24), ("test", 12))
    }


def mnist_on_hub(repository: Path) -> Path:
    for split, (images, labels) in small_mnist().items():
        rows = []
        for image, label in zip(images, labels, strict=True):
            file = io.BytesIO()
            PIL.Image.fromarray(image).save(file, "PNG")
            rows.append({"image": {"bytes": file.getvalue(), "path": None}, "label": int(label)})
        write(repository / "mnist" / f"{split}-00000-of-00001.parquet", MNIST_COLUMNS, rows)
    (repository / "README.md").write_text(MNIST_CARD)
    return repository


def mnist_folder(folder: Path) -> Path:
    """The same as idx files."""
    folder.mkdir()
    names = iter(sources.MNIST_FILES)
    for arrays in small_mnist().values():
        for array in arrays:
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / next(names)).write_bytes(header + array.astype(np.uint8).tobytes())
    return folder


def test_mnist_from_the_hub_is_the_same_as_from_its_files(local, tmp_path):
    mnist_on_hub(local / MNIST)
    task = parse_task("pixel_mnist")
    got = data_hash(task.load(None))
    assert got == data_hash(task.load(str(mnist_folder(tmp_path / "mnist"))))


def test_an_image_that_is_none_is_said_in_one_line(local):
    mnist_on_hub(local / MNIST)
    row = {"image": {"bytes": b"<html>404</html>", "path": None}, "label": 0}
    write(local / MNIST / "mnist" / "test-00000-of-00001.parquet", MNIST_COLUMNS, [row])
    said = refusal(parse_task("pixel_mnist").load, None)
    assert f"{local / MNIST}: its rows cannot be read (cannot identify image file" in said
    assert UNAIDED in said


# -- Penn Treebank -----------------------------------------------------------------------------


def sentences() -> dict[str, list[str]]:
    """Words of no language, in as many characters as Penn Treebank has: 48, space and line end."""
    rng = random.Random(0)
    known = string.ascii_lowercase + string.digits + "#$&'*-./<>N\\"
    texts = {}
    for split in SPLITS:
        words = ["".join(rng.choices(known, k=rng.randint(1, 9))) for _ in range(600)]
        words.append(known)
        texts[split] = [" ".join(words[i : i + 8]) for i in range(0, len(words), 8)]
    return texts


def ptb_on_hub(repository: Path) -> Path:
    for split, lines in sentences().items():
        rows = [{"sentence": line} for line in lines]
        write(repository / "penn_treebank" / split / "0000.parquet", PTB_COLUMNS, rows)
    return repository


def ptb_folder(folder: Path, form: str = "ptb") -> Path:
    """The same in Mikolov's word form, each line between spaces; or in the character form."""
    folder.mkdir()
    for split, lines in sentences().items():
        if form == "ptb":
            lines = [f" {line} " for line in lines]
        else:
            lines = [" ".join(line.replace(" ", "_")) for line in lines]
        name = f"{form}.{characters.PTB_PARTS[split]}.txt"
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.mark.parametrize("form", ["ptb", "ptb.char"])
def test_penn_treebank_from_the_hub_is_the_same_as_from_its_files(local, tmp_path, form):
    ptb_on_hub(local / PTB)
    task = parse_task("char_ptb")
    got = data_hash(task.load(None))
    assert got == data_hash(task.load(str(ptb_folder(tmp_path / "ptb", form))))


def test_another_text_or_column_in_its_place_is_said_in_one_line(local):
    files = [local / PTB / "penn_treebank" / split / "0000.parquet" for split in SPLITS]
    for path in files:
        write(path, PTB_COLUMNS, [{"sentence": "no such text"}])
    said = refusal(parse_task("char_ptb").load, None)
    assert f"{local / PTB}: 11 different characters, Penn Treebank has 50" in said
    for path in files:
        write(path, Features({"line": Value("string")}), [{"line": "no such column"}])
    said = refusal(parse_task("char_ptb").load, None)
    assert str(local / PTB) in said
    assert "sentence" in said


# -- VCTK --------------------------------------------------------------------------------------


def vctk_rows(folder: Path) -> list[dict]:
    """Every recording of a folder as the hub has it, in no order."""
    rows = []
    for path in sorted(folder.rglob("p*_*.*")) + sorted(folder.rglob("s*_*.*")):
        speaker, text = path.stem.split("_")[:2]
        audio = {"bytes": path.read_bytes(), "path": path.name}
        row = dict.fromkeys(VCTK_COLUMNS, "") | {"speaker_id": speaker, "text_id": text}
        rows.append(row | {"audio": audio, "file": f"/downloads/vctk/{speaker}/{path.name}"})
    random.Random(0).shuffle(rows)
    return rows


def vctk_on_hub(repository: Path, rows: list[dict]) -> Path:
    half = len(rows) // 2
    write(repository / "main/train/0000.parquet", VCTK_COLUMNS, rows[:half])
    write(repository / "main/train/0001.parquet", VCTK_COLUMNS, rows[half:])
    return repository


def two_microphones(folder: Path) -> Path:
    """Four speakers in the layout of 0.92, the last of them with the second microphone only."""
    small_vctk(folder / "old", {"p225": 12, "p226": 5, "p300": 4, "s5": 3})
    for path in sorted((folder / "old").rglob("*.wav")):
        place = folder / "wav48_silence_trimmed" / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        sound, rate = soundfile.read(path)
        for microphone in (2,) if place.name == "s5" else (1, 2):
            soundfile.write(place / f"{path.stem}_mic{microphone}.flac", sound / microphone, rate)
        path.unlink()
    return folder


def test_vctk_from_the_hub_is_the_same_as_from_its_folder(local, tmp_path):
    folder = two_microphones(tmp_path)
    rows = vctk_rows(folder)
    for row in rows:  # none of these is wanted, so none is decoded
        if row["file"].endswith("_mic2.flac") and row["speaker_id"] != "s5":
            row["audio"]["bytes"] = b"not to be read"
    vctk_on_hub(local / VCTK, rows)
    for count in (4, 3, 2):
        task = parse_task(f"speaker_vctk:speakers={count},length=1000")
        assert data_hash(task.load(None)) == data_hash(task.load(str(folder)))
        used = [r.path.name for r in task.recordings(None)]
        assert used == [r.path.name for r in task.recordings(str(folder))]
    assert "torchcodec" not in sys.modules


def test_file_names_without_a_microphone_are_those_of_080(local, tmp_path):
    folder = small_vctk(tmp_path, {"p225": 4, "p226": 3})
    vctk_on_hub(local / VCTK, vctk_rows(folder))
    task = parse_task("speaker_vctk:speakers=2")
    assert data_hash(task.load(None)) == data_hash(task.load(str(folder)))


def test_the_vctk_sample_is_the_same_from_the_hub(vctk_dir, local, tmp_path):
    vctk_on_hub(local / VCTK, vctk_rows(as_092(vctk_dir, tmp_path / "vctk")))
    task = parse_task("speaker_vctk:speakers=4")
    assert data_hash(task.load(None)) == data_hash(task.load(str(vctk_dir)))


def flac(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="FLAC")
    return file.getvalue()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (None, "the file is empty"),
        (b"<html>404</html>", "no recording that libsndfile can read"),
        (flac(noise(20_000))[:15_000], ""),
    ],
)
def test_a_row_whose_bytes_are_bad_is_named(local, tmp_path, raw, says):
    rows = vctk_rows(small_vctk(tmp_path, {"p225": 3, "p226": 3}))
    bad = next(row for row in rows if row["file"].endswith("p226_002.wav"))
    bad["audio"]["bytes"] = raw
    vctk_on_hub(local / VCTK, rows)
    said = refusal(parse_task("speaker_vctk:speakers=2").load, None)
    assert f"{local / VCTK}, speaker p226, p226_002.wav: {says}" in said


def test_too_few_speakers_or_utterances_are_said_before_a_recording_is_fetched(local, tmp_path):
    rows = vctk_rows(small_vctk(tmp_path, {"p225": 3, "p226": 2}))
    for row in rows:
        row["audio"]["bytes"] = b"not to be read"
    vctk_on_hub(local / VCTK, rows)
    said = refusal(parse_task("speaker_vctk").load, None)
    assert f"{local / VCTK} has 2 speakers, expected 108" in said
    assert "speaker_vctk:speakers=2" in said
    said = refusal(parse_task("speaker_vctk:speakers=2").load, None)
    assert f"{local / VCTK}: speaker p226 has 2 recordings, none for train" in said


def test_silence_in_all_of_training_is_refused(local, tmp_path):
    rows = vctk_rows(small_vctk(tmp_path, {"p225": 3, "p226": 3}))
    for row in rows:
        row["audio"]["bytes"] = flac(np.zeros(9000))
    vctk_on_hub(local / VCTK, rows)
    said = refusal(parse_task("speaker_vctk:speakers=2").load, None)
    assert f"{local / VCTK}: all training recordings are silent" in said


def test_a_damaged_parquet_file_is_said_in_one_line(local, tmp_path):
    vctk_on_hub(local / VCTK, vctk_rows(small_vctk(tmp_path, {"p225": 3, "p226": 3})))
    path = local / VCTK / VCTK_FILE
    path.write_bytes(path.read_bytes()[:-100])
    assert str(local / VCTK) in refusal(parse_task("speaker_vctk:speakers=2").load, None)


# -- over HTTP, and without a network ----------------------------------------------------------

TASKS = {"pixel_mnist": MNIST, "char_ptb": PTB, "speaker_vctk:speakers=4": VCTK}
LOAD = """
import json, sys
from drnn_bench.errors import UserError
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import data_hash
said = {}
for spec in sys.argv[1:]:
    try:
        said[spec] = data_hash(parse_task(spec).load(None))
    except UserError as error:
        said[spec] = str(error)
print(json.dumps(said))
"""


def environment(**more: str) -> dict[str, str]:
    hidden = ("HF_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(hidden)}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"} | more


def load(*specs: str, **more: str) -> dict[str, str]:
    """What each task's data hashes to, or what it is refused with, in a process of its own."""
    words = [sys.executable, "-c", LOAD, *specs]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(**more))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_missing_is_fetched_as_said_and_then_read_without_a_network(tmp_path):
    home, root = tmp_path / "hf", tmp_path / "hub"
    folders = [tmp_path / "mnist", tmp_path / "ptb", two_microphones(tmp_path / "vctk")]
    mnist_folder(folders[0]), ptb_folder(folders[1])
    wanted = {
        spec: data_hash(parse_task(spec).load(str(folder)))
        for spec, folder in zip(TASKS, folders, strict=True)
    }
    mnist_on_hub(root / MNIST / "main")
    ptb_on_hub(root / PTB / "refs/convert/parquet")
    vctk_on_hub(root / VCTK / "refs/convert/parquet", vctk_rows(folders[2]))
    for name in (PTB, VCTK):  # where the hub has a loading script, which `datasets` refuses
        (root / name / "main").mkdir()
        (root / name / "main" / f"{Path(name).name}.py").touch()

    refused = load(*TASKS, HF_HOME=str(home), HF_DATASETS_OFFLINE="1")
    for spec, name in TASKS.items():
        said = refused[spec]
        assert len(said.splitlines()) == 1
        assert said.startswith(f"{name} is not in the datasets cache")
        assert "--data-dir" in said
        assert said.endswith(UNAIDED)
    fetch = [re.search(r'python -c "[^"]+"', said)[0] for said in refused.values()]

    with serving(root) as address:
        online = {"HF_HOME": str(home), "HF_ENDPOINT": address}
        streamed = load("speaker_vctk:speakers=4", **online)
        assert streamed.items() <= wanted.items()
        assert not list(home.rglob("*.arrow"))
        running = [
            subprocess.Popen(
                [sys.executable, *shlex.split(words)[1:]],
                env=environment(**online), stderr=subprocess.PIPE, text=True,
            )
            for words in fetch
        ]  # fmt: skip
        for process in running:
            _, said = process.communicate()
            # pyarrow may abort when Python ends, with all that it read written.
            assert process.returncode in (0, -signal.SIGABRT), said

    assert load(*TASKS, **online) == wanted  # nobody answers at that address any more


def test_a_hub_that_answers_with_an_error_is_said_in_one_line(tmp_path):
    with serving(tmp_path) as address:
        done = subprocess.run(
            command("run", "--task", "char_ptb", "--dry-run"), capture_output=True, text=True,
            cwd=tmp_path, env=environment(HF_HOME=str(tmp_path / "hf"), HF_ENDPOINT=address),
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    for word in (PTB, "doesn't exist on the Hub", "--data-dir", "refs/convert/parquet", UNAIDED):
        assert word in done.stderr
