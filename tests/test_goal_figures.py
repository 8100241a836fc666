"""Goals where figures are far apart: transfers beyond all proportion to compute, limits of zero, infinite links."""

from __future__ import annotations

import pytest
from checked import as_given
from exhaustive import brute_force
from instances import package

from partition import ChipKind, Graph, GraphBuilder, Hardware, Interconnect, Rules, partition
from partition.problem.hardware import override


def _backward(time: float) -> Graph:
    """An operation that three read and one of them must precede; all of them may go against the order."""
    b = GraphBuilder("backward")
    b.operation("a", "Op", outputs={"t": 3.0}, flops=time, bytes_accessed=0, group=0, backward=True)
    sizes = {"b": 3.0, "c": 1.0, "d": 1.0}
    for name, size in sizes.items():
        b.operation(name, "Op", inputs=["t"], outputs={name: size}, flops=time, bytes_accessed=0, backward=True)
    b.operation("e", "Op", inputs=list(sizes), flops=time, bytes_accessed=0, group=0, backward=True)
    return b.build()


@pytest.mark.parametrize("time", [1.0, 3e-12])
def test_the_least_traffic_is_found_where_transfers_are_beyond_all_proportion_to_compute(time):
    """A model without a limit on the period had rows of 1e12; HiGHS called the best placement infeasible."""
    graph = _backward(time)
    hardware = package(2, topology="memory", bandwidth=1e-6, triangle=False, replication=False)
    wishes = {"cuts": [["d", "e"]], "time_limit": 30}
    result = partition(graph, hardware, objective="traffic", **wishes)
    least, _ = brute_force(as_given(graph, hardware) | {"wishes": {"cuts": [["d", "e"]]}}, goal="traffic")
    assert least == 4.0
    assert result.status == "optimal" and result.goals[0].value == least and result.goals[0].bound <= least


def test_no_traffic_is_kept_to_where_a_transfer_takes_next_to_no_time():
    """Transfers of 1e-10 of the work were dropped from the row that allows none, and the period stayed open."""
    b = GraphBuilder("pair")
    b.operation("a", "Op", outputs={"t": 2.0}, flops=9, bytes_accessed=0)
    b.operation("b", "Op", inputs=["t"], flops=11, bytes_accessed=0)
    result = partition(b.build(), package(2, topology="memory", bandwidth=1e9), objective="traffic,period")
    traffic, period = result.goals
    assert (traffic.value, period.value, result.status) == (0.0, 20.0, "optimal")
    assert period.bound == pytest.approx(20.0, rel=1e-4)


@pytest.mark.parametrize("seconds", [0.0, 0.25])
def test_energy_is_pursued_over_links_of_infinite_bandwidth_that_take_none(seconds):
    """Nothing a byte over an infinite link was no number, and HiGHS refused the model."""
    b = GraphBuilder("pair")
    for name, inputs in (("a", []), ("b", ["a"]), ("c", ["b"])):
        b.operation(name, "Op", inputs=inputs, outputs={name: 1.0}, flops=2, bytes_accessed=1)
    kinds = (ChipKind("cheap", 1.0, flop_energy_j=0.5), ChipKind("dear", 1.0, flop_energy_j=1.0))
    hardware = Hardware("two", kinds, (0, 1), Interconnect("ring", float("inf")), Rules(no_skipping=False))
    result = partition(b.build(), override(hardware, {"link_latency_s": seconds}), objective="energy,period")
    assert [reached.value for reached in result.goals] == [3.0, 6.0] and result.status == "optimal"
    assert result.goals[1].bound == pytest.approx(6.0, rel=1e-4) and not result.faults
