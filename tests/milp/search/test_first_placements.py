"""The first placements of a search."""

from __future__ import annotations

import pytest
from checked import as_given
from instances import answer_of, chain_of, package
from oracle import certify
from searching import ACYCLIC, solve_by

from milp.search.first_placements import SAMPLED, WISHED, slice_orders
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from partition import (
    GraphBuilder,
    check,
    load_hardware,
    load_model,
    partition,
)
from partition.instance.contract import contract
from partition.problem.narrowed import narrow
from partition.problem.wishes import Wishes
from partition.stopping import Stop


def test_where_no_order_can_be_cut_a_repaired_sample_is_the_first_answer() -> None:
    graph, hardware = load_model("resnet50").graph, load_hardware("ring4:relays=off")
    result = solve_by((SAMPLED,), graph, hardware)
    assert result.placement is not None
    assert check(graph, hardware, result.placement) == []
    certify(as_given(graph, hardware), answer_of(result))


@pytest.mark.parametrize("transfers", ["serial", "overlapped"])
def test_chips_that_are_of_no_use_do_no_harm(transfers: str) -> None:
    """Found on randomly wired networks: on 32 chips slicing tried no blocks as long as the best ones on 8."""
    b = GraphBuilder("heavy_transfers")
    for i in range(40):
        b.operation(
            f"v{i}",
            "Op",
            inputs=[f"t{i - 1}"] if i else [],
            outputs={f"t{i}": 1.0 if i == 19 else 100.0},
            flops=1.0,
            bytes_accessed=0,
        )
    graph = b.build()
    for chips in (2, 8, 40):
        instance = contract(graph, package(chips, transfers=transfers))
        incumbent = Incumbent(instance, 1e-4, lambda: 0.0, None)
        slice_orders(Run.begin(instance, incumbent, Stop(10)))
        assert incumbent.period == (21.0 if transfers == "serial" else 20.0)


def test_branches_are_joined_as_soon_as_they_are_done() -> None:
    """Found on towers with 64 chips: no order sliced took the sums of a branch before the next branch (29% open)."""
    result = partition(load_model("towers").graph, load_hardware(f"ring64:{ACYCLIC}"), time_limit=60)
    assert result.status == "optimal"


def test_wishes_alone_tell_a_first_placement_or_that_there_is_none() -> None:
    """Operations pinned against the edges, and a cut: nothing is sliced, sampled or asked of a solver."""
    graph = chain_of([1, 1, 1, 1])
    free = package(3, acyclic=False, triangle=False, no_skipping=False)
    against = Wishes.of(pins={"v0": 2, "v1": 1}, cuts=[("v2", "v3")])
    for hardware, possible in ((free, True), (free.with_rules(acyclic=True), False)):
        narrowed = narrow(graph, hardware, against.on(graph, 3))
        result = solve_by([WISHED], narrowed.graph, narrowed.hardware)
        assert (result.placement is not None) == possible
        assert (result.status == "infeasible") == (not possible)
