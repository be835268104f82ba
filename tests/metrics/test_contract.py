"""Every metric of drnn_bench keeps the contract of metrics."""

from __future__ import annotations

import pytest

from drnn_bench.metrics.names import METRICS
from drnn_bench.testing import MetricContract


class TestEach(MetricContract):
    @pytest.fixture(autouse=True, params=METRICS)
    def _each(self, request):
        self.metric = request.param
