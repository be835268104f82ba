"""The families by name. Adding one is one file and one line here, or a plug-in."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from drnn_bench import plugins
from drnn_bench.errors import UserError, nearest

if TYPE_CHECKING:
    from drnn_bench.models.architecture import Architecture
    from drnn_bench.tasks.task import Task

# family -> (module, config class, one line for `bench ls families`)
FAMILIES = {
    "dilated_rnn": ("dilated_rnn", "DilatedRNN", "dilated recurrent skips (Chang et al. 2017)"),
    "rnn": ("plain", "RNN", "a plain stack of tanh layers"),
    "lstm": ("plain", "LSTM", "a plain stack of LSTM layers"),
    "gru": ("plain", "GRU", "a plain stack of GRU layers"),
    "skip_rnn": ("skip_rnn", "SkipRNN", "tanh layers with a second edge, s steps back"),
    "dilated_cnn": ("dilated_cnn", "DilatedCNN", "a plain stack of dilated causal convolutions"),
    "tcn": ("tcn", "TCN", "residual blocks of dilated convolutions (Bai et al. 2018)"),
    "clockwork_rnn": ("clockwork_rnn", "ClockworkRNN", "modules that tick at different periods"),
    "min_gru": ("min_gru", "MinGRU", "gates without state, a parallel scan (Feng et al. 2024)"),
    "s4d": ("s4d", "S4D", "diagonal state space model (Gu et al. 2022)"),
}
DEFAULT_FAMILIES = ("dilated_rnn", "lstm", "dilated_cnn", "clockwork_rnn")


class TooFar(UserError):
    """An edge crosses more steps than any sequence has."""


def family_names() -> list[str]:
    """Those above, then those of plug-ins."""
    return [*FAMILIES, *plugins.names(plugins.FAMILY)]


def config_type(family: str) -> type[Architecture]:
    brought = plugins.find(plugins.FAMILY, family)
    if brought is not None:
        return brought
    if family not in FAMILIES:
        raise UserError(
            f"unknown family {family!r}: {nearest(family, family_names())}; one of your own needs "
            "its file: bench --plugin FILE"
        )
    module, name, _ = FAMILIES[family]
    return getattr(importlib.import_module(f"drnn_bench.models.{module}"), name)


def make_config(
    family: str, *, input_size: int, output_size: int, width: Any, **options: Any
) -> Architecture:
    """The frozen config of a named family. Raises UserError naming the bad option."""
    from drnn_bench.models.architecture import LARGEST, option_types, shortened

    kind = config_type(family)
    known = option_types(kind)
    for option in options:
        if option not in known:
            raise UserError(
                f"{family} has no option {option!r}: {nearest(option, [*known, 'width'])}"
            )
    net = kind(input_size=input_size, output_size=output_size, width=width, **options)
    if net.longest_span > LARGEST:
        raise TooFar(
            f"{family} {net.words}: its largest dilation or period, {shortened(net.longest_span)}, "
            f"is above {LARGEST:,} steps"
        )
    return net


def restore_config(task: Task, family: str, config: dict[str, Any]) -> Architecture:
    """A config as it stands in a record, with the task's sizes."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    return make_config(family, **sizes, **options)
