"""ONNX files of every family, beside torch; raw inputs, answers, the check, the command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import drnn_bench
from drnn_bench import plugins
from drnn_bench.export.described import described, of_task
from drnn_bench.export.folder import export_to
from drnn_bench.export.loading import CARD, CONFIG, WEIGHTS
from drnn_bench.export.onnx import check, convert
from drnn_bench.export.onnx.check import raw_of
from drnn_bench.export.onnx.graphs import meant, outputs_of
from drnn_bench.export.onnx.raw import MISSING, Entering
from drnn_bench.export.onnx.write import MODEL, STEP, exported, onnx_files
from drnn_bench.export.predicting import answered
from drnn_bench.export.raw import entering
from drnn_bench.export.usage import usage
from drnn_bench.models.names import FAMILIES
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows
from drnn_bench.tasks.prepared import Prepared, all_prepared, prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.testing.nets import INPUTS, OUTPUTS, close, make
from drnn_bench.training.scoring import evaluate
from tests.support.command import ROOT, in_this_process
from tests.support.exporter import exporter  # noqa: F401  (a fixture)
from tests.support.finals import runs_with_finals, save_walks
from tests.support.refused import refusal

pytestmark = pytest.mark.usefixtures("exporter")

# One small net of each family, and the cells and forms that differ. The exporter takes seconds a
# layer.
NETS = {
    **{
        family: (family, {"depth": 1, "width": 4})
        for family in ("rnn", "gru", "min_gru", "min_lstm", "indrnn", "lem", "s4d", "lru")
    },
    "lstm": ("lstm", {"depth": 1, "width": 4, "embedding": 2}),
    "dilated_rnn": (
        "dilated_rnn",
        {"cell": "gru", "dilations": (4, 3), "fusion": True, "width": 3},
    ),
    "dilated_rnn-lstm": ("dilated_rnn", {"cell": "lstm", "dilations": (5,), "width": 3}),
    "skip_rnn": ("skip_rnn", {"depth": 1, "skip": 4, "width": 4}),
    "dilated_cnn": ("dilated_cnn", {"depth": 2, "width": 4}),
    "tcn": ("tcn", {"depth": 2, "kernel": 3, "width": 4}),
    "clockwork_rnn": ("clockwork_rnn", {"modules": 3, "width": 6}),
    "transformer": ("transformer", {"depth": 1, "window": 5, "width": 4}),
    "transformer-all": ("transformer", {"depth": 1, "width": 4}),
}
PLAIN = {"name": "a task", "scored": 1, "length": 50, "facts": {}}


def said_of(**task):
    sizes = {"input_size": INPUTS, "output_size": OUTPUTS}
    return described({**sizes, "task": PLAIN | task}, "config.json")


def test_every_family_is_here():
    assert {family for family, _ in NETS.values()} == {*FAMILIES}


@pytest.mark.parametrize("name", NETS)
def test_both_files_answer_as_the_net_does(name):
    """At any length and batch, as a whole and step by step, in standard operators alone."""
    family, options = NETS[name]
    symbols = name in ("lstm", "gru")  # the first looks them up in a table
    model, said = make(family, options), said_of(one_hot=symbols)
    runtime, files = exported(model, said)
    for batch, length in ((3, 60), (1, 1), (2, 7)):
        x = torch.randn(batch, length, INPUTS)
        x = torch.randint(INPUTS, (batch, length)) if symbols else x
        with torch.no_grad():
            wanted = model(x)
        assert close(runtime.whole(x), wanted, 1e-5)
        assert close(runtime.stream(x)[0], wanted, 1e-5)
    for file in files.values():
        proto = onnx.load_from_string(file)
        assert {entry.domain for entry in proto.opset_import} == {""}
        assert str(ROOT).encode() not in file  # torch notes the lines of our code
    sizes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (proto.graph.input[0], proto.graph.output[0])  # of model.onnx, written last
    ]
    raw = ["batch", "length"] + [INPUTS] * (not symbols)
    assert sizes == [raw, ["batch", "length", OUTPUTS]]


# -- nets of plug-ins ------------------------------------------------------------------------------

STRANGE = {  # how a stream goes on -> what is said of it
    "return y, 0 if state is None else state + 1": "counts in Python numbers",
    "return y + (state is None), x_BTI[:, -1:]": "not how its stream begins",
    "return y, torch.cat([x_BTI, state], 1) if state is not None else x_BTI": "grows",
}
COUNTING = """
import torch
from dataclasses import dataclass
from drnn_bench.models.architecture import Stepwise

@dataclass(frozen=True, kw_only=True)
class Strange(Stepwise):
    family, summary = "strange", "a net of mine"

    def network(self):
        return Net(self.input_size, self.output_size)

class Net(torch.nn.Linear):
    def forward(self, x_BTI, last=None):
        return super().forward(x_BTI)

    def stream(self, x_BTI, state=None):
        y = self(x_BTI)
        {goes_on}
"""


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    """A net of the family that a file defines."""
    monkeypatch.setenv(plugins.VARIABLE, "")

    def net(file: str, family: str):
        drnn_bench.plugin(tmp_path / file)
        torch.manual_seed(0)
        return drnn_bench.build(family, input_size=INPUTS, output_size=OUTPUTS, width=4).eval()

    return net


def test_a_net_that_loops_over_its_steps_is_walked(typed, plugged):
    """It cannot be traced for any length, but its step can."""
    typed("new", "family", "my_net")
    net = plugged("my_net.py", "my_net")
    runtime, _ = exported(net, said_of())
    x = torch.randn(2, 23, INPUTS)
    with torch.no_grad():
        assert close(runtime.whole(x), net(x), 1e-5)
        assert close(runtime.stream(x)[0], net(x), 1e-5)


@pytest.mark.parametrize("goes_on", STRANGE)
def test_a_net_that_cannot_be_exported_is_refused_in_one_line(tmp_path, plugged, goes_on):
    (tmp_path / "strange.py").write_text(COUNTING.format(goes_on=goes_on))
    said = refusal(exported, plugged("strange.py", "strange"), said_of())
    assert said.startswith("strange cannot be exported to ONNX: ")
    assert STRANGE[goes_on] in said


# -- raw inputs and answers ------------------------------------------------------------------------

NUMBERS = {"mean": [5.0, -2.0, 1e9], "deviation": [2.0, 0.5, 1e6]}
GREAT = 1_700_000_000_000_000_000
SCALINGS = {
    "plain": NUMBERS,
    "whole": NUMBERS | {"offset": [0, GREAT, GREAT]},
    "whole alone": NUMBERS | {"offset": [GREAT, GREAT, GREAT]},
    "repeated": NUMBERS | {"missing": "ffill"},
    "whole, repeated": NUMBERS | {"offset": [GREAT, 0, 0], "missing": "ffill"},
    "masked": {**NUMBERS, "mean": [5.0, -2.0, 1e9], "missing": "zero+mask",
               "masked": [True, False, True]},
}  # fmt: skip


def raw_numbers(facts) -> np.ndarray:
    """[2, 9, 3]: whole numbers beyond 2**53 where channels have an offset, some missing."""
    rng = np.random.RandomState(0)
    x = np.array(facts["mean"]) + np.array(facts["deviation"]) * rng.randn(2, 9, 3)
    if all(facts.get("offset", [0])):
        return np.round(x).astype(np.int64) + np.array(facts["offset"])
    x = x + np.array(facts.get("offset", 0))
    if "missing" in facts:
        x[rng.rand(2, 9, 3) < 0.4] = np.nan
    return x


def given(inputs, raw: np.ndarray) -> dict[str, torch.Tensor]:
    """Raw numbers as an ONNX file takes them."""
    parts = {}
    for name, (dtype, channels) in inputs.raw.items():
        part = raw[..., list(channels)]
        if dtype == "int64" and part.dtype.kind == "f":
            gone = np.isnan(part)
            part = np.where(gone, MISSING, np.where(gone, 0, part).astype(np.int64))
        parts[name] = torch.from_numpy(part.astype(dtype))
    return parts


@pytest.mark.parametrize("name", SCALINGS)
def test_raw_numbers_become_what_predict_makes_of_them(name):
    """In torch's operations, of which the graph is made, as in numpy: to the last bit."""
    facts = SCALINGS[name]
    size = 3 + sum(facts.get("masked", []))
    sizes = {"input_size": size, "output_size": OUTPUTS}
    inputs = described({**sizes, "task": PLAIN | {"facts": facts}}, "config.json").inputs
    net = drnn_bench.build("dilated_cnn", **sizes, depth=1, width=2)
    module, raw = Entering(inputs, net), raw_numbers(facts)
    wanted = entering(inputs, raw)
    parts = given(inputs, raw)
    got, _ = module(tuple(parts.values()))
    assert torch.equal(got, wanted)
    before, steps = torch.zeros(2, 3) if module.repeats else None, []
    for step in range(9):
        of_step = tuple(part[:, step : step + 1] for part in parts.values())
        x_B1I, before = module(of_step, before)
        steps.append(x_B1I)
    assert torch.equal(torch.cat(steps, 1), wanted)
    # The check of an export makes raw inputs of what a net takes, and back.
    again, _ = module(tuple(map(torch.from_numpy, raw_of(inputs, wanted.numpy()).values())))
    assert close(again, wanted, 1e-5)


def test_a_graph_has_what_raw_numbers_become():
    facts = SCALINGS["whole, repeated"]
    said, model = said_of(facts=facts), make("gru", {"depth": 1, "width": 4})
    runtime, files = exported(model, said)
    raw = raw_numbers(facts)
    with torch.no_grad():
        wanted = model(entering(said.inputs, raw))
    parts = {name: part.numpy() for name, part in given(said.inputs, raw).items()}
    results = runtime.model(parts)
    assert close(torch.from_numpy(results["logits"]), wanted, 1e-5)
    np.testing.assert_allclose(results["probabilities"], wanted.softmax(-1), rtol=1e-4)
    session = onnxruntime.InferenceSession(files[STEP])
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["whole_channels"]) == [0]
    state = {
        name: np.zeros([{"batch": 2}.get(n, n) for n in fact["shape"]], fact["type"])
        for name, fact in json.loads(told["state"]).items()
    }
    assert [*state] == ["last_values", "state_1"]
    for step in range(9):
        outputs = runtime.step({name: part[:, step] for name, part in parts.items()} | state)
        state = {name: outputs[f"next_{name}"] for name in state}
        assert close(torch.from_numpy(outputs["logits"]), wanted[:, step], 1e-5)


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"loss_function": "bce"},
        {"loss_function": "mae", "target_offset": [1e6, 0.0, 1.0, 2.0], "target_scale": 3.0},
        {"loss_function": "quantile", "quantiles": [0.1, 0.9], "target_offset": [5.0, -5.0]},
    ],
)
def test_a_graph_answers_what_predict_does(task):
    said, outputs = said_of(**task), torch.randn(2, 7, OUTPUTS)
    wanted = answered(said.answers, outputs)
    results = meant(said.answers, outputs)
    last = wanted.values if wanted.probabilities is None else wanted.probabilities
    np.testing.assert_allclose(results[-1].numpy(), last, rtol=1e-6)
    back = torch.from_numpy(outputs_of(said.answers, results[0].numpy()))
    assert close(back, outputs, 1e-5)


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


# -- the command -----------------------------------------------------------------------------------


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
