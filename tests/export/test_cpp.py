"""The model card's C++, compiled as it stands, beside what Python gives.

It wants a compiler, onnxruntime's headers (Debian: libonnxruntime-dev, or a folder named in
ONNXRUNTIME_INCLUDE) and the library, which the Python package has from 1.32 on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import drnn_bench
from drnn_bench.export.described import OUTPUTS, Described, of_task
from drnn_bench.export.onnx.write import exported
from drnn_bench.export.usage import usage
from drnn_bench.tasks.prepared import Prepared
from drnn_bench.tasks.registry import parse_task
from tests.support.exporter import exporter  # noqa: F401  (a fixture)

HEADERS = Path(os.environ.get("ONNXRUNTIME_INCLUDE", "/usr/include/onnxruntime"))
LIBRARIES = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
COMPILER = shutil.which("c++")

pytestmark = [
    pytest.mark.usefixtures("exporter"),
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler"),
    pytest.mark.skipif(
        not (HEADERS / "onnxruntime_cxx_api.h").is_file(), reason="no headers of onnxruntime"
    ),
    pytest.mark.skipif(not LIBRARIES, reason="this onnxruntime comes without its library"),
]


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["copy_memory:T=5", "mackey_glass:T=6"])
def test_it_gives_the_same_outputs(spec, tmp_path, monkeypatch):
    """Of symbols, and of real numbers; of zeros, which are all that the code puts in."""
    task = parse_task(spec)
    task = task.read(None).task if task.name == "mackey_glass" else task
    said = of_task(task, {})
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    runtime, files = exported(drnn_bench.build("gru", **sizes, depth=1, width=3).eval(), said)
    (tmp_path / "this folder").mkdir()
    for name, file in files.items():
        (tmp_path / "this folder" / name).write_bytes(file)
    [(name, (dtype, channels))] = said.inputs.raw.items()
    shape = (1, 100, *[len(channels)] * bool(channels))
    wanted = runtime.model({name: np.zeros(shape, dtype)})[OUTPUTS[said.answers.form.kind][0]]
    got = np.frombuffer(outputs(said, task, tmp_path), wanted.dtype).reshape(wanted.shape)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


def outputs(said: Described, task, folder: Path) -> bytes:
    """What the compiled program computes, which two lines write to its standard output."""
    card = usage(said, Prepared(task, "", "nowhere"), {}, True)
    [code] = re.findall("```cpp\n(.*?)```", card, flags=re.DOTALL)
    first = OUTPUTS[said.answers.form.kind][0]
    written = (
        "  size_t n = results[0].GetTensorTypeAndShapeInfo().GetElementCount();\n"
        f"  fwrite({first}, sizeof(*{first}), n, stdout);\n  return"
    )
    (folder / "card.cpp").write_text("#include <cstdio>\n" + code.replace("  return", written))
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # as linkers and programs look for it
        (folder / name).symlink_to(LIBRARIES[-1])
    subprocess.run(
        [COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", HEADERS, "card.cpp",
         f"-L{folder}", "-lonnxruntime", f"-Wl,-rpath,{folder}", "-o", "card"],
        cwd=folder, check=True,
    )  # fmt: skip
    return subprocess.run([folder / "card"], cwd=folder, check=True, capture_output=True).stdout
