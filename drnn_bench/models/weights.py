"""A net's weights as a safetensors file: numbers and their names, nothing that could be run.

In a runs folder every complete final's weights lie in `weights/`, in a file named by what was
trained; the final's row has the file's SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnn_bench.errors import JobError, UserError, one_line
from drnn_bench.system.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from drnn_bench.models.architecture import Architecture

FOLDER = "weights"  # in a runs folder


def file_name(row: dict[str, Any]) -> str:
    """Where a final's weights lie, from its row: its study, net and seed."""
    net = json.dumps([row["config"], row["learning_rate"]], sort_keys=True)
    return f"{row['study']}-{sha256(net.encode())[:8]}-{row['seed']}.safetensors"


def pack(model: nn.Module) -> bytes:
    """A net's weights as a file's bytes."""
    import torch
    from safetensors.torch import save

    # Each on its own, for a plug-in's net may use one tensor twice.
    return save(
        {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in model.state_dict().items()
        }
    )


def save(model: nn.Module, path: Path) -> str:
    """Writes a net's weights; gives the file's SHA-256."""
    data = pack(model)
    write(data, path)
    return sha256(data)


def write(data: bytes, path: Path) -> None:
    """Writes a file whole or not at all."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise JobError(
            f"{path.parent}: weights cannot be written there ({error.strerror}); what is finished "
            "is saved, and the same command continues"
        ) from None


def read(path: Path, digest: str) -> bytes:
    """The file as it was written. Raises UserError where it is another."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if sha256(data) != digest:
        raise UserError(f"{path}: damaged, these are not the weights that were saved")
    return data


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a file; no number of it is read."""
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def load(config: Architecture, path: Path) -> nn.Module:
    """The net of a config with the weights of a file, in evaluation mode on the CPU.

    The file is outside input: raises UserError where it is damaged, or where its tensors are not
    exactly those of the net. Nothing of a net's size is allocated before that is known.
    """
    import torch

    wanted = _described(config, path)
    _compare(shapes(path), {name: tuple(t.shape) for name, t in wanted.items()}, path)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in wanted}
    for name, tensor in tensors.items():
        if tensor.dtype != wanted[name].dtype:
            raise UserError(f"{path}: {name} is {tensor.dtype}, the net's is {wanted[name].dtype}")
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # the caller's draws stay
        model = config.build()
    model.load_state_dict(tensors)
    return model.eval()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file; it checks by itself that it is whole."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({one_line(error)})") from None


def _described(config: Architecture, path: Path) -> dict[str, Tensor]:
    """The net's tensors without their numbers."""
    import torch

    try:
        with torch.device("meta"):
            return config.build().state_dict()
    except Exception as error:  # whatever sizes beyond all bounds come to
        raise UserError(f"{path}: its net cannot be built ({one_line(error)})") from None


def _compare(found: dict[str, tuple], wanted: dict[str, tuple], path: Path) -> None:
    """Raises UserError naming the first tensors that differ."""
    for word, names in (("lacks", wanted.keys() - found.keys()),
                        ("has more than the net:", found.keys() - wanted.keys())):  # fmt: skip
        if names:
            shown = ", ".join(sorted(names)[:3])
            raise UserError(f"{path}: {word} {shown}" + (", ..." if len(names) > 3 else ""))
    for name, shape in wanted.items():
        if found[name] != shape:
            raise UserError(f"{path}: {name} has shape {found[name]}, the net's is {shape}")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
