"""The folder of a net: back to the last bit in a fresh process, and refused where damaged."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from drnn_bench import plugins
from drnn_bench.export.loading import (
    CONFIG,
    WEIGHTS,
    digest,
    load,
)
from drnn_bench.models import weights
from drnn_bench.testing.nets import (
    INPUTS,
    OUTPUTS,
    architecture_of,
    make,
)
from tests.support.command import ROOT
from tests.support.nets import NETS
from tests.support.refused import refusal


def trained(family, options):
    """A net whose every number is one that no initialisation gives."""
    model = make(family, options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def write(folder: Path, family: str, options: dict, model) -> Path:
    folder.mkdir()
    config = architecture_of(family, options)
    told = {"format": 1, "family": family, "config": config.config, "input_size": INPUTS,
            "output_size": OUTPUTS, "weights": weights.save(model, folder / WEIGHTS)}  # fmt: skip
    (folder / CONFIG).write_text(json.dumps(told | {"digest": digest(told)}))
    return folder


def outputs(model) -> str:
    """All bits of what a net gives, at once and in chunks."""
    x = torch.randn(2, 40, INPUTS, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        state, parts = None, []
        for chunk in x.split((1, 30, 9), dim=1):
            y, state = model.stream(chunk, state)
            parts.append(y)
        bits = b"".join(y.contiguous().numpy().tobytes() for y in (model(x), *parts))
    return hashlib.sha256(bits).hexdigest()


FRESH = f"""
import hashlib, sys, torch, drnn_bench
INPUTS = {INPUTS}
{inspect.getsource(outputs)}
torch.set_num_threads(1)
torch.manual_seed(5)
before = torch.random.get_rng_state()
for folder in sys.argv[1:]:
    model = drnn_bench.load(folder)
    assert not model.training
    print(outputs(model))
assert torch.equal(torch.random.get_rng_state(), before), "the caller's draws have changed"
"""

ROTOR = '''
"""A family of complex parameters: h_t = sum over n of Re(c_n a_n^k x_{t-k}), k = 0..3."""
from dataclasses import dataclass
import torch
from torch import nn
from torch.nn import functional as F
from drnn_bench.models.architecture import Stepwise
from drnn_bench.models.layers import CausalHead, SequenceModel

@dataclass(frozen=True, kw_only=True)
class Rotor(Stepwise):
    family = "rotor"
    summary = "complex"

    def network(self):
        sizes = (self.input_size, *self.widths)
        layers = [Layer(sizes[i], sizes[i + 1]) for i in range(self.depth)]
        return SequenceModel(layers, CausalHead(sizes[-1], self.output_size))

class Layer(nn.Module):
    dilation = 1

    def __init__(self, inputs, width):
        super().__init__()
        self.c = nn.Parameter(torch.randn(width, inputs, dtype=torch.complex64))
        self.again = self.c  # one tensor under two names
        self.register_buffer("turn", torch.tensor([1j]))
        self.register_buffer("scale", torch.tensor(0.5), persistent=False)

    def forward(self, x_TBI, chains):
        return self.stream(x_TBI, None)[0]

    def stream(self, x_TBI, state):
        return self.scale * F.linear(x_TBI * self.turn, self.c).real, torch.zeros(1)
'''


def test_every_family_is_back_to_the_last_bit_in_a_fresh_process(tmp_path, monkeypatch):
    (tmp_path / "rotor.py").write_text(ROTOR)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "rotor.py"))
    nets = [(family, options) for family, many in NETS.items() for options in many]
    nets += [("rotor", {"depth": 2, "width": 3}), ("s4d", {"width": 4, "embedding": 2})]
    models = [trained(*net) for net in nets]
    folders = [write(tmp_path / f"{i}", *nets[i], model) for i, model in enumerate(models)]
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *map(str, folders)],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.split() == [outputs(model) for model in models], done.stderr
    assert {p.dtype for p in models[-2].parameters()} == {torch.float32, torch.complex64}
    assert len(set(done.stdout.split())) == len(nets)


def test_a_loaded_net_can_be_trained_on(tmp_path):
    model = load(write(tmp_path / "net", "s4d", {"width": 4}, trained("s4d", {"width": 4})))
    model(torch.randn(2, 9, INPUTS)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


# -- what is damaged or hostile ----------------------------------------------------------------

NET = ("dilated_rnn", {"cell": "lstm", "depth": 2, "start": 1, "fusion": True, "width": (3, 4)})


@pytest.fixture
def net(tmp_path) -> Path:
    return write(tmp_path / "net", *NET, trained(*NET))


def edit(folder: Path, **changes) -> dict:
    """Changes config.json, and no more; options of the net as `option_...`."""
    told = json.loads((folder / CONFIG).read_text())
    for key, value in changes.items():
        if key.startswith("option_"):
            told["config"][key.removeprefix("option_")] = value
        else:
            told[key] = value
    (folder / CONFIG).write_text(json.dumps(told))
    return told


def change(folder: Path, **changes) -> None:
    """The same with the digest that belongs to it: as a hostile hand would."""
    edit(folder, digest=digest(edit(folder, **changes)))


def retensor(folder: Path, replaced) -> None:
    """Other tensors, with the sum that belongs to them: as a hostile hand would."""
    tensors = load_file(folder / WEIGHTS)
    save_file(replaced(tensors), folder / WEIGHTS)
    change(folder, weights=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest())


def cut(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1])


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("pickled"),)


def unlinked(folder: Path, name: str) -> None:
    (folder / name).unlink()


HEAD = "head.weight"
HOSTILE = {  # what is done to the folder -> what is said
    "cut": (cut, "not a whole safetensors file"),
    "empty": (lambda f: (f / WEIGHTS).write_bytes(b""), "not a whole safetensors file"),
    "pickle": (lambda f: (f / WEIGHTS).write_bytes(pickle.dumps(Evil())), "not a whole"),
    "long header": (lambda f: (f / WEIGHTS).write_bytes(b"\xff" * 7 + b"\x7f{}"), "not a whole"),
    "no weights": (lambda f: unlinked(f, WEIGHTS), "no such file"),
    "folder": (lambda f: (unlinked(f, WEIGHTS), (f / WEIGHTS).mkdir()), "no such file"),
    "shape": (lambda f: retensor(f, lambda t: {**t, HEAD: t[HEAD][:, :3].clone()}),
              "head.weight has shape (2, 3, 4), the net's is (2, 4, 4)"),
    "missing": (lambda f: retensor(f, lambda t: {n: t[n] for n in t if n != HEAD}),
                "lacks head.weight"),
    "extra": (lambda f: retensor(f, lambda t: {**t, "more": t[HEAD] + 1}),
              "has more than the net: more"),
    "kind": (lambda f: retensor(f, lambda t: {**t, HEAD: t[HEAD].double()}), "torch.float64"),
    "other weights": (lambda f: change(f, weights="0" * 64), "damaged"),
    "no config": (lambda f: unlinked(f, CONFIG), "no such file"),
    "no JSON": (lambda f: (f / CONFIG).write_text("{"), "no whole JSON"),
    "deep": (lambda f: (f / CONFIG).write_text("[" * 100_000), "no whole JSON"),
    "bytes": (lambda f: (f / CONFIG).write_bytes(b"\xff\xfe\x00"), "no whole JSON"),
    "digits": (lambda f: (f / CONFIG).write_text("9" * 10_000), "no whole JSON"),
    "a list": (lambda f: (f / CONFIG).write_text("[]"), "not an object"),
    "much": (lambda f: (f / CONFIG).write_bytes(b" " * 10_000_001), "larger than any"),
    "format": (lambda f: change(f, format=2), "format 2"),
    "family": (lambda f: change(f, family="lstn"), "did you mean 'lstm'"),
    "path": (lambda f: change(f, family="../../evil"), "unknown family"),
    "module": (lambda f: change(f, family="os.system"), "unknown family"),
    "no family": (lambda f: change(f, family=["lstm"]), "'family' is missing or is no string"),
    "size": (lambda f: change(f, input_size=True), "'input_size' is missing or is no whole"),
    "billion": (lambda f: change(f, option_width=10**9), "width must be at most 10,000,000"),
    "millions": (lambda f: change(f, option_width=10**7), "has shape"),
    "beyond 64 bits": (lambda f: change(f, option_width=10**7, option_start=40), "above 10,000"),
    "depth": (lambda f: change(f, option_depth=10**7), "depth is beyond the 8 tensors"),
    "exponent": (lambda f: change(f, option_start=10**7, option_base=10**7), "start is beyond"),
    "widths": (lambda f: change(f, option_width=[1] * 10**6), "width is beyond the 8 tensors"),
    "words": (lambda f: change(f, option_width="x" * 9), "width must be a whole number"),
    "nothing": (lambda f: change(f, option_dilations=7), "not how a dilated_rnn is described"),
    "object": (lambda f: change(f, option_cell={"lstm": 1}), "unknown cell"),
    "twice": (lambda f: change(f, option_input_size=3), "not how a dilated_rnn is described"),
    "option": (lambda f: change(f, option_eval="x"), "no option 'eval'"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_damaged_or_hostile_folder_is_refused(what, net, monkeypatch):
    monkeypatch.chdir(net.parent)
    spoil, words = HOSTILE[what]
    spoil(net)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert words in refusal(load, net)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 100_000  # KiB
    assert not Path("pickled").exists()


@pytest.mark.parametrize("changes", [{"option_base": 3}, {"option_start": 2}])
def test_an_edited_net_of_equal_shapes_is_refused(tmp_path, changes):
    plain = ("dilated_rnn", {"cell": "lstm", "depth": 2, "start": 1, "width": (3, 4)})
    net = write(tmp_path / "net", *plain, trained(*plain))
    load(net)
    told = edit(net, **changes)
    assert refusal(load, net) == (
        f"{net / CONFIG}: changed since it was exported (its digest is of another net); "
        "export it again"
    )
    # The tensors alone fit: folders from before there was a digest load as they did.
    del told["digest"]
    (net / CONFIG).write_text(json.dumps(told))
    load(net)


def test_what_is_for_people_may_be_edited(net):
    edit(net, note="ours", task={"name": "another"})
    load(net)


@pytest.mark.parametrize("value", [None, 7, "", ["x"]])
def test_a_digest_of_another_kind_is_refused(net, value):
    edit(net, digest=value)
    assert "its digest is of another net" in refusal(load, net)


@pytest.mark.parametrize("depth", [500, 900, 990])
def test_a_deep_config_is_one_line(net, depth):
    nested = '{"a":' * depth + "1" + "}" * depth
    text = (net / CONFIG).read_text()
    (net / CONFIG).write_text(text.replace('"config": {', f'"config": {{"deep": {nested}, '))
    refusal(load, net)


def test_where_there_is_no_folder():
    assert "`bench export` makes" in refusal(load, Path("nowhere"))


@settings(max_examples=60)
@given(st.data())
def test_no_byte_can_change_unseen(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "flipped"
    if not folder.exists():
        write(folder, *NET, trained(*NET))
        shutil.copy(folder / WEIGHTS, folder / "whole")
    whole = (folder / "whole").read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    spoilt = bytearray(whole)
    spoilt[place] ^= flip
    (folder / WEIGHTS).write_bytes(spoilt)
    refusal(load, folder)
