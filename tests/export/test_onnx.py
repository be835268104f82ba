"""ONNX files of every family, beside torch; raw inputs, and answers."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import drnn_bench
from drnn_bench import plugins
from drnn_bench.export.described import described
from drnn_bench.export.onnx.check import raw_of
from drnn_bench.export.onnx.graphs import meant, outputs_of
from drnn_bench.export.onnx.raw import MISSING, Entering
from drnn_bench.export.onnx.write import STEP, exported
from drnn_bench.export.predicting import answered
from drnn_bench.export.raw import entering
from drnn_bench.models.names import FAMILIES
from drnn_bench.testing.nets import INPUTS, OUTPUTS, close, make
from tests.support.command import ROOT
from tests.support.exporter import exporter  # noqa: F401  (a fixture)
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
    "selective_ssm": ("selective_ssm", {"depth": 1, "states": 2, "width": 4}),
    "gla": ("gla", {"depth": 1, "width": 4}),
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
def test_both_files_answer_as_the_net_does(name, monkeypatch):
    """At any length and batch, as a whole and step by step, in standard operators alone."""
    monkeypatch.setattr("drnn_bench.export.onnx.write.Walked", None)  # each is traced as it is
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
