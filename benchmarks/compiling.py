"""What a machine pays once: the fused kernels, compiled in a fresh process with an empty cache.

    python benchmarks/compiling.py [CELL]...

prints seconds of the processor, cell by cell, for convolutions and for diagonal recurrences. What
several share is paid by the first. A search waits for the kernels that its families use.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time


def compile_here(names: list[str]) -> None:
    from drnn_bench.kernels import CONVOLUTION, DIAGONAL, fused
    from drnn_bench.kernels.fused_cells import KERNELS
    from drnn_bench.system.provenance import processor

    print(f"{processor()}, load {os.getloadavg()[0]:.1f}.\n\n| kernels | core s |\n|---|---:|")
    total = 0.0
    for name in ["layout", *(names or [*KERNELS, CONVOLUTION, DIAGONAL])]:
        began = time.process_time()
        fused.ready(name)
        taken = time.process_time() - began
        total += taken
        print(f"| {name} | {taken:.1f} |", flush=True)
    print(f"| all | {total:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", nargs="*")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        compile_here(options.cells)
        return
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, "--here", *options.cells]
        subprocess.run(words, env=os.environ | {"NUMBA_CACHE_DIR": folder}, check=True)


if __name__ == "__main__":
    main()
