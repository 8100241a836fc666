"""The comparison that the tests of this folder read."""

from __future__ import annotations

import pytest
from compared_methods import GRAPH, HARDWARE, run

from learned.comparison.comparison import MethodComparison
from partition import partition


@pytest.fixture(scope="module")
def comparison() -> MethodComparison:
    return run(reference=partition(GRAPH, HARDWARE))
