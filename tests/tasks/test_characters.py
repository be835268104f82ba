"""Texts: what is read as what, and that a stream is scored whole."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest
import torch

from drnn_bench.errors import UserError
from drnn_bench.execution.carry import drain
from drnn_bench.models.build import configure
from drnn_bench.results.recipe import Recipe
from drnn_bench.tasks.characters import encode
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.training.loop import train
from drnn_bench.training.scoring import evaluate, inputs, targets
from tests.support.refused import refusal

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 600


def written(folder, raw, name="book.txt"):
    (folder / name).write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return parse_task(f"char_text:path={name}")


def test_marks_and_line_ends_make_no_difference(tmp_path):
    plain = written(tmp_path, TEXT).read(str(tmp_path))
    for name, raw in {
        "bom.txt": b"\xef\xbb\xbf" + TEXT.encode(),
        "dos.txt": TEXT.replace("\n", "\r\n").encode(),
        "mac.txt": TEXT.replace("\n", "\r").encode(),
        "zipped.txt.gz": gzip.compress(TEXT.encode()),
    }.items():
        task, arrays, *_ = written(tmp_path, raw, name).read(str(tmp_path))
        assert task.alphabet == plain[0].alphabet == 28 + 1
        for split, (x, y) in arrays.items():
            np.testing.assert_array_equal(x, plain[1][split][0])
            np.testing.assert_array_equal(y, plain[1][split][1])


def test_the_alphabet_is_the_training_texts_and_others_are_unknown(tmp_path):
    tail = "ÄÖ" + TEXT[: len(TEXT) // 20]
    task, arrays, *_ = written(tmp_path, TEXT + tail).read(str(tmp_path))
    assert task.alphabet == 29 + 1  # and `unknown`
    alphabet, _ = encode({"train": "abc", "validation": "abd", "test": "a"})
    assert alphabet == ["a", "b", "c", None]
    assert 29 not in arrays["train"][0]
    assert 29 in np.concatenate([arrays[s][0] for s in ("validation", "test")])


def test_a_text_is_known_by_its_name_not_its_path(tmp_path):
    task, *_ = written(tmp_path, TEXT).read(str(tmp_path))
    assert task.key == "char_text:length=100,text=book"


def test_a_text_is_found_by_the_name_that_a_board_gives_it(tmp_path):
    written(tmp_path, TEXT)
    task, *_ = parse_task("char_text:path=book").read(str(tmp_path))
    assert task.key == "char_text:length=100,text=book"
    (tmp_path / "book.gz").write_bytes(gzip.compress(TEXT.encode()))
    with pytest.raises(UserError, match=r"text .*book: No such file"):  # which of the two?
        parse_task("char_text:path=book").read(str(tmp_path))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (TEXT.encode()[:900], "at least 1,000 are needed"),
        (b"", "at least 1,000 are needed"),
        (TEXT.encode() + b"\xff\xfe", "not UTF-8 at byte"),
    ],
)
def test_a_text_that_will_not_do_is_said_in_one_line(tmp_path, raw, said):
    with pytest.raises(UserError, match=said) as refused:
        written(tmp_path, raw).read(str(tmp_path))
    assert "book.txt" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_texts_that_are_not_there_are_said_in_one_line(tmp_path):
    for spec, folder, said in (
        ("char_text", tmp_path, "path=FILE"),
        ("char_text:path=none.txt", tmp_path, "none.txt"),
        ("char_text:path=.", tmp_path, "directory"),
        ("char_ptb", tmp_path, "ptb.train.txt"),
        ("char_ptb", tmp_path / "none", "does not exist"),
    ):
        with pytest.raises(UserError, match=said):
            parse_task(spec).read(str(folder))
    (tmp_path / "book.txt.gz").write_bytes(gzip.compress(TEXT.encode())[:-20])
    with pytest.raises(UserError, match=r"book\.txt\.gz: not a whole gzip"):
        parse_task("char_text:path=book.txt.gz").read(str(tmp_path))


def test_both_forms_of_penn_treebank_are_the_same_characters(ptb_dir):
    forms = [parse_task("char_ptb").load(str(folder)) for folder in (ptb_dir, ptb_dir / "char")]
    sizes = {"train": 5_017_482, "validation": 393_042, "test": 442_423}
    for split, size in sizes.items():
        for word, character in zip(forms[0][split], forms[1][split], strict=True):
            assert len(word) == size - 1  # the last character is a target only
            np.testing.assert_array_equal(word, character)


def test_a_stream_is_scored_whole_with_its_state_carried(tmp_path):
    task, arrays, *_ = written(tmp_path, TEXT).read(str(tmp_path))
    config = configure("dilated_rnn", input_size=29, output_size=29, width=4, depth=4)
    torch.manual_seed(0)
    model = config.build()
    x, y = (part[:25_000] for part in arrays["train"])  # more than one chunk
    scores = evaluate(model, task, (x, y))
    with torch.no_grad():
        logits = model(inputs(task, x[None], "cpu"))[0]
    nats = torch.nn.functional.cross_entropy(logits, targets(task, y[None], "cpu")[0])
    assert scores.cross_entropy == pytest.approx(float(nats), rel=1e-5)
    assert scores.value == pytest.approx(float(nats) / math.log(2), rel=1e-5)


def test_a_text_of_more_symbols_than_are_told_apart_is_refused(tmp_path):
    path = tmp_path / "all.txt"
    path.write_text("".join(map(chr, range(0x10000, 0x22000))), encoding="utf-8")
    said = refusal(parse_task(f"char_text:path={path}").read, None)
    assert "the text has 66,356 kinds of characters; at most 65,536 are read" in said


def test_training_along_streams_learns_and_repeats_itself(tmp_path):
    written(tmp_path, TEXT)
    prepared = prepare(parse_task("char_text:path=book.txt"), str(tmp_path), tmp_path / "data")
    assert prepared.task.prefix == 20_000
    config = configure("gru", input_size=29, output_size=29, width=24)
    runs = [
        drain(train(
            config, prepared.task, prepared.arrays(), Recipe(batch_size=16),
            learning_rate=1e-2, steps=60, seed=1,
        ))
        for _ in range(2)
    ]  # fmt: skip
    assert runs[0].validation == runs[1].validation < 2  # log2(29) = 4.86 knows nothing
