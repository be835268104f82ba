"""Trainers as actors of an existing Ray cluster: `bench run --ray auto|HOST:PORT`.

There is an actor for each processor of the cluster (or for each share of a GPU), on nodes that
join later too. What all jobs share is put into Ray's object store once, and every node reads it
from there. A Ray cluster is a trusted network: whoever reaches it can run code on it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import logging
import os
import platform
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drnn_bench import __version__
from drnn_bench.errors import JobError, UserError, one_line
from drnn_bench.execution.job import Event, Job, Lost, Yielded
from drnn_bench.execution.trainer import Trainer
from drnn_bench.system.allocator import keep_freed_memory
from drnn_bench.system.environment import THREAD_VARIABLES

ANSWER = 3.0  # seconds in which an address must answer
FIRST = 6.0  # seconds in which the cluster must have room for a first trainer
LOOK = 2.0  # seconds between two looks at the size of the cluster


def versions() -> dict[str, str]:
    """What must be the same on both sides."""
    import ray

    return {
        "drnn_bench": __version__,
        "ray": ray.__version__,
        "python": platform.python_version(),
    }


class _Actor(Trainer):
    """A trainer on some node of the cluster."""

    def __init__(self, shared: Any):
        super().__init__(shared)
        keep_freed_memory()

    def prepare(self, modules: Sequence[str]) -> dict[str, str]:
        """Checks the shared data and imports what jobs need. Returns this node's versions."""
        for name in modules:
            importlib.import_module(name)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        verify = getattr(self._shared, "verify", None)
        if verify is not None:
            verify()
        return versions()


@dataclass(eq=False)
class _Member:
    """The driver's end of one actor."""

    actor: Any
    ready: bool = False
    ticket: int | None = None
    reason: str = ""  # why the driver ended it


class RayExecutor:
    """An Executor of as many actors as the cluster has room for, `most` at most."""

    def __init__(
        self,
        address: str,
        shared: Any,
        modules: Sequence[str] = (),
        *,
        most: int | None = None,
        gpus: float = 0.0,
        variables: Mapping[str, str] | None = None,
    ):
        """`gpus`: of each actor; `variables`: of its environment. `shared` may have a method
        `verify` that raises where it arrived damaged. Raises UserError where the cluster cannot be
        used so."""
        self._ray = _connected(address, variables or {})
        self._most, self._gpus = most, gpus
        self._modules, self._tickets = list(modules), itertools.count(1)
        self._members: list[_Member] = []
        self._pending: dict[Any, _Member] = {}  # by the answer that is awaited
        self._looked = 0.0
        try:
            self._check_resources()
            self._shared = self._ray.put(shared)
            self._class = self._ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Actor)
        except BaseException:
            self._ray.shutdown()
            raise

    @property
    def size(self) -> int:
        return self._capacity()

    @property
    def free(self) -> int:
        return sum(member.ready and member.ticket is None for member in self._members)

    def start(self, job: Job) -> int:
        member = next(m for m in self._members if m.ready and m.ticket is None)
        member.ticket = next(self._tickets)
        member.actor.start.remote(job)
        self._await(member, member.actor.advance.remote())
        return member.ticket

    def advance(self, ticket: int) -> None:
        member = self._of(ticket)
        self._await(member, member.actor.advance.remote())

    def drop(self, ticket: int) -> None:
        member = self._of(ticket)
        member.actor.drop.remote()
        member.ticket = None

    def end(self, ticket: int, reason: str) -> None:
        member = self._of(ticket)
        member.reason = reason
        self._ray.kill(member.actor)

    def wait(self, seconds: float) -> list[tuple[int | None, Event]]:
        self._grow()
        if not self._pending:
            time.sleep(seconds)
            return []
        done, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=seconds)
        if done:  # and whatever else has arrived
            done, _ = self._ray.wait(list(self._pending), num_returns=len(self._pending), timeout=0)
        events = []
        for answer in done:
            member = self._pending.pop(answer)
            event = self._read(member, answer)
            if event is None or member.ticket is None:
                continue
            events.append((member.ticket, event))
            if not isinstance(event, Yielded):
                member.ticket = None
        return events

    def close(self) -> None:
        for member in self._members:
            with contextlib.suppress(Exception):
                self._ray.kill(member.actor)
        self._members, self._pending = [], {}
        self._ray.shutdown()

    def _read(self, member: _Member, answer: Any) -> Event | None:
        """An actor's event; None where it only says that it is ready."""
        import ray.exceptions

        try:
            value = self._ray.get(answer)
        except ray.exceptions.RayTaskError as error:  # in `prepare`: jobs' own errors are events
            cause = error.cause if error.cause is not None else error
            raise JobError(f"a trainer of the cluster cannot start: {one_line(cause)}") from None
        except ray.exceptions.RayActorError as error:
            self._members.remove(member)
            self._looked = 0.0  # another takes its place
            if getattr(error, "actor_init_failed", False) or "ModuleNotFound" in str(error):
                raise JobError(f"a trainer of the cluster cannot start: {_cause(error)}") from None
            return Lost(member.reason or "its node or process is gone")
        if member.ready:
            return value
        here = versions()
        different = [name for name in here if value[name] != here[name]]
        if different:
            node, machine = (", ".join(f"{n} {v[n]}" for n in different) for v in (value, here))
            raise UserError(
                f"a node of the cluster has {node}, this machine {machine}: they must be the same"
            )
        member.ready = True
        return None

    def _grow(self) -> None:
        """As many actors as the cluster has room for: nodes come and go."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        room = self._capacity()
        while len(self._members) < room:
            member = _Member(self._class.remote(self._shared))
            self._members.append(member)
            self._await(member, member.actor.prepare.remote(self._modules))
        spare = [m for m in self._members if not m.ready][: max(0, len(self._members) - room)]
        for member in spare:  # no node has room for them any more
            self._ray.kill(member.actor)
            self._members.remove(member)
            self._pending = {a: m for a, m in self._pending.items() if m is not member}

    def _capacity(self) -> int:
        total = self._ray.cluster_resources()
        room = int(total.get("CPU", 0))
        if self._gpus:
            room = min(room, int(total.get("GPU", 0) / self._gpus))
        return room if self._most is None else min(room, self._most)

    def _check_resources(self) -> None:
        total = self._ray.cluster_resources()
        if self._gpus and total.get("GPU", 0) < self._gpus:
            raise UserError(
                f"--gpus-per-trial {self._gpus:g}: the cluster has {total.get('GPU', 0):g} GPUs"
            )
        end = time.monotonic() + FIRST
        while True:
            free = self._ray.available_resources()
            if free.get("CPU", 0) >= 1 and free.get("GPU", 0) >= self._gpus:
                return
            if time.monotonic() > end:
                break
            time.sleep(0.2)  # a driver that has just ended gives its processors back
        raise UserError(
            f"the Ray cluster has no room for a trainer: {free.get('CPU', 0):g} processors and "
            f"{free.get('GPU', 0):g} GPUs are free, one processor and {self._gpus:g} GPUs are "
            "needed"
        )

    def _await(self, member: _Member, answer: Any) -> None:
        self._pending[answer] = member

    def _of(self, ticket: int) -> _Member:
        return next(member for member in self._members if member.ticket == ticket)


def check_address(address: str) -> None:
    """Raises UserError for an address that cannot be one, or where nothing answers, or where Ray
    is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UserError("--ray needs Ray: pip install 'drnn-bench[ray]'")
    if "://" in address:
        raise UserError(
            f"--ray {address}: run on a node of the cluster, and give `auto` or HOST:PORT; a Ray "
            "client (ray://) is not supported"
        )
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"--ray {address!r}: expected `auto` or HOST:PORT, as 10.0.0.5:6379")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except OSError as error:
        raise UserError(
            f"--ray {address}: no cluster answers there ({error.strerror or error})"
        ) from None


def _connected(address: str, variables: Mapping[str, str]) -> Any:
    """Ray, connected to the cluster. Raises UserError where it cannot be."""
    check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": dict.fromkeys(THREAD_VARIABLES, "1") | dict(variables)},
        )
    except Exception as error:  # Ray raises RuntimeError, ConnectionError, ValueError and others
        raise UserError(f"--ray {address}: {one_line(error)}") from None
    return ray


def _cause(error: Exception) -> str:
    """The last line of what Ray says of an actor, which is its Python exception."""
    return one_line(str(error).strip().splitlines()[-1])
