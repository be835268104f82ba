"""`bench export --format onnx`: both files, checked, or neither; the code of the model card."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import drnn_bench
from drnn_bench.export.described import of_task
from drnn_bench.export.folder import export_to
from drnn_bench.export.loading import CARD, CONFIG, WEIGHTS
from drnn_bench.export.onnx import check, convert
from drnn_bench.export.onnx.write import MODEL, STEP, exported, onnx_files
from drnn_bench.export.usage import usage
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows
from drnn_bench.tasks.prepared import Prepared, all_prepared, prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.testing.nets import close
from drnn_bench.training.scoring import evaluate
from tests.support.command import in_this_process
from tests.support.exporter import exporter  # noqa: F401  (a fixture)
from tests.support.finals import runs_with_finals, save_walks
from tests.support.refused import refusal

pytestmark = pytest.mark.usefixtures("exporter")


def test_a_stream_is_checked_step_by_step(tmp_path):
    """Of a task that is one long sequence, and by a net that takes no symbols."""
    words = np.random.RandomState(0).choice(["ab", "b", "ca", " "], 16_000)
    (tmp_path / "book.txt").write_text("".join(words))
    prepared = prepare(parse_task("char_text:path=book.txt"), str(tmp_path), tmp_path / "data")
    task = prepared.task
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    model = drnn_bench.build("dilated_cnn", **sizes, depth=2, width=3).eval()
    files, checked = onnx_files(model, of_task(task, prepared.facts), prepared)
    assert checked.torch == evaluate(model, task, prepared.arrays()["test"]).value
    assert checked.runtime == pytest.approx(checked.torch, rel=1e-5)
    assert max(checked.difference, checked.step) < 1e-5
    told = onnxruntime.InferenceSession(files[MODEL]).get_modelmeta().custom_metadata_map
    assert json.loads(told["alphabet"]) == json.loads(told["classes"]) == [" ", "a", "b", "c"]
    assert told["answered_steps"] == "every"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    runs_with_finals(folder, f"own:path={save_walks(folder)}", ("gru",), 1)
    return folder


@pytest.fixture(scope="module")
def net(place) -> Path:
    """An export with ONNX files, and what the command said in `said`."""
    done = in_this_process("export", "--runs-dir", place / "runs", "--output", "net", "--format",
                           "onnx", cwd=place)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (place / "said").write_text(done.stdout)
    return place / "net"


def test_the_command_writes_both_and_says_how_near_they_are(place, net):
    assert {path.name for path in net.iterdir()} == {WEIGHTS, CONFIG, CARD, MODEL, STEP}
    [[prepared], []] = all_prepared(place / "runs" / "data")
    score = evaluate(drnn_bench.load(net), prepared.task, prepared.arrays()["test"])
    said = (place / "said").read_text()
    assert f"accuracy {score.value:.6g}, torch {score.value:.6g}" in said
    difference = float(re.search(r"differ by at most (\S+) ", said)[1])
    assert 0 < difference < 1e-5


def test_the_snippets_of_the_card_run_as_they_stand(place, net, tmp_path, monkeypatch):
    """Both blocks of Python, and the shapes that the text names."""
    card = (net / CARD).read_text()
    own, runtime = re.findall("```python\n(.*?)```", card, flags=re.DOTALL)
    shutil.copytree(net, tmp_path / "this folder")
    monkeypatch.chdir(tmp_path)
    x = np.load(place / "walks.npz")["x"]
    names = {"x": x}
    exec(own, names)
    predicted = names["model"].predict(x)
    assert set(predicted.values) == {"down", "up"}
    assert names["answers"].values.shape == (120, 11)  # of the stream's second part
    exec(runtime, names)
    assert names["answers"] == predicted.values.tolist()
    np.testing.assert_allclose(names["results"][0], names["outputs"][:, -1], atol=1e-5)
    for row in ("multiply-accumulates a step", "state of a stream", "weights"):
        assert re.search(rf"\| {row} \| [\d,]+( bytes.*)? \|", card), row
    assert '"x"' in re.findall("```cpp\n(.*?)```", card, flags=re.DOTALL)[0]


def test_the_snippets_fit_every_kind_of_task(tmp_path, monkeypatch):
    """The blocks for onnxruntime, on files of another kind: symbols, and no last step alone."""
    task = parse_task("copy_memory:T=5")
    said = of_task(task, {})
    model = drnn_bench.build("gru", input_size=10, output_size=task.output_size, depth=1, width=3)
    _, files = exported(model.eval(), said)
    (tmp_path / "this folder").mkdir()
    for name, file in files.items():
        (tmp_path / "this folder" / name).write_bytes(file)
    monkeypatch.chdir(tmp_path)
    prepared = Prepared(task, "", "nowhere")
    [_, block] = re.findall("```python\n(.*?)```", usage(said, prepared, {}, True), flags=re.DOTALL)
    names = {"x": np.random.RandomState(0).randint(0, 10, (2, 8))}
    exec(block, names)
    with torch.no_grad():
        wanted = model(torch.from_numpy(names["x"]))
    assert names["answers"] == wanted[:, -1].argmax(-1).tolist()
    assert close(torch.from_numpy(names["results"][0]), wanted[:, -1], 1e-5)


def test_files_that_would_not_answer_as_the_net_does_are_never_written(
    place, tmp_path, monkeypatch
):
    monkeypatch.setattr(check, "TOLERANCE", 0.0)
    rows, _ = records.read(place / "runs" / "records.jsonl")
    [board] = rank_rows(rows)
    output = tmp_path / "net"
    said = refusal(export_to, output, board, 1, rows, place / "runs", True)
    assert "would not answer as the net does" in said
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_one_line_names_it(place, typed, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "PACKAGES", ("onnx", "a_package_that_is_not_here"))
    done = typed(
        "export", "--runs-dir", place / "runs", "--output", "net", "--format", "onnx", code=2
    )
    assert done.stderr.count("\n") == 1
    assert "needs a_package_that_is_not_here" in done.stderr
    assert "pip install 'drnn-bench[onnx]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
