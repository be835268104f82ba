"""One training run on real data: it learns, repeats itself, and says when it diverges."""

from __future__ import annotations

import math
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from drnn_bench.errors import UserError
from drnn_bench.execution.carry import drain
from drnn_bench.models.build import build, configure
from drnn_bench.models.layers import SequenceModel
from drnn_bench.models.names import FAMILIES
from drnn_bench.results.recipe import OPTIMIZERS, Recipe
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.training.loop import Diverged, flatten, train
from drnn_bench.training.optimizer import Optimizer, clip, factor
from drnn_bench.training.scoring import evaluate
from tests.support.command import ENV
from tests.support.nets import NETS

NET = {"input_size": 1, "output_size": 10, "width": 12}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    task = parse_task("pixel_digits")
    return task, prepare(task, None, tmp_path_factory.mktemp("data")).arrays()


def run(digits, *, steps=40, seed=1, rate=1e-2, recipe=None, seen=None, **options):
    task, arrays = digits
    config = configure("dilated_cnn", **NET, depth=6)
    seen = [] if seen is None else seen
    running = train(
        config, task, arrays, recipe or Recipe(), learning_rate=rate, steps=steps, seed=seed,
        **options,
    )  # fmt: skip
    while True:
        try:
            seen.append(next(running))
        except StopIteration as end:
            return end.value


def test_it_learns_real_digits(digits):
    task, arrays = digits
    trained = run(digits, steps=150)
    assert trained.validation > 0.8
    assert evaluate(trained.model, task, arrays["test"]).accuracy > 0.75


def test_the_same_seed_gives_the_same_bits_and_another_does_not(digits):
    first, again, other = (run(digits, seed=s).model.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not all(torch.equal(first[k], other[k]) for k in first)


def test_numbers_near_zero_are_zeros_while_it_trains_and_not_after_it(digits, monkeypatch):
    """A gradient that fades is slow to compute with, and nothing sees it."""
    seen = {"forward": [], "backward": []}

    def spy(model, args, y):
        tiny = torch.tensor(1e-39)
        seen["forward"].append(float(tiny * 1))
        if y.requires_grad:
            y.register_hook(lambda grad: seen["backward"].append(float(tiny * 1)))

    handle = nn.modules.module.register_module_forward_hook(spy)
    trained = run(digits, steps=3)
    evaluate(trained.model, *digits[:1], digits[1]["test"])
    handle.remove()
    assert set(seen["forward"]) == set(seen["backward"]) == {0.0}
    assert float(torch.tensor(1e-39) * 1) > 0


def test_the_checkpoint_is_the_best_of_the_evaluations_reported(digits):
    task, arrays = digits
    seen = []
    trained = run(digits, seen=seen)
    assert [evaluation.number for evaluation in seen] == list(range(1, 9))
    assert [e.seconds for e in seen] == sorted(e.seconds for e in seen)
    assert trained.validation == max(evaluation.value for evaluation in seen)
    assert all(evaluation.snapshot is None for evaluation in seen)
    assert evaluate(trained.model, task, arrays["validation"]).accuracy == trained.validation


def test_the_test_set_is_never_read(digits):
    task, arrays = digits
    trained = run((task, {k: v for k, v in arrays.items() if k != "test"}))
    assert math.isfinite(trained.validation)


def test_an_absurd_learning_rate_diverges(digits):
    recipe = Recipe(clip_norm=math.inf, schedule="constant", optimizer="rmsprop")
    with pytest.raises(Diverged, match="not finite at step"):
        run(digits, rate=1e30, recipe=recipe)


def test_not_a_number_in_the_inputs_diverges(digits):
    task, arrays = digits
    x, y = arrays["train"]
    broken = {**arrays, "train": (x.astype("float32") + float("nan"), y)}
    with pytest.raises(Diverged):
        run((task, broken))


@pytest.mark.parametrize("steps", [1, 3, 8, 100])
def test_the_last_step_is_always_evaluated(steps):
    at = Recipe().evaluation_steps(steps)
    assert at[-1] == steps
    assert at == sorted(set(at))


def test_the_cosine_schedule_warms_up_and_ends_at_zero():
    rate = factor(Recipe(), 100)
    rates = [rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == 1 == rates[5]
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[5:] == sorted(rates[5:], reverse=True)


TORCHS = {
    "adam": lambda weights, rate: torch.optim.Adam(weights, lr=rate, fused=True),
    "rmsprop": lambda weights, rate: torch.optim.RMSprop(weights, lr=rate, alpha=0.9),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_torchs_to_the_last_bit(name, count):
    """Of several parameters, one of them complex and one without a gradient at times; and of a
    single one, as nets have after `flatten`."""

    def weights() -> list[torch.nn.Parameter]:
        torch.manual_seed(0)
        # Torch's Adam takes complex ones by another of its functions, in another order.
        kinds = (
            torch.float32,
            torch.float32,
            torch.complex64 if name == "rmsprop" else torch.float32,
        )
        return [torch.nn.Parameter(torch.randn(3, 5, dtype=kind)) for kind in kinds[:count]]

    ours, theirs = weights(), weights()
    optimizer, rate = Optimizer(Recipe(optimizer=name), ours), factor(Recipe(), 20)
    other = TORCHS[name](theirs, 3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(other, rate)
    for step in range(20):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            two.grad = one.grad.clone()
        if step % 3 == 0:
            ours[-2:][0].grad = theirs[-2:][0].grad = None
        optimizer.step(3e-3 * rate(step))
        other.step()
        schedule.step()
        for one, two in zip(ours, theirs, strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-3, 1.0, 1e3, 1e18, 1e25, math.inf, math.nan])
@pytest.mark.parametrize("largest", [0.25, 1.0, math.inf])
@pytest.mark.parametrize("shapes", [[(5000,)], [(3,), (4, 5)]])
def test_clipping_is_torchs_to_the_last_bit(scale, largest, shapes):
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for one, two in zip(ours, theirs, strict=True):
        one.grad = torch.randn_like(one) * scale
        two.grad = one.grad.clone()
    norm = clip(ours, largest)
    assert norm == pytest.approx(
        float(torch.nn.utils.clip_grad_norm_(theirs, largest)), rel=0, nan_ok=True
    )
    for one, two in zip(ours, theirs, strict=True):
        assert one.grad.view(torch.int32).equal(two.grad.view(torch.int32))


def test_training_does_without_torchs_compiler():
    """It takes a process two seconds to import."""
    code = (
        "import sys, torch\n"
        "from drnn_bench.results.recipe import OPTIMIZERS, Recipe\n"
        "from drnn_bench.training.optimizer import Optimizer\n"
        "import drnn_bench.training.loop\n"
        "weights = [torch.nn.Parameter(torch.ones(3))]\n"
        "for name in ('adam', 'rmsprop'):\n"
        "    optimizer = Optimizer(Recipe(optimizer=name), weights)\n"
        "    weights[0].sum().backward()\n"
        "    optimizer.step(0.1)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=ENV)


def test_evaluation_does_not_depend_on_the_batches(digits):
    task, arrays = digits
    model = configure("dilated_cnn", **NET, depth=6).build()
    x, y = arrays["train"]
    whole = evaluate(model, task, (x, y))
    parts = [evaluate(model, task, (x[i : i + 100], y[i : i + 100])) for i in range(0, len(x), 100)]
    sizes = [len(x[i : i + 100]) for i in range(0, len(x), 100)]
    for key in ("accuracy", "cross_entropy", "value"):
        mean = sum(getattr(p, key) * n for p, n in zip(parts, sizes, strict=True)) / len(x)
        assert getattr(whole, key) == pytest.approx(mean, rel=1e-5)
    assert np.concatenate([p.outcomes_N for p in parts]) == pytest.approx(whole.outcomes_N)
    assert whole.outcomes_N.mean() == pytest.approx(whole.value)
    p = whole.accuracy
    assert whole.standard_error == pytest.approx((p * (1 - p) / len(x)) ** 0.5, rel=0.1)


def test_an_evaluation_takes_no_more_sequences_at_once_than_training_does(digits):
    task, arrays = digits
    model, seen = build("rnn", input_size=1, output_size=10, width=4), []
    model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    evaluate(model, task, arrays["train"])
    assert sum(seen) == len(arrays["train"][0])
    assert max(seen) <= Recipe().batch_size


def test_nor_does_that_of_a_recipe_of_small_batches(digits):
    seen: list[int] = []

    def note(module, given):
        if isinstance(module, SequenceModel):
            seen.append(len(given[0]))

    hook = register_module_forward_pre_hook(note)
    try:
        run(digits, steps=2, recipe=Recipe(batch_size=8))
    finally:
        hook.remove()
    assert set(seen) == {8}  # 240 sequences are validated


def same(one, other) -> bool:
    """Whether two trainings gave the same values and weights, to the last bit."""
    weights = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return one.curve == other.curve and all(torch.equal(a, b) for a, b in weights)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A stream task, whose training carries a state from chunk to chunk."""
    folder = tmp_path_factory.mktemp("text")
    rng = random.Random(0)
    (folder / "t.txt").write_text("".join(rng.choice("abcde ") for _ in range(21_000)))
    read = parse_task(f"char_text:path={folder / 't.txt'},length=20").read(None)
    return read.task, read.arrays


@pytest.mark.parametrize("data", ["digits", "text"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_continues_from_any_snapshot_to_the_last_bit(family, data, request):
    task, arrays = request.getfixturevalue(data)
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    config = configure(family, **sizes, **NETS[family][0])
    recipe = Recipe(batch_size=16, evaluations=4)

    def training(**options):
        return train(
            config, task, arrays, recipe, learning_rate=1e-3, steps=8, seed=1, **options
        )  # fmt: skip

    whole = training(snapshots_after=0.0)
    evaluations = [next(whole) for _ in range(4)]
    whole = drain(whole)
    for stopped in (0, 2):
        torch.rand(7)  # whatever else a trainer has drawn meanwhile
        again = training(resume=evaluations[stopped].snapshot)
        told = [next(again) for _ in range(4)]
        assert [e.value for e in told] == [e.value for e in evaluations]
        assert same(drain(again), whole)


def test_what_is_no_snapshot_is_refused(digits):
    for junk in (b"", b"junk", pickle.dumps(print)):
        with pytest.raises(UserError, match="a snapshot cannot be read"):
            run(digits, resume=junk)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_made_one_are_still_the_models(family):
    torch.manual_seed(0)
    model = build(family, input_size=3, output_size=5, **NETS[family][0])
    before = [p.detach().clone() for p in model.parameters()]
    (weights,) = flatten(model)
    assert all(torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True))
    model(torch.randn(2, 9, 3)).square().sum().backward()
    own = [p.grad.norm() for p in model.parameters()]
    assert torch.isclose(weights.grad.norm(), torch.stack(own).norm())
    with torch.no_grad():
        weights += 1
    for p, was in zip(model.parameters(), before, strict=True):
        assert torch.equal(p, was + 1)
