"""Where data is found: the folder given with --data-dir, and only there; else the Hugging Face hub.

Files are checked as they are read: what is wrong is said in one line that names the file.
"""

from __future__ import annotations

import os
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import listed
from drnn_bench.formats.idx import read_idx

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MNIST_HUB = "ylecun/mnist"
PARQUET = "refs/convert/parquet"  # where main holds a loading script, which `datasets` refuses
SMALL_READ = 2**16  # bytes; else 5 MB are fetched for the few in a row group's short columns
UNAIDED = "pixel_digits, copy_memory, adding and mackey_glass need no data"


def recorded_name(path: Path) -> str:
    """What a record calls a file or folder of the user's: never where it lies."""
    name = re.sub("_(TRAIN|TEST)$", "", Path(os.path.abspath(path)).stem)
    # Bytes that are no UTF-8 would be refused by every file and database that the name comes to.
    return os.fsencode(name).decode(errors="backslashreplace")


def find(path: Path) -> Path:
    """The path; where nothing is there, the one kind of file beside it that a record calls so."""
    if path.exists() or not path.parent.is_dir():
        return path
    alike = [x for x in listed(path.parent) if x.is_file() and recorded_name(x) == path.name]
    return alike[-1] if len({x.suffix for x in alike}) == 1 else path


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
    paths, missing = [], []
    for name in MNIST_FILES:
        path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
        (missing if path is None else paths).append(path or f"{name}[.gz]")
    if missing:
        raise UserError(
            f"data folder {folder} lacks {', '.join(missing)}: the four MNIST idx files are at "
            f"https://storage.googleapis.com/cvdf-datasets/mnist/; without --data-dir the hub's "
            f"{MNIST_HUB} is used"
        )
    return paths


def _mnist_from_hub(split: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [(row["image"], row["label"]) for row in from_hub(MNIST_HUB, split, ("image", "label"))]
    x = np.stack([np.asarray(image, dtype=np.uint8) for image, _ in rows])
    return x, np.array([label for _, label in rows], dtype=np.uint8)


def from_hub(
    name: str,
    split: str,
    columns: Sequence[str],
    revision: str | None = None,
    streaming: bool = False,
    filters: Sequence[tuple] | None = None,
) -> Iterator[Mapping[str, Any]]:
    """The rows of a data set on the hub, or in the cache of an earlier download.

    Images come decoded; recordings are left as their bytes: {"bytes": ..., "path": ...}. With
    `streaming` nothing is kept on disk, and of parquet files only the columns and the row groups
    that `filters` (as pyarrow has them) may hold are fetched. They spare the network and no more:
    from the cache every row comes.

    No configuration is named: `datasets` refuses one at the revision PARQUET, where it is a folder.
    """
    if not hub_in_sight():
        os.environ["HF_HUB_OFFLINE"] = "1"  # read at import: the cache, or an error at once
    from datasets import Audio, Dataset, IterableDataset, load_dataset

    load = partial(load_dataset, name, split=split, revision=revision)
    parts = {}
    if streaming:
        load = partial(load, streaming=True, storage_options={"hf": {"block_size": SMALL_READ}})
        parts = {"columns": list(columns), "filters": filters}
    try:
        try:
            rows = load(**parts)
        except ValueError:  # from the cache, which knows data sets as a whole only
            rows = load()
    except Exception as error:  # its own, and those of each library below it, httpx and so on
        options = f"'{name}'" + (f", revision='{revision}'" if revision else "")
        raise UserError(
            f"{name} is not in the datasets cache and the hub does not give it "
            f"({_first_line(error)}); give a folder with --data-dir, or fetch it where there is a "
            f'network: python -c "import datasets; datasets.load_dataset({options})"; {UNAIDED}'
        ) from None
    assert isinstance(rows, Dataset | IterableDataset)  # for one split was asked
    try:
        rows = rows.select_columns(list(columns))
        for column, kind in (rows.features or {}).items():
            if isinstance(kind, Audio):  # else `datasets` wants torchcodec
                rows = rows.cast_column(column, Audio(decode=False))
        yield from cast(Iterator[Mapping[str, Any]], iter(rows))
    except Exception as error:
        raise UserError(
            f"{name}: its rows cannot be read ({_first_line(error)}); {UNAIDED}"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def hub_in_sight() -> bool:
    """Whether the hub can be connected to, or a proxy will do that; without it `datasets` retries
    for half a minute before it says so."""
    if {"http", "https", "all"} & urllib.request.getproxies().keys():
        return True
    hub = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        port = hub.port or (80 if hub.scheme == "http" else 443)
        socket.create_connection((hub.hostname, port), timeout=5).close()
    except OSError:
        return False
    return True
