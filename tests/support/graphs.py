"""Brute-force mean recurrent length: shortest paths in a network unrolled over time.

A node is (layer, time), layer 0 being the input, and every edge costs 1 unless said otherwise.
d_i(n) is the cheapest path from the input at time i to the output at time i + n.
A graph's time has no beginning: its nodes and edges exist at every integer time.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Graph:
    """edges(layer, time) lists the ((layer, time), cost) one step away, never back in time."""

    edges: Callable
    outputs: tuple  # the layers any of whose nodes at t is the output at t


def layered(spans_per_layer, windows_per_layer=None, head_window=None):
    """A stack of recurrent layers.

    spans_per_layer: for each layer the spans s of its recurrent edges, from t - s to t.
    windows_per_layer: for each layer the offsets o at which it hears the layer below, from
    t - o to t; None, for all the layers or for one, is [0].
    head_window: the offsets at which one more node hears the top layer, and is the output.
    """
    spans = [list(layer) for layer in spans_per_layer]
    top = len(spans)
    if windows_per_layer is None:
        windows_per_layer = [None] * top
    windows = [[0] if window is None else list(window) for window in windows_per_layer]
    if len(windows) != top:
        raise ValueError(f"{top} layers, {len(windows)} windows")
    if head_window is not None:
        spans.append([])
        windows.append(list(head_window))
    if any(s < 1 for layer in spans for s in layer) or any(o < 0 for w in windows for o in w):
        raise ValueError("spans start at 1 and offsets at 0")

    def edges(layer, time):
        found = []
        if layer > 0:
            found += [((layer, time + s), 1) for s in spans[layer - 1]]
        if layer < len(spans):
            found += [((layer + 1, time + o), 1) for o in windows[layer]]
        return found

    return Graph(edges, outputs=(len(spans),))


def clockwork(periods):
    """One layer of modules, number m (from 1) firing when t is a multiple of periods[m - 1].

    A firing module hears the input at t, and at t - 1 itself and the modules at least as slow;
    an idle one copies its node at t - 1 at no cost. Any module at t is the output at t.
    """
    numbers = range(1, len(periods) + 1)

    def fires(module, time):
        return time % periods[module - 1] == 0

    def edges(layer, time):
        if layer == 0:
            return [((m, time), 1) for m in numbers if fires(m, time)]
        found = []
        for m in numbers:
            if fires(m, time + 1):
                if periods[layer - 1] >= periods[m - 1]:
                    found.append(((m, time + 1), 1))
            elif m == layer:
                found.append(((m, time + 1), 0))
        return found

    return Graph(edges, outputs=tuple(numbers))


def distances(graph, start, horizon):
    """[d(0), ..., d(horizon)] from the input at `start`, math.inf where there is no path."""
    end = start + horizon
    done = {}
    queue = [(0, (0, start))]
    while queue:
        cost, node = heapq.heappop(queue)
        if node in done:
            continue
        done[node] = cost
        for (layer, time), extra in graph.edges(*node):
            if time <= end:
                heapq.heappush(queue, (cost + extra, (layer, time)))
    return [
        min(done.get((layer, start + n), math.inf) for layer in graph.outputs)
        for n in range(horizon + 1)
    ]


def mean_recurrent_length(graph, horizon, period):
    """The mean over n = 1..horizon of the largest d_i(n), i running over one period."""
    # a period late, so that no start is at the time 0 either
    tables = [distances(graph, period + i, horizon) for i in range(period)]
    return sum(max(table[n] for table in tables) for n in range(1, horizon + 1)) / horizon
