"""torch's exporter to ONNX, which reads its table of operators anew at each export: once is enough
for tests."""

from __future__ import annotations

import functools

import pytest


@pytest.fixture(scope="module")
def exporter():
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    read = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", read)
        yield
