"""A process that imports once what all trainers of a machine need, and forks each of them.

Trainers then share the memory of what is imported, and one that takes a dead one's place is there
at once. This process has one thread and computes nothing, so that it can be forked. It reads
requests of four bytes from a socket and ends when the driver is gone:

    0 and a pipe's descriptor   fork a trainer that serves this pipe; no answer
    the pid of a trainer        wait until it has ended; the answer is its exit code, four bytes,
                                negative for a signal (os.waitstatus_to_exitcode)
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

from drnn_bench.execution.trainer import serve
from drnn_bench.system.allocator import keep_freed_memory
from drnn_bench.system.collector import importing

NUMBER = struct.Struct("i")
PATIENCE = 1.0  # seconds for a trainer to end by itself; it is killed then
# Libraries of macOS start threads when they are loaded: there every trainer imports for itself.
IMPORTS_FIRST = sys.platform != "darwin"


def main(descriptor: int, modules: Sequence[str]) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # they reach the driver too, which decides
    keep_freed_memory()
    if IMPORTS_FIRST:
        _import(modules)
    pipe = _pipe_of_a_trainer(socket.socket(fileno=descriptor))
    if pipe is not None:
        pipe.send(os.getpid())
        _import(modules)
        serve(pipe)


def _import(modules: Sequence[str]) -> None:
    with importing():
        for name in modules:
            importlib.import_module(name)


def _pipe_of_a_trainer(channel: socket.socket) -> Connection | None:
    """Answers requests. Returns in each process that it forks, with the pipe to serve; and here,
    with none, when the driver is gone."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(channel, NUMBER.size, 1)
        if not request:
            return None
        if not descriptors:
            channel.sendall(NUMBER.pack(_exit_code(*NUMBER.unpack(request))))
        elif os.fork() == 0:
            channel.close()
            return Connection(descriptors[0])
        else:
            os.close(descriptors[0])


def _exit_code(pid: int) -> int:
    end = time.monotonic() + PATIENCE
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
