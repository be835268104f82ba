"""The memory of the kernels' tensors, which is used again."""

from __future__ import annotations

import gc
import threading

from drnn_bench.kernels import layout

SIZE = 4_321  # of no other test


def used_again() -> bool:
    """Whether a tensor of this size has the memory of the one before."""
    before = layout.empty(SIZE).data_ptr()
    return layout.empty(SIZE).data_ptr() == before


def test_memory_is_used_again_when_its_tensor_is_freed():
    assert used_again()
    here, there = layout.empty(SIZE), layout.empty(SIZE)
    assert here.data_ptr() != there.data_ptr()
    assert here.data_ptr() % 64 == there.data_ptr() % 64 == 0


def test_a_tensor_that_is_freed_while_memory_is_looked_for_waits_for_nobody():
    """The collector of cycles may come there: training once stood still for ever."""

    def collected_within() -> None:
        cycle = [layout.empty(SIZE)]
        cycle.append(cycle)
        del cycle
        with layout._lock:  # as `empty` holds it
            gc.collect()

    thread = threading.Thread(target=collected_within, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert used_again()
