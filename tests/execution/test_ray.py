"""Trainers on a real Ray cluster: nodes as processes of this machine.

Ray's servers listen on every address, whatever address a node is given. So these tests run inside a
network namespace that has the loopback device and nothing else.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import struct
import subprocess
import sys

import pytest
from kills import faults, row_faults, words

from drnn_bench.execution.job import Lost, Returned, Yielded
from drnn_bench.search.database import sqlite_url
from tests.support.command import ENV, ROOT
from tests.support.executor_contract import (
    JobsContract,
    TrainersContract,
    next_event,
    ready,
)
from tests.support.inline import left_in_peace
from tests.support.refused import refusal
from tests.support.runs import counts, in_training, total, wait_for
from tests.support.toy_jobs import Count, Damaged, Hangs

pytest.importorskip("ray", reason="the ray extra is not installed")
from ray.cluster_utils import Cluster

from drnn_bench.execution.ray import RayExecutor, check_address

INSIDE = "DRNN_BENCH_ON_LOOPBACK"
apart = os.environ.get(INSIDE) == "1"
inside = pytest.mark.skipif(not apart, reason="runs inside a namespace, by the test of that name")
BOX = ("unshare", "-rn")

SEARCH = {"families": ("dilated_cnn",), "trials": 6, "steps": 200, "seeds": 1,
          "sampler": "random", "pruner": "none"}  # fmt: skip
NODE = {"object_store_memory": 80_000_000}
# A node that is killed is missed after some seconds, not after half a minute. Not after one or two:
# on a busy machine nodes that live would count as dead.
SYSTEM = {
    "health_check_initial_delay_ms": 1_000,
    "health_check_period_ms": 1_000,
    "health_check_failure_threshold": 8,
    "worker_niceness": 0,  # with Ray's 15 they stand still beside other work
}


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a whole pytest of many clusters
@pytest.mark.skipif(apart, reason="this is the inside")
def test_everything_below_inside_a_namespace_of_its_own(tmp_path):
    if subprocess.run([*BOX, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here: a cluster would listen on every address")
    done = subprocess.run(
        [*BOX, sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", __file__,
         f"--basetemp={tmp_path / 'inside'}"],
        cwd=ROOT, env=ENV | {INSIDE: "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    # This test, six that need no cluster, two of many deaths.
    assert re.search(r"\d\d passed, 9 skipped\b", done.stdout)


def loopback_up() -> None:
    """SIOCSIFFLAGS, IFF_UP: a new namespace begins with its loopback device down."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1))


@pytest.fixture(scope="module")
def cluster():
    """A head without processors. Nodes join it in the tests."""
    loopback_up()
    before = os.environ.get("PYTHONPATH")
    # Nodes and their trainers inherit these.
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(
        initialize_head=True,
        head_node_args=NODE | {"num_cpus": 0, "include_dashboard": False, "_system_config": SYSTEM},
    )
    assert made.address.startswith("127.0.0.1:")
    yield made
    made.shutdown()
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture(scope="module")
def nodes(cluster):
    """Two nodes of one processor each, for as long as no test kills one. Each costs seconds."""
    return [cluster.add_node(num_cpus=1, **NODE) for _ in range(2)]


@pytest.fixture
def join(cluster):
    """Adds nodes of one processor each, and takes those away that are left at the end."""
    joined = []

    def join():
        joined.append(cluster.add_node(num_cpus=1, **NODE))
        return joined[-1]

    yield join
    for node in joined:
        if node in cluster.worker_nodes:
            cluster.remove_node(node, allow_graceful=True)


@inside
class TestWithoutNodes:
    """They come first: nodes stay where they are."""

    def test_a_cluster_without_room_is_one_line(self, cluster):
        said = refusal(lambda: RayExecutor(cluster.address, None))
        assert "has no room for a trainer: 0 processors and 0 GPUs are free" in said
        assert len(said.splitlines()) == 1

    def test_no_gpus_are_one_line(self, cluster):
        said = refusal(lambda: RayExecutor(cluster.address, None, gpus=0.25))
        assert "--gpus-per-trial 0.25: the cluster has 0 GPUs" in said


@inside
class TestJobs(JobsContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, cluster, nodes):
        executor = RayExecutor(cluster.address, None, most=1)
        yield ready(executor, 1)
        executor.close()


@inside
class TestTrainers(TrainersContract):
    many_deaths = False

    @pytest.fixture
    def make(self, cluster, nodes):
        made = []

        def make(size, shared=None):
            made.append(RayExecutor(cluster.address, shared, most=size))
            return ready(made[-1], size)

        yield make
        for executor in made:
            executor.close()


@inside
class TestWrongNodes:
    def test_a_node_of_another_version_is_one_line(self, cluster, nodes, monkeypatch):
        monkeypatch.setattr("drnn_bench.execution.ray.__version__", "9.9")
        executor = RayExecutor(cluster.address, None, most=1)
        try:
            said = refusal(lambda: ready(executor, 1))
        finally:
            executor.close()
        assert "a node of the cluster has drnn_bench 0.1.0, this machine drnn_bench 9.9" in said

    def test_data_that_arrives_damaged_is_one_line(self, cluster, nodes):
        executor = RayExecutor(cluster.address, Damaged(), most=1)
        try:
            with pytest.raises(Exception, match=r"cannot start: .*arrived damaged"):
                ready(executor, 1)
        finally:
            executor.close()


@pytest.mark.skipif(apart, reason="needs no cluster")
class TestWrongInput:
    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("ray://127.0.0.1:10001", "run on a node of the cluster"),
            ("nonsense", "expected `auto` or HOST:PORT"),
            ("127.0.0.1:x", "expected `auto` or HOST:PORT"),
            ("127.0.0.1:1", "no cluster answers there"),
        ],
    )
    def test_an_address_that_cannot_be_used_is_one_line(self, address, said):
        assert said in refusal(lambda: check_address(address))

    def test_ray_that_is_not_installed_is_one_line(self, bench, tmp_path):
        """As where the extra is missing: Python finds a package of this name no more."""
        hidden = tmp_path / "sitecustomize.py"
        hidden.write_text(
            "import importlib.util as u\nfind = u.find_spec\n"
            "u.find_spec = lambda name, *a: None if name == 'ray' else find(name, *a)\n"
        )
        paths = os.pathsep.join([str(tmp_path), str(ROOT)])
        done = bench("run", "--ray", "auto", code=2, PYTHONPATH=paths)
        assert "--ray needs Ray: pip install 'drnn-bench[ray]'" in done.stderr

    def test_commands_say_it_in_one_line(self, bench):
        done = bench("run", "--ray", "127.0.0.1:1", code=2)
        assert len(done.stderr.splitlines()) == 1
        done = bench("run", "--gpus-per-trial", "0.5", code=2)
        assert "--gpus-per-trial needs --ray" in done.stderr


@inside
def test_a_node_that_joins_later_is_used_and_one_that_is_killed_loses_its_job(cluster, nodes, join):
    executor = RayExecutor(cluster.address, None)
    try:
        ready(executor, 2)
        last = join()
        ready(executor, 3)
        tickets = {executor.start(Hangs()) for _ in range(3)}
        begun: set[int] = set()
        while begun != tickets:  # on each of the three nodes
            begun |= {ticket for ticket, event in executor.wait(0.2) if event == Yielded("begun")}
        for ticket in tickets:
            executor.advance(ticket)
        cluster.remove_node(last, allow_graceful=False)
        lost = []
        while not lost:
            lost = executor.wait(0.2)
        ((_, event),) = lost
        assert isinstance(event, Lost)
        join()  # the other two still hang
        ready(executor, 1)
        assert next_event(executor, executor.start(Count(0))) == Returned(0)
    finally:
        executor.close()


@inside
def test_a_search_whose_nodes_and_driver_die_is_that_of_a_run_left_in_peace(
    cluster, nodes, join, start, tmp_path
):
    plan = left_in_peace(tmp_path / "undisturbed", **SEARCH)
    storage = sqlite_url(tmp_path / "runs")
    typed = ("run", "--ray", cluster.address, *words(SEARCH))
    running = start(tmp_path, *typed)
    wait_for(lambda: in_training(tmp_path), running)
    cluster.remove_node(nodes.pop(), allow_graceful=False)  # in the middle of a trial
    join()  # late
    wait_for(lambda: total(tmp_path, "done") >= 3, running)
    running.kill()
    running.communicate()
    again = start(tmp_path, *typed)
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert {c.done for c in counts(tmp_path).values()} == {6}
    assert faults(storage, plan.storage, plan.trials) == []
    assert row_faults(tmp_path / "runs", tmp_path / "undisturbed", plan.seeds, sessions=0) == []


@inside
def test_term_ends_a_run_on_a_cluster_in_good_order(cluster, nodes, start, tmp_path):
    running = start(tmp_path, "run", "--ray", cluster.address, *words(SEARCH | {"trials": 50}))
    wait_for(lambda: in_training(tmp_path), running)
    running.terminate()
    _, errors = running.communicate()
    assert running.returncode == 143
    assert errors.endswith("the same command continues\n")
    assert "Traceback" not in errors
    assert total(tmp_path, "running") == 0
