"""Mean recurrent length (MRL; Chang et al. 2017, section 3) of the paper's nets, exact: 3 tables.

    python benchmarks/mrl_table.py

MRL is over the spans 1..m, with m the largest dilation of the dilated net of a row: a plain stack's
own period is 1, which compares with nothing. The third table looks at every chain of dilations from
1 to m in which each divides the next, for theorem 3.1: the geometric one has the smallest MRL.
"""

from __future__ import annotations

from collections.abc import Iterator

from drnn_bench.models.mrl import fewest_edges, mean_recurrent_length
from drnn_bench.models.registry import make_architecture

SIZES = {"input_size": 1, "output_size": 1, "width": 20}
BASES, DEPTHS = (2, 3, 4), (1, 2, 3, 4, 5, 6, 9)
CHAINS = ((64, 3), (64, 4), (64, 7), (81, 3), (81, 5), (256, 5), (256, 9), (720, 4))  # m, layers


def kinds(base: int, depth: int) -> list[str]:
    """MRL of the dilated net, of a skip RNN whose every layer has the skip m, of a plain stack."""
    m = base ** (depth - 1)
    nets = (
        make_architecture("dilated_rnn", **SIZES, base=base, start=0, depth=depth),
        make_architecture("skip_rnn", **SIZES, skip=m, depth=depth),
        make_architecture("rnn", **SIZES, depth=depth),
    )
    return [f"{mean_recurrent_length(net, m):.4f}" for net in nets]


def chains(m: int, layers: int) -> Iterator[tuple[int, ...]]:
    """Every 1 = s_1 <= ... <= s_layers = m in which each s divides the next."""
    if layers == 1:
        if m == 1:
            yield (1,)
        return
    for below in (s for s in range(1, m + 1) if m % s == 0):
        for chain in chains(below, layers - 1):
            yield (*chain, m)


def of_chain(chain: tuple[int, ...]) -> float:
    return float(fewest_edges(chain, chain[-1])[1:].mean()) + len(chain)


def main() -> None:
    print("| base | layers | m | dilated | skip m in every layer | plain stack |")
    print("|---:|---:|---:|---:|---:|---:|")
    for base in BASES:
        for depth in DEPTHS:
            m = base ** (depth - 1)
            print(f"| {base} | {depth} | {m:,} | " + " | ".join(kinds(base, depth)) + " |")
    print("\n| first dilation | layers, base 2, up to 256 | MRL, final convolution | without it |")
    print("|---:|---:|---:|---:|")
    for start in range(7):
        depth = 9 - start
        nets = [
            make_architecture(
                "dilated_rnn", **SIZES, base=2, start=start, depth=depth, fusion=fusion
            )
            for fusion in ((True, False) if start else (False, False))
        ]
        with_it, without = (f"{mean_recurrent_length(net, 256):.4f}" for net in nets)
        print(f"| {2**start} | {depth} | {with_it if start else 'has none'} | {without} |")
    print("\n| m | layers | chains | smallest MRL | of the dilations |")
    print("|---:|---:|---:|---:|---|")
    for m, layers in CHAINS:
        found = sorted((of_chain(chain), chain) for chain in chains(m, layers))
        (least, chain) = found[0]
        words = ", ".join(map(str, chain))
        print(f"| {m} | {layers} | {len(found)} | {least:.4f} | {words} |")


if __name__ == "__main__":
    main()
