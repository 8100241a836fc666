"""What a guide is told of the states of a beam."""

from __future__ import annotations

import numpy as np
import pytest
from beam_guides import PLAIN, Constant, beam_of, lanes
from instances import package

from milp.search.beams import Arm
from milp.search.downsets.guidance import MARKS, Guidance, Terrain, Watched
from milp.search.downsets.tasks import unpacked
from partition import Graph, Hardware
from partition.stopping import Stop


def seen(graph: Graph, hardware: Hardware) -> list[Watched]:
    """What a beam keeps on its way."""
    found: list[Watched] = []
    beam = beam_of(graph, hardware, Arm(opinion=Constant()))
    assert beam.guidance is not None
    beam.guidance = Guidance(beam.guidance.opinion, beam.guidance.outlook, found.append)
    beam.decide(64, Stop())
    return found


def test_what_a_guide_sees_does_not_depend_on_units() -> None:
    """Nor on bytes, where the link is as much faster as tensors are larger."""
    one = seen(lanes(), package(3, **PLAIN))
    other = seen(lanes(7.0, 3.5), package(3, bandwidth=0.5, **PLAIN))
    assert len(one) == len(other) > 10
    for a, b in zip(one, other, strict=True):
        assert a.table == pytest.approx(b.table, abs=1e-4)


def test_marks_that_are_kept_up_to_date_are_those_of_the_sets() -> None:
    """Against sums over what is done and what crosses, computed from nothing."""
    graph, hardware = lanes(), package(3, **PLAIN)
    beam = beam_of(graph, hardware, Arm(opinion=Constant()))
    beam.decide(64, Stop())
    terrain, flow = Terrain(beam.flow), beam.flow
    middle, share = terrain.middle, terrain.time / terrain.total
    last = np.array([middle[flow.readers.along(np.array([t]))[1]].max() for t in range(len(flow.tau))])
    for boundaries in beam.trail[1:]:
        done = unpacked(boundaries.done)[:, : flow.count]
        crosses = done[:, flow.producer] & (flow.unread(done) > 0)
        wanted = {
            "advance": done @ (share * middle),
            "squares": done @ terrain.time**2,
            "reach": crosses @ (flow.tau * (last - middle[flow.producer])),
            "lead": crosses @ (flow.tau * last),
            "count": crosses.sum(axis=1),
        }
        for k, name in enumerate(MARKS):
            assert boundaries.marks[:, k] == pytest.approx(wanted[name]), name
