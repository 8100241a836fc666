"""The comparison that the tests of this folder read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from learned.comparison.comparison import MethodComparison


@pytest.fixture(scope="module")
def comparison() -> MethodComparison:
    """The library is imported here, once the checker is behind its answers."""
    from compared_methods import GRAPH, HARDWARE, run

    from partition import partition

    return run(reference=partition(GRAPH, HARDWARE))
