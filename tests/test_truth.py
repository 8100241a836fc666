"""Every engine asked at the truth, a quick share of ``benchmarks/engines_at_truth.py``; and what that has found."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checked import as_given
from engine_mutants import MUTANTS, Mutant
from exhaustive import brute_force
from instances import package
from oracle import check_description
from questions import CHOICES, draw
from truth import PER_CASE, PER_TRUTH, Tally, examine

from milp.chip_bounds.capacity import BlockCapacity
from milp.formulation.memory_cuts import MemoryCuts
from milp.frontiers.program import Frontiers, narrow_frontiers
from milp.ideals.best_path import Pairs, best_path
from milp.search.first_placements import ANY_PLACEMENT
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from partition import ChipKind, GraphBuilder, Hardware, Interconnect, Placement, Rules, check, partition
from partition.instance.contract import contract
from partition.instance.orders import diverse_orders
from partition.problem.narrowed import narrow
from partition.problem.wishes import Wishes
from partition.results.description import describe
from partition.stopping import Stop

QUICK = 1_500
"""Partial placements of brute force at most."""


def asked(engines: set[str], seeds: range, chips: tuple[int, int] = (1, 3), **pinned: Any) -> Tally:
    tally = Tally()
    for seed in seeds:
        examine(seed, tally, engines, trials=QUICK, n=(1, 5), chips=chips, **pinned)
    assert not tally.wrong
    return tally


def test_no_engine_of_plain_arithmetic_calls_the_truth_impossible() -> None:
    slow = {"capacity", "crowds", "formulation", "thresholds", "stages"}
    engines = set(PER_TRUTH) - slow - {"down-sets"}
    order = {"acyclic": True, "triangle": True, "no_skipping": True, "dynamic_memory": False, "relays": True}
    tallies = (
        asked(engines, range(6)),
        asked(engines, range(100, 106), topology="ring"),
        asked(engines, range(200, 204), topology="ring", transfers="serial", chips=(3, 3), **order),
        asked({"memory cuts"}, range(300, 308), memory=True, dynamic_memory=True, sram="part", dram="none"),
        asked({"down-sets"}, range(2)),
    )
    asked_of = {name: sum(tally.asked.get(name, 0) for tally in tallies) for name in (*engines, "down-sets")}
    assert min(asked_of.values()) > 0, asked_of


def test_no_engine_with_a_solver_behind_it_calls_the_truth_impossible() -> None:
    engines = {"capacity", "crowds", "formulation", "thresholds", "stages", *PER_CASE}
    tallies = (
        asked(engines, range(500, 510)),
        asked({"kind orders"}, range(600, 608), kinds="two", kind_order="free", sram="unlimited"),
        asked({"stages"}, range(700, 708), topology="biring", kinds="one", sram="unlimited"),
        asked({"replay"}, range(800, 804), wishes="none"),
    )
    asked_of = {name: sum(tally.asked.get(name, 0) for tally in tallies) for name in engines}
    assert min(asked_of.values()) > 0, asked_of


def test_the_generator_lets_any_two_features_meet() -> None:
    met: set[tuple[str, str]] = set()
    for seed in range(400):
        met |= draw(np.random.default_rng(seed)).pairs()
    counts = [len(set(values)) for values in CHOICES.values()]
    possible = (sum(counts) ** 2 - sum(c * c for c in counts)) // 2
    impossible = {("acyclic=False", "topology=chain"), ("dynamic_memory=True", "memory=False")} & met
    assert len(met) > 0.97 * possible
    assert impossible <= {("acyclic=False", "topology=chain")}, "a chain of one chip alone may have the rule off"


def test_what_inspect_tells_agrees_with_the_oracle_on_every_kind_of_question() -> None:
    for seed in range(300):
        question = draw(np.random.default_rng(seed), wishes="none")
        check_description(question.problem, describe(*question.read()))


# --- found so ---------------------------------------------------------------------------------------------------


def test_tensors_of_the_backward_pass_are_no_edges_of_the_triangle_rule_on_a_chain() -> None:
    """Frontiers took them for such: a -> c beside a -> b -> c, the first between operations of the backward pass."""
    b = GraphBuilder("skip")
    b.operation("a", "Op", outputs={"ab": 0.0, "ac": 0.0}, flops=1, bytes_accessed=0, backward=True)
    b.operation("b", "Op", inputs=["ab"], outputs={"bc": 0.0}, flops=1, bytes_accessed=0)
    b.operation("c", "Op", inputs=["ac", "bc"], flops=1, bytes_accessed=0, backward=True)
    graph, hardware = b.build(), package(3, topology="chain", relays=False)
    assert brute_force(as_given(graph, hardware))[0] == 1.0
    instance = contract(graph, hardware)
    assert not Frontiers.applies(instance)
    assert partition(graph, hardware).period == 1.0
    free = replace(graph, backward=np.zeros(3, dtype=bool))
    assert Frontiers.applies(contract(free, hardware))
    for program in narrow_frontiers(contract(free, hardware), diverse_orders(instance, np.random.default_rng(0))):
        assert program.decide(1.0).possible is False, "where all edges constrain, two chips are all there is"


def test_a_chain_round_a_ring_is_excluded_at_the_threshold_and_not_below_it() -> None:
    """It was looked for up to a millionth below the threshold, and all up to the threshold was called impossible."""
    hw = package(2, acyclic=False)
    # from ideal 0 to 1 to 2: 0.5 and 0.5, but too much goes back; or 1.0 at once
    pairs = Pairs(np.array([0, 0, 1]), np.array([1, 2, 2]), [np.array([0.5, 1.0, 0.5])], np.array([0.0, 0.0, 9.0]))
    for threshold in (1.0 + 1e-9, 1.0 + 1e-6, 1.5):
        path = best_path(hw, pairs, 3, threshold)
        assert path is not None and path.ideals == [0, 2]
        assert 1.0 - 2e-6 <= path.period <= 1.0
    assert best_path(hw, pairs, 3, 1.0 - 1e-9) is None
    assert best_path(hw, pairs, 3, 0.5 + 1e-8) is None


@pytest.mark.parametrize("topology", ["chain", "ring", "bichain", "mesh", "crossbar", "memory"])
@pytest.mark.parametrize("acyclic", [True, False])
def test_a_single_chip_is_a_package_like_any_other(topology: str, acyclic: bool) -> None:
    """Three chips of its kind, or groups whose paths make cycles, were errors of the library on some of these."""
    b = GraphBuilder("cycle")
    b.operation("a", "Op", outputs={"t": 1.0}, flops=1, bytes_accessed=0, group=0)
    b.operation("b", "Op", inputs=["t"], outputs={"u": 1.0}, flops=2, bytes_accessed=0)
    b.operation("c", "Op", inputs=["u"], flops=3, bytes_accessed=0, group=0)
    shape = {"rows": 1, "columns": 1} if topology == "mesh" else {}
    positions = (0,) if topology in ("bichain", "mesh") else ()
    link = Interconnect(topology, 1.0, transfers="serial", **shape)  # type: ignore[arg-type]
    kind = ChipKind("unit", 1.0)
    hardware = Hardware("one", (kind,), (0,), link, Rules(acyclic=acyclic, triangle=False), positions=positions)
    result = partition(b.build(), hardware)
    assert result.status == "optimal" and result.period == 6.0


def test_a_first_placement_is_found_where_transfers_are_beyond_all_proportion_to_compute() -> None:
    """HiGHS refused the model: times were counted in the compute, of which a transfer took 1e16."""
    b = GraphBuilder("far")
    for i in range(3):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 3e3}, flops=1e-7, weights=2, bytes_accessed=0)
    graph = b.build()
    hardware = package(3, topology="crossbar", bandwidth=1e-6, sram=4.0, acyclic=False)
    instance = contract(graph, hardware)
    incumbent = Incumbent(instance, 1e-4, lambda: 0.0, None)
    ANY_PLACEMENT.work(Run.begin(instance, incumbent, Stop(20)))
    assert incumbent.known and not incumbent.impossible


def test_no_memory_is_cut_off_that_a_replica_elsewhere_could_spare() -> None:
    """A chip too full with a constant in its transfer buffers is not too full where the reader has one of its own.

    The proof failed, and the cut was made all the same.
    """
    b = GraphBuilder("constant")
    b.operation("constant", "Constant", outputs={"k": 3e3})
    b.operation("v0", "Op", outputs={"t": 0.1}, flops=2, weights=3e3, bytes_accessed=0)
    b.operation("v1", "Op", inputs=["t", "k"], outputs={"u": 0.1}, flops=2, weights=2e3, bytes_accessed=0)
    b.operation("v2", "Op", inputs=["u", "k"], flops=2, weights=1e3, bytes_accessed=0)
    graph = b.build()
    hardware = package(2, topology="crossbar", sram=8.5e3).with_rules(dynamic_memory=True)
    alone = Placement(np.array([0, 0, 0, 1]))
    copied = Placement(np.array([0, 0, 0, 1]), np.array([[0, 1]]))
    assert check(graph, hardware, alone) and not check(graph, hardware, copied)
    assert not MemoryCuts(graph, hardware).learn(alone)
    result = partition(graph, hardware)
    assert (result.status, result.period) == ("optimal", brute_force(as_given(graph, hardware))[0])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.instead[:40])
def test_mutants_of_engines_are_of_lines_that_are_there(mutant: Mutant) -> None:
    """``benchmarks/mutate_engines.py`` puts them into a copy."""
    text = (Path(__file__).parent.parent / mutant.path).read_text(encoding="utf-8")
    assert text.count(mutant.line) == 1 and mutant.engine in {*PER_TRUTH, *PER_CASE}


def test_a_block_behind_a_cut_is_no_block_of_three_chips() -> None:
    """Both sides of a cut may be on chips before a block, which the three chips behind its price have but one for."""
    b = GraphBuilder("cut")
    for i in range(4):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 0.5}, flops=(1, 1, 1, 4)[i], bytes_accessed=0)
    wishes = {"cuts": [["v0", "v1"], ["v1", "v2"]]}
    graph, hardware = b.build(), package(4, transfers="serial")
    narrowed = narrow(graph, hardware, Wishes.of(**wishes).on(graph, hardware.chips))
    instance = contract(narrowed.graph, narrowed.hardware)
    assert len(instance.before) == 2
    capacity, upper = BlockCapacity(instance), 4.6 / instance.unit
    assert capacity.most_work(upper, time_limit=10, stop=Stop(10)) * instance.unit >= 4.0
    found = capacity.cheapest(3, upper=upper, time_limit=10, stop=Stop(10))
    assert 4.5 * (1 - 1e-5) <= found.bound * instance.unit <= 4.5
    result = partition(graph, hardware, **wishes)
    least, _ = brute_force(as_given(graph, hardware) | {"wishes": wishes})
    assert (result.status, result.period) == ("optimal", least) and least == 4.5


def test_room_is_a_number_where_some_chips_stream_and_others_do_not() -> None:
    """Unlimited room less a share of itself was no number, and repair went on with that."""
    pinned = {"kinds": "two", "kind_order": "fixed", "dram": "some", "memory": True, "sram": "part"}
    question = draw(
        np.random.default_rng(28), n=(3, 6), chips=(2, 3), dynamic_memory=False, wishes="none", **pinned
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert not partition(*question.read(), time_limit=20).faults
