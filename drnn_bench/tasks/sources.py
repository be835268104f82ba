"""Where data is found: the folder given with --data-dir, and only there; else the Hugging Face hub.

Files are checked as they are read: what is wrong is said in one line that names the file.
"""

from __future__ import annotations

import os
import socket
import urllib.request
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.idx import read_idx

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MNIST_HUB = "ylecun/mnist"


def mnist(data_dir: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images uint8 [N, 784] and labels int64 [N], then those of the test set."""
    if data_dir is None:
        parts = [_mnist_from_hub(split) for split in ("train", "test")]
        (train_x, train_y), (test_x, test_y) = parts
        names = [f"{MNIST_HUB} {what}" for what in ("train", "train", "test", "test")]
    else:
        paths = _mnist_paths(Path(data_dir))
        train_x, train_y, test_x, test_y = (read_idx(path) for path in paths)
        names = [str(path) for path in paths]
    for what, x, y, x_name, y_name in (
        ("train", train_x, train_y, *names[:2]),
        ("test", test_x, test_y, *names[2:]),
    ):
        if x.ndim != 3 or x.shape[1:] != (28, 28):
            raise UserError(
                f"{x_name}: the {what} images have shape {x.shape}, expected (N, 28, 28)"
            )
        if y.shape != (len(x),):
            raise UserError(f"{y_name}: {len(x)} images but {len(y)} labels ({what}; see {x_name})")
        if y.size and y.max() > 9:
            raise UserError(f"{y_name}: a label is {y.max()}, expected 0 to 9 ({what})")
    return (
        train_x.reshape(-1, 784),
        train_y.astype(np.int64),
        test_x.reshape(-1, 784),
        test_y.astype(np.int64),
    )


def _mnist_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"data folder {folder} does not exist (--data-dir)")
    found, missing = [], []
    for name in MNIST_FILES:
        path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
        (missing if path is None else found).append(path or f"{name}[.gz]")
    if missing:
        raise UserError(
            f"data folder {folder} lacks {', '.join(missing)}: the four MNIST idx files are at "
            f"https://storage.googleapis.com/cvdf-datasets/mnist/; without --data-dir the hub's "
            f"{MNIST_HUB} is used"
        )
    return found


def _mnist_from_hub(split: str) -> tuple[np.ndarray, np.ndarray]:
    return images_and_labels(from_hub(MNIST_HUB, split))


def images_and_labels(rows) -> tuple[np.ndarray, np.ndarray]:
    """The columns `image` and `label` of a loaded dataset, as arrays."""
    x = np.stack([np.asarray(image, dtype=np.uint8) for image in rows["image"]])
    return x, np.asarray(rows["label"], dtype=np.uint8)


def from_hub(name: str, split: str, revision: str | None = None):
    """A split from the hub, or from the cache of an earlier download."""
    if not _hub_in_sight():
        os.environ["HF_HUB_OFFLINE"] = "1"  # read at import: the cache, or an error at once
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    try:
        return load_dataset(name, split=split, revision=revision)
    except (OSError, DatasetNotFoundError) as error:  # ConnectionError is an OSError
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{name} is not in the datasets cache and the hub cannot be reached ({why}); "
            f"give a folder with --data-dir, or fetch it where there is a network: "
            f"python -c \"import datasets; datasets.load_dataset('{name}')\""
        ) from None


def _hub_in_sight() -> bool:
    """Whether the hub's name resolves, or a proxy will do that; without it `datasets` retries for
    half a minute before it says so."""
    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo("huggingface.co", 443)
    except OSError:
        return False
    return True
