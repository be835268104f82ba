"""A net's weights as a safetensors file, which holds numbers and their names and no code.

In a runs folder the weights of every complete final lie in `weights/`, in a file named after what
was trained. The final's row has the file's SHA-256.
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
    from drnn_bench.models.inputs import Net

FOLDER = "weights"  # in a runs folder


def file_name(row: dict[str, Any]) -> str:
    """The name of a final's file, from its row: its study, net and seed."""
    net = json.dumps([row["config"], row["learning_rate"]], sort_keys=True)
    return f"{row['study']}-{sha256(net.encode())[:8]}-{row['seed']}.safetensors"


def pack(model: nn.Module) -> bytes:
    """A net's weights as the bytes of a file."""
    import torch
    from safetensors.torch import save

    # Each is cloned, as a plug-in's net may use one tensor under two names.
    return save(
        {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in model.state_dict().items()
        }
    )


def save(model: nn.Module, path: Path) -> str:
    """Writes a net's weights. Returns the file's SHA-256. Raises JobError where it cannot."""
    data = pack(model)
    write(data, path)
    return sha256(data)


def write(data: bytes, path: Path) -> None:
    """Writes a file whole or not at all. Raises JobError where it cannot."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise JobError(
            f"{path.parent}: weights cannot be written there ({error.strerror}); what is finished "
            "is saved, and the same command continues"
        ) from None


def read(path: Path, digest: str) -> bytes:
    """The file's bytes. Raises UserError where they do not have this SHA-256."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if sha256(data) != digest:
        raise UserError(f"{path}: damaged, these are not the weights that were saved")
    return data


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a file; reads none of the numbers."""
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def load(architecture: Architecture, path: Path) -> Net:
    """The net of an architecture with the weights of a file, in evaluation mode on the CPU.

    The file may come from anywhere. Raises UserError where it is damaged, or where its tensors are
    not exactly those of the net; that is checked before memory for the net is allocated.
    """
    import torch

    expected = _described(architecture, path)
    _compare(shapes(path), {name: tuple(t.shape) for name, t in expected.items()}, path)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in expected}
    for name, tensor in tensors.items():
        dtype = expected[name].dtype
        if tensor.dtype != dtype:
            raise UserError(f"{path}: {name} is {tensor.dtype}, the net's is {dtype}")
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # torch's generator stays as it is
        model = architecture.build()
    model.load_state_dict(tensors)
    return model.eval()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens a safetensors file. Raises UserError where it is missing or not whole."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({one_line(error)})") from None


def _described(architecture: Architecture, path: Path) -> dict[str, Tensor]:
    """The net's tensors on the meta device, without numbers."""
    from drnn_bench.models.blank import blank

    try:
        return blank(architecture).state_dict()
    except Exception as error:  # sizes out of all bounds raise errors of many kinds
        raise UserError(f"{path}: its net cannot be built ({one_line(error)})") from None


def _compare(actual: dict[str, tuple], expected: dict[str, tuple], path: Path) -> None:
    """Raises UserError naming the first tensors that differ."""
    for word, names in (("lacks", expected.keys() - actual.keys()),
                        ("has more than the net:", actual.keys() - expected.keys())):  # fmt: skip
        if names:
            shown = ", ".join(sorted(names)[:3])
            raise UserError(f"{path}: {word} {shown}" + (", ..." if len(names) > 3 else ""))
    for name, shape in expected.items():
        if actual[name] != shape:
            raise UserError(f"{path}: {name} has shape {actual[name]}, the net's is {shape}")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
