"""Packages with routes: costs, bounds over all places of the stages, and the places chosen."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import answer_of, chain_of, package, random_instance
from oracle import certify, cost, energy, latency, traffic

from milp.search.stage_positions import arrange, by_model
from partition import InvalidHardware, evaluate_placement, load_hardware, load_model, partition
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Interconnect
from partition.problem.hardware_toml import to_toml
from partition.problem.placement import Placement
from partition.problem.routes import find_routes
from partition.stopping import Stop

SHAPES = [("bichain", 3, 0, 0), ("biring", 4, 0, 0), ("mesh", 4, 2, 2), ("mesh", 3, 1, 3), ("crossbar", 3, 0, 0)]


def _routed(rng: np.random.Generator, shape: tuple[str, int, int, int], n: int) -> tuple[Graph, Hardware]:
    topology, chips, rows, columns = shape
    graph, hardware = random_instance(rng, n=n, chips=chips, topology="ring")
    link = replace(hardware.interconnect, topology=topology, rows=rows, columns=columns)
    return graph, replace(hardware, interconnect=link, kind_of_chip=(0,) * chips)


@pytest.mark.parametrize("shape", SHAPES)
def test_bound_and_period_enclose_the_optimum_over_all_places(shape: tuple[str, int, int, int]) -> None:
    proved = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        graph, hardware = _routed(rng, shape, int(rng.integers(2, 5)))
        problem = as_given(graph, hardware)
        try:
            best, _ = brute_force(problem, limit=3_000)
        except OverflowError:
            continue
        result = partition(graph, hardware, work_limit=1.5)
        certify(problem, answer_of(result))
        assert (result.status == "infeasible") == (best is None)
        if best is None:
            continue
        assert result.bound <= best * (1 + 1e-9) and best <= result.period * (1 + 1e-9)
        if result.status == "optimal":
            proved += 1
            assert result.period <= best * (1 + 1.01e-4)
    assert proved >= 5


@pytest.mark.parametrize("shape", SHAPES)
def test_the_independent_checker_agrees_on_every_cost(shape: tuple[str, int, int, int]) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        graph, hardware = _routed(rng, shape, 6)
        if hardware.routed:
            hardware = replace(hardware, positions=tuple(rng.permutation(hardware.chips).tolist()))
        chips = rng.integers(0, hardware.chips, graph.n)
        answer = {
            "assignment": dict(zip(graph.names, chips.tolist(), strict=True)),
            "replicas": {},
            "relays": [],
            "positions": list(hardware.positions),
        }
        problem = as_given(graph, hardware)
        ours = evaluate_placement(graph, hardware, Placement(chips))
        theirs = cost(problem, answer)
        assert ours.period[0] == pytest.approx(theirs["period"])
        assert ours.link[0].sum() == pytest.approx(sum(theirs["link"]))
        assert ours.latency[0] == pytest.approx(latency(problem, answer))
        assert ours.energy[0] == pytest.approx(energy(problem, answer))
        assert ours.traffic[0] == pytest.approx(traffic(problem, answer))


def test_routes_on_a_mesh_go_along_the_row_first_and_stages_to_and_fro() -> None:
    hardware = load_hardware("mesh3x3")
    assert hardware.stage_positions == (0, 1, 2, 5, 4, 3, 6, 7, 8)
    routes = find_routes(hardware)
    assert routes.ends[routes.between(0, 8)].tolist() == [[0, 1], [1, 2], [2, 5], [5, 8]]
    assert len(routes.ends) == hardware.links == 24
    assert (np.diagonal(routes.hops, 1) == 1).all()


def _crossing_pairs() -> tuple[Graph, Placement]:
    """Stages 0 and 2, and 1 and 3, exchange much; neighbours nothing."""
    b = GraphBuilder("pairs")
    for s in range(4):
        inputs = [f"t{s - 2}"] if s >= 2 else []
        b.operation(f"v{s}", "Op", inputs=inputs, outputs={f"t{s}": 10.0}, flops=1, bytes_accessed=0)
    return b.build(), Placement(np.arange(4))


@pytest.mark.parametrize("chips", [4, 12])
def test_stages_that_exchange_much_are_put_beside_one_another(chips: int) -> None:
    graph, placement = _crossing_pairs()
    hardware = replace(package(chips, triangle=False), interconnect=Interconnect("bichain", link_bandwidth=1.0))
    before = evaluate_placement(graph, hardware, placement).link.max()
    arranged = arrange(graph, hardware, placement, stop=Stop(20))
    after = evaluate_placement(graph, arranged, placement).link.max()
    assert (before, after) == (20.0, 10.0)


def _pairs(rng: np.random.Generator, chips: int) -> tuple[Graph, Placement]:
    """Stages in pairs of which one sends to the other; so no chip has much to send, but links may."""
    b = GraphBuilder("pairs")
    for pair in range(chips // 2):
        b.operation(f"a{pair}", "Op", outputs={f"t{pair}": float(rng.integers(5, 10))}, flops=1, bytes_accessed=0)
        b.operation(f"b{pair}", "Op", inputs=[f"t{pair}"], flops=1, bytes_accessed=0)
    ends = np.sort(rng.permutation(chips)[: 2 * (chips // 2)].reshape(-1, 2), axis=1)
    return b.build(), Placement(ends.reshape(-1))


@pytest.mark.parametrize("topology", ["bichain6", "biring6", "mesh2x3"])
def test_the_exact_model_finds_the_best_places_of_all(topology: str) -> None:
    """The model alone, without swaps of two stages before it, finds what trying all orders finds."""
    hardware = load_hardware(f"{topology}:memory=off,triangle=off,no_skipping=off,link_bandwidth=1")
    improved = 0
    for seed in range(6):
        graph, placement = _pairs(np.random.default_rng(seed), hardware.chips)
        packages = [replace(hardware, positions=p) for p in itertools.permutations(range(hardware.chips))]
        best = min(evaluate_placement(graph, package, placement).period[0] for package in packages)
        arranged = arrange(graph, hardware, placement, stop=Stop(20), ways=[by_model])
        assert evaluate_placement(graph, arranged, placement).period[0] == pytest.approx(best, rel=1e-5)
        improved += best < evaluate_placement(graph, hardware, placement).period[0] * (1 - 1e-6)
    assert improved > 1


def test_a_real_model_on_a_mesh_after_simba_is_proved_optimal() -> None:
    graph, hardware = load_model("resnet50").graph, load_hardware("simba36")
    result = partition(graph, hardware, time_limit=60)
    certify(as_given(graph, hardware), answer_of(result))
    assert result.status == "optimal"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mesh3x3:rows=2", "has 9 chips, but its mesh has 2 rows of 3"),
        ("mesh0x4", "no chips"),
        ("mesh40x40", "at most 256"),
        ("ring4:rows=2", "which belong to topology mesh"),
        ("biring4:columns=1.5", "columns is 1.5"),
    ],
)
def test_packages_that_cannot_be_are_refused(name: str, message: str) -> None:
    with pytest.raises(InvalidHardware, match=message):
        load_hardware(name)


def test_positions_must_be_a_permutation_and_survive_toml(tmp_path) -> None:
    hardware = replace(load_hardware("mesh2x2"), positions=(3, 1, 0, 2))
    path = tmp_path / "package.toml"
    path.write_text(to_toml(hardware))
    assert load_hardware(str(path)) == hardware
    with pytest.raises(InvalidHardware, match="permutation"):
        replace(hardware, positions=(0, 0, 1, 2))


def test_a_chain_fits_every_package_alike() -> None:
    periods = {
        name: partition(chain_of([1.0] * 8, size=0.1), replace(package(4, triangle=False), interconnect=link)).period
        for name, link in {
            "chain": Interconnect("chain", 1.0),
            "bichain": Interconnect("bichain", 1.0),
            "biring": Interconnect("biring", 1.0),
            "mesh": Interconnect("mesh", 1.0, rows=2, columns=2),
            "crossbar": Interconnect("crossbar", 1.0),
        }.items()
    }
    assert set(periods.values()) == {2.0}
