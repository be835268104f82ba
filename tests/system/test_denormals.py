"""Numbers below 1e-38: zeros where nets train, and as ever everywhere else."""

from __future__ import annotations

import threading

import pytest
import torch

from drnn_bench.system.denormals import flushed

torch.set_flush_denormal(True)
KNOWN = bool((torch.tensor(1e-39) * 1 == 0).item())  # not every processor can
torch.set_flush_denormal(False)
pytestmark = pytest.mark.skipif(not KNOWN, reason="this processor cannot flush")


def flushes() -> bool:
    return bool((torch.tensor(1e-39) * 1 == 0).item())


def test_it_begins_and_ends_also_within_itself_and_where_something_is_raised():
    assert not flushes()
    with flushed():
        assert flushes()
        with flushed():
            assert flushes()
        assert flushes()
    assert not flushes()
    with pytest.raises(KeyError), flushed():
        raise KeyError
    assert not flushes()


def test_threads_that_start_within_it_do_the_same():
    seen = []
    with flushed():
        thread = threading.Thread(target=lambda: seen.append(flushes()))
        thread.start()
        thread.join()
    assert seen == [True]
