"""What a call is refused with."""

from __future__ import annotations

import pytest

from drnn_bench.errors import UserError


def refusal(call, *args) -> str:
    """What a call is refused with; checked to be one line."""
    with pytest.raises(UserError) as refused:
        call(*args)
    said = str(refused.value)
    assert len(said.splitlines()) == 1
    return said
