"""The browser in which the tests of this folder open reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """See :func:`reading.started`."""
    from reading import started

    yield from started()
