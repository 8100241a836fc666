"""Neighbourhoods of adjacent chips."""

from __future__ import annotations

import numpy as np
import pytest
from instances import chain_of, package
from searching import solve_by

from milp.improve.adjacent_chips import improve
from milp.state.names import Doing
from milp.state.run import Phase, always
from partition import (
    Placement,
)


def test_neighbourhoods_alone_improve_a_poor_start() -> None:
    neighbourhoods = Phase(Doing.NEIGHBOURHOODS, always, lambda run: improve(run, seconds=8.0))
    start = Placement(np.array([0] * 9 + [1, 2, 3]))
    result = solve_by((neighbourhoods,), chain_of([1.0] * 12), package(4), start=start)
    assert result.period == pytest.approx(3.0)
