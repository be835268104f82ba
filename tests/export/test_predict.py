"""Answers of a loaded net to raw inputs: against the definition, step by step, and refused."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import drnn_bench
from drnn_bench.errors import UserError
from drnn_bench.export.loading import CONFIG, WEIGHTS, digest, load, task_digest
from drnn_bench.models import weights
from drnn_bench.models.registry import make_architecture
from tests.support.command import ROOT
from tests.support.refused import refusal

OPTIONS = {"depth": 1, "width": 4}
NUMBERS = {"mean": [5.0, -2.0], "deviation": [2.0, 0.5]}
X = np.array([[[5.0, -2.0], [7.0, -1.5], [1.0, -3.0]], [[6.0, 0.0], [5.5, -2.5], [4.0, 1.0]]])
# name -> input size, output size, what the task says
TASKS = {
    "classes": (2, 3, {"scored": 1, "length": 3, "facts": NUMBERS | {"classes": ["a", "b", "c"]}}),
    "every step": (2, 2, {"scored": 3, "length": 3, "facts": NUMBERS}),
    "last two": (2, 2, {"scored": 2, "length": 9, "facts": NUMBERS}),
    "yes or no": (2, 2, {"scored": 1, "length": 3, "loss_function": "bce", "facts": NUMBERS}),
    "real": (2, 2, {"scored": 1, "length": 3, "loss_function": "mse", "facts": NUMBERS,
                    "target_offset": [100.0, 0.0], "target_scale": [10.0, 1.0]}),
    "quantiles": (2, 6, {"scored": 1, "length": 3, "loss_function": "quantile", "facts": NUMBERS,
                         "quantiles": [0.1, 0.5, 0.9], "target_offset": 100.0,
                         "target_scale": 10.0}),
    "waves": (2, 2, {"scored": 1, "length": 3, "facts": {"divided_by": 0.25}}),
    "pixels": (2, 2, {"scored": 1, "length": 3, "scale": 0.0625, "facts": {}}),
    "text": (3, 3, {"scored": None, "length": 9, "stream": True, "one_hot": True,
                    "facts": {"alphabet": ["a", "b", None]}}),
    "symbols": (3, 2, {"scored": 1, "length": 9, "one_hot": True, "facts": {}}),
}  # fmt: skip


def write(folder: Path, name: str, family: str = "gru", **changes) -> Path:
    """An exported folder of a small net for one of TASKS."""
    inputs, outputs, task = TASKS[name]
    folder.mkdir()
    torch.manual_seed(3)
    sizes = {"input_size": inputs, "output_size": outputs}
    net = make_architecture(family, **sizes, **OPTIONS).build()
    told = {"format": 1, "family": family, "config": OPTIONS, **sizes,
            "weights": weights.save(net, folder / WEIGHTS)}  # fmt: skip
    task = {"name": "a task", **task, **changes}
    marks = {"digest": digest(told), "task": task, "task_digest": task_digest(task)}
    (folder / CONFIG).write_text(json.dumps(told | marks))
    return folder


@pytest.fixture
def loaded(tmp_path):
    return lambda name, family="gru", **changes: load(
        write(tmp_path / f"{len([*tmp_path.iterdir()])}", name, family, **changes)
    )


def outputs(model, x_BTI) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.as_tensor(x_BTI, dtype=torch.float32)).double()


SCALED = (X - NUMBERS["mean"]) / NUMBERS["deviation"]


def test_classes_by_name_with_their_probabilities(loaded):
    model = loaded("classes")
    answers = model.predict(X)
    wanted = outputs(model, SCALED)[:, -1].softmax(-1).numpy()
    np.testing.assert_allclose(answers.probabilities, wanted, rtol=1e-6)
    assert answers.values.tolist() == ["abc"[i] for i in wanted.argmax(-1)]
    assert answers.names == ("a", "b", "c")
    for same in (X.tolist(), torch.from_numpy(X)):
        np.testing.assert_array_equal(model.predict(same).probabilities, answers.probabilities)


def test_as_many_steps_as_the_task_scores(loaded):
    every, two = loaded("every step"), loaded("last two")
    wanted = outputs(every, SCALED).argmax(-1).numpy()
    assert every.predict(X).values.tolist() == wanted.tolist()
    assert two.predict(X).values.tolist() == outputs(two, SCALED).argmax(-1)[:, -2:].tolist()
    assert two.predict(X[:, :1]).values.shape == (2, 1)  # fewer steps than are scored


def test_yes_or_no_real_numbers_and_quantiles(loaded):
    model = loaded("yes or no")
    answers, wanted = model.predict(X), outputs(model, SCALED)[:, -1].sigmoid().numpy()
    np.testing.assert_allclose(answers.probabilities, wanted, rtol=1e-6)
    assert answers.values.tolist() == (wanted > 0.5).tolist()
    model = loaded("real")
    wanted = outputs(model, SCALED)[:, -1].numpy() * [10.0, 1.0] + [100.0, 0.0]
    np.testing.assert_allclose(model.predict(X).values, wanted, rtol=1e-6)
    assert model.predict(X).probabilities is None
    model = loaded("quantiles")
    wanted = outputs(model, SCALED)[:, -1].numpy().reshape(2, 2, 3) * 10 + 100
    np.testing.assert_allclose(model.predict(X).values, wanted, rtol=1e-6)
    assert model.predict(X).levels == (0.1, 0.5, 0.9)


def test_numbers_that_are_scaled_alike(loaded):
    model = loaded("waves")
    wanted = outputs(model, X / 0.25)[:, -1].softmax(-1)
    np.testing.assert_allclose(model.predict(X).probabilities, wanted, rtol=1e-6)
    model, whole = loaded("pixels"), X.astype(np.int16)
    wanted = outputs(model, whole / 16)[:, -1].softmax(-1)
    np.testing.assert_allclose(model.predict(whole).probabilities, wanted, rtol=1e-6)


@pytest.mark.parametrize("family", ["gru", "dilated_cnn"])  # the second takes no symbols
def test_text_and_symbols(loaded, family):
    model = loaded("text", family)
    answers = model.predict(["abz", "bba"])
    one_hot = torch.nn.functional.one_hot(torch.tensor([[0, 1, 2], [1, 1, 0]]), 3)
    wanted = outputs(model, one_hot).softmax(-1).numpy()
    np.testing.assert_allclose(answers.probabilities, wanted, rtol=1e-5)
    assert answers.values.tolist() == [
        [["a", "b", None][i] for i in row.argmax(-1)] for row in wanted
    ]
    symbols = model.predict([[0, 1, 2], [1, 1, 0]])
    np.testing.assert_array_equal(symbols.probabilities, answers.probabilities)
    assert model.predict("abz").values.tolist() == answers.values[:1].tolist()
    assert loaded("symbols", family).predict([[0, 2, 1]]).values.shape == (1,)


@pytest.mark.parametrize("name", TASKS)
def test_a_stream_answers_at_each_step_what_its_beginning_would(loaded, name):
    model = loaded(name)
    x = np.array([[0, 1, 2], [1, 1, 0]]) if TASKS[name][2].get("one_hot") else X
    state, steps = None, []
    for part in (x[:, :1], x[:, 1:]):
        answers, state = model.stream_predict(part, state)
        steps.append(answers)
    for step in range(3):
        whole = model.predict(x[:, : step + 1])
        last = whole.values if model._described().answers.steps == 1 else whole.values[:, -1]
        streamed = np.concatenate([answers.values for answers in steps], 1)[:, step]
        if whole.values.dtype.kind == "f":
            np.testing.assert_allclose(streamed, last, rtol=1e-5)
        else:
            assert streamed.tolist() == last.tolist()


def test_a_missing_value_repeats_from_call_to_call(loaded):
    facts = {"facts": NUMBERS | {"missing": "ffill"}}
    model = loaded("every step", **facts)
    holed, filled = X.copy(), X.copy()
    holed[:, 1:, 0] = holed[0, 0, 1] = np.nan
    filled[:, 1:, 0], filled[0, 0, 1] = filled[:, :1, 0], NUMBERS["mean"][1]
    wanted = model.predict(filled).probabilities
    np.testing.assert_array_equal(model.predict(holed).probabilities, wanted)
    first, state = model.stream_predict(holed[:, :1])
    kept = copy.deepcopy(state)
    for given in (state, kept):  # a copy goes on as well
        rest, _ = model.stream_predict(holed[:, 1:], given)
        streamed = np.concatenate([first.probabilities, rest.probabilities], 1)
        np.testing.assert_allclose(streamed, wanted, rtol=1e-5)


def test_it_is_still_the_net(loaded):
    model = loaded("classes")
    assert isinstance(model, torch.nn.Module)
    for same in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(same) is type(model)
        np.testing.assert_array_equal(same.predict(X).values, model.predict(X).values)
    answers = model.predict(X)
    model.train()
    assert model.predict(X).values.tolist() == answers.values.tolist()
    assert model.training
    doubled = copy.deepcopy(model).double()
    np.testing.assert_allclose(doubled.predict(X).probabilities, answers.probabilities, rtol=1e-5)


def test_an_export_of_the_first_version_answers_too():
    folder = ROOT / "tests" / "data" / "exported-0.1"
    x = np.random.RandomState(0).uniform(-1, 1, (2, 20, 1)).astype(np.float32)
    wanted = json.loads((folder / "outputs.json").read_text())["logits"]
    answers = drnn_bench.load(folder).predict(x * 16)  # its task scales by 1/16
    assert answers.values.tolist() == np.argmax(wanted, -1).tolist()


WRONG = {  # what is said of an x that does not fit
    "classes": {
        "takes numbers (batch, steps, 2), got the shape (3, 2)": X[0],
        "got the shape (2, 3, 1)": X[..., :1],
        "got the shape (0, 3, 2)": X[:0],
        "got <U1": [["a"]],
        "of one length in a batch": [[[1, 2]], [[1, 2], [3, 4]]],
        "a value is missing (sequence, step, channel 1, 2, 1)": np.where(X == 7.0, np.nan, X),
        "so far from the training split": np.where(X == 7.0, 1e60, X),
    },
    "text": {
        "symbols from 0 to 2, got 3": [[0, 3]],
        "symbols from 0 to 2, got -1": [[0, -1]],
        "whole numbers, got float64": [[0.5, 1]],
        "texts of one batch have one length": ["ab", "a"],
    },
    "symbols": {"reads no text": "ab"},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_inputs_are_refused_in_one_line(loaded, name):
    model = loaded(name)
    for words, x in WRONG[name].items():
        assert words in refusal(model.predict, x)
        assert words in refusal(model.stream_predict, x)
    assert "must be what stream_predict gave" in refusal(model.stream_predict, X, model)


def test_a_character_that_no_symbol_stands_for(loaded):
    facts = {"facts": {"alphabet": ["a", "b", "c"]}}
    assert "'z' is not in the net's alphabet" in refusal(loaded("text", **facts).predict, "az")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"facts": NUMBERS | {"deviation": [1.0, 0.0]}}, "'deviation' should be a list of 2"),
        ({"facts": NUMBERS | {"mean": [1.0, float("nan")]}}, "'mean' should be a list"),
        ({"facts": NUMBERS | {"mean": [1.0]}}, "'deviation' should be a list of 1"),
        ({"facts": NUMBERS | {"offset": [1.5, 0]}}, "'offset' should be"),
        ({"facts": NUMBERS | {"missing": "guess"}}, "'missing' should be one of refuse"),
        ({"facts": NUMBERS | {"masked": [True, False]}}, "the net's 2 inputs"),
        ({"facts": 3}, "'facts' should be an object"),
        ({"scale": 0}, "'scale' should be a number, not zero"),
        ({"one_hot": 1}, "'one_hot' should be true or false"),
        ({"loss_function": "guess"}, "'loss_function' should be one of"),
        ({"loss_function": "quantile"}, "'quantiles' should be levels"),
        ({"loss_function": "mse", "target_scale": [1.0, 2.0]}, "'target_scale' should be"),
        ({"scored": -1}, "'scored' should be"),
    ],
)
def test_a_description_that_does_not_fit_is_refused_in_one_line(loaded, changes, said):
    model = loaded("classes", **changes)
    assert said in refusal(model.predict, X)


def test_a_changed_or_absent_description_is_said(tmp_path):
    folder = write(tmp_path / "net", "classes")
    told = json.loads((folder / CONFIG).read_text())
    changed = told | {"task": told["task"] | {"scale": 2.0}}
    (folder / CONFIG).write_text(json.dumps(changed))
    assert "its digest is of another task" in refusal(load, folder)
    bare = {key: value for key, value in told.items() if "task" not in key}
    (folder / CONFIG).write_text(json.dumps(bare))
    with pytest.raises(UserError, match="'task' is missing"):
        load(folder).predict(X)
