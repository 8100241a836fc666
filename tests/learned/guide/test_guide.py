"""The guide of the beams: what it sees is scale-free, what it says only orders, and it is read when first asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from instances import package

from learned.guide.guide import BASE, FACTOR, INPUTS, LOSSES, PRICES, BeamGuide
from milp.search.beams import Arm, BeamSearch
from milp.search.downsets.beam import Beam
from milp.search.downsets.guidance import MARKS, STATE_NAMES, TENSOR_NAMES, Guidance, Terrain, Watched
from milp.search.downsets.tasks import unpacked
from milp.search.downsets.transfers import Flow
from milp.search.first_placements import SEEDS
from milp.search.period import search
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from milp.windows.windows import WindowRules
from partition import Graph, GraphBuilder, Hardware, InvalidInput, partition
from partition.arrays import Array32, FloatArray
from partition.instance.contract import contract
from partition.stopping import Stop

PLAIN = {"triangle": False, "replication": False, "relays": False}


def lanes(scale: float = 1.0, size: float = 1.0) -> Graph:
    """Lanes of unequal nodes side by side from one source."""
    b = GraphBuilder("lanes")
    b.operation("in", "Op", outputs={"x": 0.1 * size}, flops=scale, bytes_accessed=0)
    for k in range(4):
        for lane in range(4):
            inputs = [f"t{lane}.{k - 1}"] if k else ["x"]
            flops = scale * (1.0 + (k + lane) % 3)
            b.operation(f"v{lane}.{k}", "Op", inputs=inputs, outputs={f"t{lane}.{k}": size}, flops=flops,
                        bytes_accessed=0)  # fmt: skip
    b.operation("out", "Op", inputs=[f"t{lane}.3" for lane in range(4)], flops=scale, bytes_accessed=0)
    return b.build()


def new_guide(seed: int = 0, size: float = 1.0) -> BeamGuide:
    """With parameters that are drawn, so that it says something."""
    rng = np.random.default_rng(seed)
    tables = {name: rng.normal(size=(50, len(columns))).astype(np.float32) for name, columns in INPUTS.items()}
    guide = BeamGuide.new(rng, tables)
    return guide.with_vector(guide.vector() + size * rng.normal(size=len(guide.vector())))


class Constant:
    """One price and no loss: what a beam does without any opinion."""

    def prices(self, tensors: Array32) -> FloatArray:
        return np.full(len(tensors), 0.5)

    def losses(self, states: Array32) -> FloatArray:
        return np.zeros((len(states), 2))


def beam_of(graph: Graph, hardware: Hardware, arm: Arm, factor: float = 1.3) -> Beam:
    instance = contract(graph, hardware)
    terrain = Terrain.of(Flow.of(instance))
    period = factor * float(instance.fastest.sum()) / instance.chips
    windows = WindowRules(instance).windows(period)
    inside = windows.lo[terrain.flow.node], windows.hi[terrain.flow.node]
    return arm.beam(terrain, instance, period, inside)


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
    terrain, flow = Terrain.of(beam.flow), beam.flow
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


def test_a_constant_opinion_is_the_constant() -> None:
    graph, hardware = lanes(), package(3, **PLAIN)
    for factor in (1.05, 1.2, 1.5):
        plain = beam_of(graph, hardware, Arm(0.5), factor)
        guided = beam_of(graph, hardware, Arm(opinion=Constant()), factor)
        a, b = plain.decide(8, Stop()), guided.decide(8, Stop())
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert (a[0] == b[0]).all()
        assert plain.expanded == guided.expanded > 0


@pytest.mark.parametrize("rules", [PLAIN, {}])
@pytest.mark.parametrize("seed", range(4))
def test_any_guide_misses_nothing_where_beams_are_wide(rules: dict[str, bool], seed: int) -> None:
    graph, hardware = lanes(), package(3, **rules)
    for factor in (1.0, 1.1, 1.4):
        alone = beam_of(graph, hardware, Arm(1.0), factor).decide(100_000, Stop())
        guided = beam_of(graph, hardware, Arm(opinion=new_guide(seed)), factor).decide(100_000, Stop())
        assert (alone is None) == (guided is None)


def test_a_guide_says_prices_within_its_range() -> None:
    guide = new_guide(1, 30.0)
    rng = np.random.default_rng(0)
    prices = guide.prices(rng.normal(size=(200, len(TENSOR_NAMES))).astype(np.float32))
    assert ((prices >= BASE / FACTOR) & (prices <= BASE * FACTOR)).all()
    assert np.ptp(prices) > 0
    assert np.isfinite(guide.losses(rng.normal(size=(200, len(STATE_NAMES))).astype(np.float32))).all()


def test_a_file_holds_what_the_guide_says(tmp_path: Path) -> None:
    guide = new_guide()
    guide.save(tmp_path / "guide.npz")
    again = BeamGuide.load(tmp_path / "guide.npz")
    table = np.random.default_rng(2).normal(size=(20, len(STATE_NAMES))).astype(np.float32)
    assert (again.losses(table) == guide.losses(table)).all()
    assert (again.vector() == guide.vector()).all()


@pytest.mark.parametrize(
    "name, value, match",
    [
        (f"{LOSSES} parameter W0", np.zeros((3, 3), np.float32), "has shape"),
        (f"{LOSSES} scale", np.zeros(len(STATE_NAMES), np.float32), "not above 0"),
        (f"{PRICES} mean", np.full(len(TENSOR_NAMES), np.nan, np.float32), "not finite"),
        (f"{PRICES} columns", np.array(["other"]), "train a new one"),
    ],
)
def test_a_damaged_file_is_refused(name: str, value: np.ndarray, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        BeamGuide.from_arrays({**new_guide().arrays(), name: value}, "guide.npz")


def test_most_expansions_are_kept() -> None:
    instance = contract(lanes(), package(3, **PLAIN))
    stop = Stop(work_limit=float("inf"))
    incumbent = Incumbent(instance, 1e-4, lambda: stop.work, None)
    run = Run.begin(instance, incumbent, stop)
    search(run, phases=[SEEDS])
    beams = BeamSearch(run, [Arm(1.0)], first_width=4, most=50)
    beams.work(10.0, 10.0)
    assert 50 <= beams.expanded < 50 + 8


def test_a_guide_by_path_advises_the_same_answer_twice(tmp_path: Path) -> None:
    path = str(tmp_path / "guide.npz")
    new_guide().save(path)
    first, second = (partition(lanes(), package(3), work_limit=3.0, policy=path) for _ in range(2))
    assert first.placement is not None and second.placement is not None
    assert (first.placement.assignment == second.placement.assignment).all()
    assert first.bound == second.bound


def test_nothing_is_read_where_quick_ways_are_enough() -> None:
    """In a process of its own, as other tests load what they please."""
    code = (
        "import sys; from partition import partition; "
        "r = partition('resnet50', 'ring4', policy='pretrained'); "
        "assert r.status == 'optimal'; "
        "print([m for m in sys.modules if m.startswith('learned')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
