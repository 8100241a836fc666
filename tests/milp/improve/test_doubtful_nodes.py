"""Nodes released by the doubt of a policy."""

from __future__ import annotations

import numpy as np
from instances import package
from small_policies import untrained

from learned.policy.guide import PolicyGuide
from milp.improve.doubtful_nodes import doubtful, release_by_doubt
from milp.search.first_placements import slice_orders
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from partition.instance.contract import contract
from partition.models import build
from partition.stopping import Stop


def test_fixings_only_ever_improve_the_incumbent_and_leave_the_bound_alone() -> None:
    instance = contract(build("gnmt:seq=4,layers=2"), package(6, bandwidth=1e10, sram=2e9))
    stop = Stop(30.0)
    incumbent = Incumbent(instance, 1e-4, lambda: stop.seconds, None)
    run = Run.begin(instance, incumbent, stop)
    slice_orders(run, orders=1)
    period, bound = incumbent.period, incumbent.bound
    advice = PolicyGuide(untrained(instance), instance)
    release_by_doubt(run, advice, seconds=5.0)
    assert incumbent.period <= period
    assert incumbent.bound == bound


def test_the_doubtful_are_the_most_doubted() -> None:
    assert doubtful(np.array([0.1, 0.9, 0.5, 0.2]), 0.5).tolist() == [1, 2]
    assert doubtful(np.array([0.1, 0.9]), 0.01).tolist() == [1]
