"""The tasks: one contract for all of them, then what is special about each, then bad data."""

from __future__ import annotations

import gzip
import math
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from drnn_bench.errors import UserError
from drnn_bench.formats.idx import read_idx
from drnn_bench.tasks.copy_memory import CopyMemory
from drnn_bench.tasks.names import DEFAULT_TASK, TASKS
from drnn_bench.tasks.pixels import DIGITS
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.sources import MNIST_FILES, mnist
from drnn_bench.tasks.task import SPLITS, UNSCORED, data_hash
from drnn_bench.testing import TaskContract
from drnn_bench.testing.tasks import Source
from drnn_bench.training.scoring import evaluate, inputs
from tests.support.refused import refusal

# What is downloaded elsewhere comes from a fixture here, and skips where that finds nothing.
FOLDERS = {
    "pixel_mnist": "mnist_dir",
    "pixel_mnist_permuted": "mnist_dir",
    "pixel_mnist_noisy": "mnist_dir",
    "char_ptb": "ptb_dir",
    "char_text": "shakespeare_dir",
    "speaker_fsdd": "fsdd_dir",
    "speaker_vctk": "vctk_dir",
    "own": "ucr_dir",
}
OPTIONS = {
    "adding": ":T=9",  # small
    "mackey_glass": ":T=6",
    "own": ":path=JapaneseVowels_TRAIN.ts",
    "char_text": ":path=input.txt",  # what has no default
    "speaker_vctk": ":speakers=4",  # the sample's
}


class TestEveryTask(TaskContract):
    @pytest.fixture(params=TASKS)
    def source(self, request) -> Source:
        fixture = FOLDERS.get(request.param)
        folder = request.getfixturevalue(fixture) if fixture else None
        return Source(request.param + OPTIONS.get(request.param, ""), folder and str(folder))

    def test_has_the_first_and_the_last_class_in_every_split(self, source):
        task = source.task
        sizes = {split: len(x) for split, (x, *_) in source.load().items()}
        assert (
            max(sizes, key=sizes.get) == "train" or task.name == "own"
        )  # splits as they are given
        for split, (x, y, *_) in source.load().items():
            if task.target_form.kind == "classes" and (not task.stream or split == "train"):
                scored = y[y != UNSCORED]
                assert (scored.min(), scored.max()) == (0, task.output_size - 1)
                assert not task.one_hot or x.max() == task.input_size - 1


# -- the cache ---------------------------------------------------------------------------------


def test_a_cache_that_a_killed_process_left_half_written_does_no_harm(tmp_path):
    task = parse_task("pixel_digits")
    whole = prepare(task, None, tmp_path / "a")
    stray = tmp_path / "b" / ".partial-dead"
    stray.mkdir(parents=True)
    half = (Path(whole.folder) / "train_x.npy").read_bytes()[:100]
    (stray / "train_x.npy").write_bytes(half)
    again = prepare(task, None, tmp_path / "b")
    assert again.data_hash == whole.data_hash
    assert data_hash(again.arrays()) == whole.data_hash
    left = [".partial-dead", Path(whole.folder).name]
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == left
    assert (stray / "train_x.npy").read_bytes() == half


def test_many_that_prepare_at_once_end_with_one_whole_copy(tmp_path):
    source, results = Source("copy_memory:T=500"), []
    source.load()
    together = threading.Barrier(5)

    class Gathered(CopyMemory):
        def load(self, data_dir):
            together.wait()  # so that all of them find the cache empty
            return source.load()

    def work():
        results.append(prepare(Gathered(), None, tmp_path))

    crowd = [threading.Thread(target=work) for _ in range(5)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    (whole,) = tmp_path.iterdir()
    assert [prepared.folder for prepared in results] == [str(whole)] * 5
    assert data_hash(results[0].arrays()) == source.hash


def test_the_hash_sees_types_shapes_and_which_split_is_which():
    def hashed(x, y=None, swap=False):
        y = np.zeros(2, np.int64) if y is None else y
        other = (np.ones((2, 4), np.uint8), y)
        train, test = (other, (x, y)) if swap else ((x, y), other)
        return data_hash({"train": train, "validation": other, "test": test})

    x = np.arange(8, dtype=np.uint8).reshape(2, 4)
    hashes = [
        hashed(x),
        hashed(x.reshape(2, 2, 2)),
        hashed(x.view(np.int8)),
        hashed(x, y=np.zeros(2, np.int32)),
        hashed(x, swap=True),
    ]
    assert len(set(hashes)) == len(hashes)
    # ... but not how an array lies in memory.
    assert hashed(np.asfortranarray(x)) == hashes[0]
    assert hashed(x.repeat(2, axis=1)[:, ::2]) == hashes[0]


# -- each task ---------------------------------------------------------------------------------


def test_the_default_task_needs_no_download():
    assert DEFAULT_TASK not in FOLDERS


def test_pixel_digits_is_every_digit_of_scikit_learn_once():
    arrays = Source("pixel_digits").load()
    assert {split: len(x) for split, (x, _) in arrays.items()} == {
        "train": 1197, "validation": 240, "test": 360,
    }  # fmt: skip
    digits = load_digits()
    with np.load(DIGITS) as file:
        assert np.array_equal(file["images"], digits.data)
        assert np.array_equal(file["labels"], digits.target)
    ours = [(*x, y) for xs, ys in arrays.values() for x, y in zip(xs, ys, strict=True)]
    theirs = [(*x, y) for x, y in zip(digits.data.astype(int), digits.target, strict=True)]
    assert sorted(ours) == sorted(theirs)
    assert len(ours) == 1797


def test_pixel_digits_are_in_an_order_of_their_own():
    # In scikit-learn's order writers follow one another: a plain cut would test on other writers.
    first = load_digits().data[:1197].astype(int)
    assert not np.array_equal(Source("pixel_digits").load()["train"][0], first)
    for _, y in Source("pixel_digits").load().values():
        assert set(np.unique(y)) == set(range(10))


def test_pixels_are_scaled_to_at_most_one():
    task = parse_task("pixel_digits")
    x = inputs(task, Source("pixel_digits").load()["train"][0], "cpu")
    assert (x.min(), x.max()) == (0, 1)


@pytest.mark.parametrize("T", [1, 5, 500])
def test_copy_memory_is_laid_out_as_documented(T):
    task = parse_task(f"copy_memory:T={T}")
    assert task.length == T + 20
    arrays = Source(task.key).load()
    assert [len(arrays[split][0]) for split in SPLITS] == [20_000, 1_000, 2_000]
    for x, y in arrays.values():
        assert x.shape == (len(y), T + 20)
        np.testing.assert_array_equal(x[:, :10], y)  # ten symbols, asked for again at the end
        assert y.shape[1] == 10
        assert y.min() == 0
        assert y.max() == 7
        assert (x[:, 10 : 10 + T - 1] == 8).all()  # T-1 blanks
        assert (x[:, -11:] == 9).all()  # eleven markers
        assert x[:, 10 + T - 1 :].shape[1] == 11


def test_copy_memory_draws_all_symbols_alike():
    for _, y in Source("copy_memory:T=5").load().values():
        counts = np.bincount(y.ravel(), minlength=8)
        # Each is binomial; five standard deviations are never left by chance.
        spread = math.sqrt(y.size * 1 / 8 * 7 / 8)
        assert np.abs(counts - y.size / 8).max() < 5 * spread


def test_no_sequence_of_copy_memory_is_in_two_splits():
    arrays = Source("copy_memory:T=1").load()
    seen = [{row.tobytes() for row in x} for x, _ in arrays.values()]
    assert sum(map(len, seen)) == len(set().union(*seen))


class Guess(nn.Module):
    """Finds all symbols equally likely."""

    def forward(self, x_BTI, last):
        return torch.zeros(len(x_BTI), last, 8)


@pytest.mark.parametrize("T", [1, 50, 1000])
def test_copying_is_solved_at_as_many_nats_a_symbol_whichever_steps_are_scored(T):
    last, every = CopyMemory(T=T), CopyMemory(T=T, loss="all")
    assert last.solved_at == 0.01 < math.log(8)
    # A net that is right about the blanks pays for the ten symbols alone.
    assert every.solved_at * every.length == pytest.approx(10 * last.solved_at)
    assert (last.target_value, every.target_value) == (last.solved_at, every.solved_at)


@pytest.mark.parametrize("name", [name for name in TASKS if name != "own"])
def test_a_target_is_better_than_guessing_and_no_more_than_perfect(name):
    task = parse_task(name)
    if task.target_value is not None:
        perfect, guessing = (1, 1 / task.output_size) if task.metric == "accuracy" else (0, 1)
        assert min(perfect, guessing) < task.target_value < max(perfect, guessing)


def test_guessing_at_copy_memory_costs_ln_8():
    task = parse_task("copy_memory:T=5")
    x, y = Source(task.key).load()["test"]
    metrics = evaluate(Guess(), task, (x, y))
    assert metrics.cross_entropy == pytest.approx(math.log(8), abs=1e-6)
    assert metrics.cross_entropy == pytest.approx(2.0794, abs=5e-5)
    assert metrics.accuracy == pytest.approx(1 / 8, abs=0.02)


@pytest.mark.parametrize("T", [0, -3])
def test_copy_memory_needs_at_least_one_step(T):
    assert "T must be at least 1" in refusal(parse_task, f"copy_memory:T={T}")


def test_pixel_mnist_holds_out_the_first_5000_for_validation(mnist_dir):
    arrays = Source("pixel_mnist", str(mnist_dir)).load()
    assert [len(arrays[split][0]) for split in SPLITS] == [55_000, 5_000, 10_000]
    files = {name: read_idx(mnist_dir / f"{name}.gz") for name in MNIST_FILES}
    images, labels, test_images, test_labels = (files[name] for name in MNIST_FILES)
    for split, x, y in (
        ("train", images[5_000:], labels[5_000:]),
        ("validation", images[:5_000], labels[:5_000]),
        ("test", test_images, test_labels),
    ):
        np.testing.assert_array_equal(arrays[split][0], x.reshape(-1, 784))
        np.testing.assert_array_equal(arrays[split][1], y)


def test_permuted_mnist_is_the_same_pixels_in_the_papers_order(mnist_dir):
    plain = Source("pixel_mnist", str(mnist_dir))
    permuted = Source("pixel_mnist_permuted", str(mnist_dir))
    order = np.random.RandomState(92916).permutation(784)
    for split in SPLITS:
        np.testing.assert_array_equal(
            permuted.load()[split][0], plain.load()[split][0][:, order]
        )  # fmt: skip
        np.testing.assert_array_equal(permuted.load()[split][1], plain.load()[split][1])
    assert permuted.hash != plain.hash


# -- names and options -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("pixel_digit", ["'pixel_digit'", "did you mean 'pixel_digits'?", "copy_memory"]),
        ("", ["''", "known: pixel_digits"]),
        ("copy_memory:S=3", ["copy_memory", "'S'", "known: T"]),
        ("copy_memory:TT=3", ["copy_memory", "'TT'", "did you mean 'T'?"]),
        ("copy_memory:T", ["copy_memory", "'T'", "T=..."]),
        ("copy_memory:T=", ["copy_memory", "T=", "whole number"]),
        ("copy_memory:T=many", ["copy_memory", "T=many", "whole number"]),
        ("copy_memory:T=1.5", ["copy_memory", "T=1.5", "whole number"]),
        ("pixel_digits:T=3", ["pixel_digits", "'T'", "it has none"]),
    ],
)
def test_a_task_or_an_option_that_is_not_known_is_said_in_one_line(spec, words):
    said = refusal(parse_task, spec)
    for word in words:
        assert word in said


def test_an_option_that_is_left_out_keeps_its_default():
    assert (
        parse_task("copy_memory") == parse_task("copy_memory:") == parse_task("copy_memory:T=500")
    )
    assert parse_task("copy_memory:T=7").T == 7


# -- MNIST's files -----------------------------------------------------------------------------


def idx(array: np.ndarray, promised: tuple[int, ...] | None = None) -> bytes:
    shape = array.shape if promised is None else promised
    head = b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return head + array.astype(np.uint8).tobytes()


def small_mnist() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    images = {
        MNIST_FILES[0]: rng.integers(0, 256, (24, 28, 28)),
        MNIST_FILES[2]: rng.integers(0, 256, (6, 28, 28)),
    }
    return images | {MNIST_FILES[1]: np.arange(24) % 10, MNIST_FILES[3]: np.arange(6)}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four small files as MNIST's are, two of them gzipped."""
    for i, (name, array) in enumerate(small_mnist().items()):
        if i % 2:
            (tmp_path / name).write_bytes(idx(array))
        else:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return tmp_path


def test_plain_and_gzipped_files_give_the_same_arrays(tmp_path):
    for name, array in small_mnist().items():
        (tmp_path / name).write_bytes(idx(array))
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        plain, gzipped = read_idx(tmp_path / name), read_idx(tmp_path / f"{name}.gz")
        assert plain.dtype == gzipped.dtype == np.uint8
        np.testing.assert_array_equal(plain, array)
        np.testing.assert_array_equal(gzipped, array)


def test_a_folder_may_hold_both_kinds(folder):
    arrays = parse_task("pixel_mnist").load(str(folder))
    images = small_mnist()[MNIST_FILES[0]].reshape(24, 784)
    np.testing.assert_array_equal(arrays["validation"][0], images[:2])  # a twelfth, as of MNIST
    np.testing.assert_array_equal(arrays["train"][0], images[2:])
    np.testing.assert_array_equal(arrays["train"][1], np.arange(2, 24) % 10)


def test_a_data_folder_that_is_not_there_is_named(tmp_path):
    said = refusal(parse_task("pixel_mnist").load, str(tmp_path / "none"))
    assert str(tmp_path / "none") in said
    assert "--data-dir" in said


def test_every_missing_file_is_named_and_none_that_is_there(folder):
    gone = {MNIST_FILES[1], MNIST_FILES[2]}
    for path in list(folder.iterdir()):
        if path.name.removesuffix(".gz") in gone:
            path.unlink()
    said = refusal(parse_task("pixel_mnist").load, str(folder))
    assert str(folder) in said
    for name in MNIST_FILES:
        assert (name in said) == (name in gone)


def test_a_data_folder_that_is_given_is_the_only_one_that_is_read(tmp_path):
    said = refusal(parse_task("pixel_mnist").load, str(tmp_path))
    assert all(name in said for name in MNIST_FILES)


IMAGES, LABELS = MNIST_FILES[0], MNIST_FILES[1]
WHOLE = gzip.compress(idx(small_mnist()[IMAGES]))
# What one file is replaced with -> (its name, its bytes, what is said).
BROKEN_FILES = {
    "cut gzip": (f"{IMAGES}.gz", WHOLE[:-400], "not a whole gzip file"),
    "gzip without its end": (f"{IMAGES}.gz", WHOLE[:-4], "not a whole gzip file"),
    "gzip cut in its header": (f"{IMAGES}.gz", WHOLE[:5], "not a whole gzip file"),
    "gzip with a wrong byte": (
        f"{IMAGES}.gz", WHOLE[:-6] + b"\xff\0" + WHOLE[-4:], "not a whole gzip file",
    ),
    "gzip of no known kind of block": (
        f"{IMAGES}.gz", WHOLE[:10] + b"\xff" + WHOLE[11:], "not a whole gzip file",
    ),
    "plain under a gzip's name": (
        f"{IMAGES}.gz", idx(small_mnist()[IMAGES]), "not a whole gzip file",
    ),
    "gzip under a plain name": (IMAGES, WHOLE, "not an idx file"),
    "a web page": (IMAGES, b"<!DOCTYPE html><title>404</title>", "not an idx file"),
    "empty": (IMAGES, b"", "the file is empty"),
    "empty gzip": (f"{IMAGES}.gz", b"", "the file is empty"),
    "idx of floats": (IMAGES, b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "not an idx file of bytes"),
    "cut in its header": (IMAGES, idx(small_mnist()[IMAGES])[:9], "header ends"),
    "more promised than there": (
        IMAGES, idx(small_mnist()[IMAGES], promised=(25, 28, 28)), "its header promises 19616",
    ),
    "less promised than there": (
        IMAGES, idx(small_mnist()[IMAGES], promised=(23, 28, 28)), "its header promises 18048",
    ),
}  # fmt: skip


def with_file(folder: Path, name: str, content: bytes) -> Path:
    for old in (name.removesuffix(".gz"), name.removesuffix(".gz") + ".gz"):
        (folder / old).unlink(missing_ok=True)
    (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_broken_file_is_one_line_that_names_it(folder, case):
    name, content, says = BROKEN_FILES[case]
    said = refusal(parse_task("pixel_mnist").load, str(with_file(folder, name, content)))
    assert says in said
    assert str(folder / name) in said


def test_sizes_whose_product_overflows_are_refused(folder):
    name, content = IMAGES, idx(np.zeros(0), promised=(2**16,) * 4)
    with pytest.raises(UserError):
        parse_task("pixel_mnist").load(str(with_file(folder, name, content)))


# Files that are whole, but not MNIST: (name, array, what is said).
WRONG_DATA = {
    "fewer labels than images": (LABELS, np.zeros(23), "24 images but 23 labels"),
    "fewer images than labels": (IMAGES, np.zeros((23, 28, 28)), "23 images but 24 labels"),
    "images for labels": (LABELS, np.zeros((24, 28, 28)), "24 images but"),
    "labels for images": (IMAGES, np.zeros(24), "shape (24,), expected (N, 28, 28)"),
    "a label of 11": (LABELS, np.arange(24) % 12, "a label is 11, expected 0 to 9"),
    "images of another size": (
        IMAGES, np.zeros((24, 32, 32)), "shape (24, 32, 32), expected (N, 28, 28)",
    ),
    "test images of another size": (
        MNIST_FILES[2], np.zeros((6, 28, 29)), "shape (6, 28, 29), expected (N, 28, 28)",
    ),
    "a label of 10 in the test set": (MNIST_FILES[3], np.arange(6) + 5, "a label is 10"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_DATA)
def test_files_that_are_whole_but_not_mnist_are_refused_in_one_line(folder, case):
    name, array, says = WRONG_DATA[case]
    said = refusal(parse_task("pixel_mnist").load, str(with_file(folder, name, idx(array))))
    assert says in said
    assert ("test" if name.startswith("t10k") else "train") in said


@pytest.mark.parametrize("case", WRONG_DATA)
def test_files_that_are_whole_but_not_mnist_are_named(folder, case):
    name, array, _ = WRONG_DATA[case]
    assert name in refusal(mnist, str(with_file(folder, name, idx(array))))
