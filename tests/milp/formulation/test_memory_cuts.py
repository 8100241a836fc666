"""Dynamic memory in the solver: against brute force, with the cuts alone, and on real models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import answer_of, chain_of, package, random_tight_instance
from oracle import certify
from searching import solve_by, without

from milp.formulation.memory import _ChipMemory
from milp.formulation.memory_cuts import MemoryCuts
from milp.search.period import PHASES
from milp.state.names import Doing
from milp.state.run import Phase
from partition import Hardware, load_hardware, load_model, partition
from partition.instance.instance import BEYOND
from partition.problem.placement import Placement
from partition.scoring.rules import violated


def agree(seed: int, phases: Sequence[Phase] = PHASES) -> bool:
    """Whether the instance was small enough; fails if the solver and brute force differ."""
    graph, hardware = random_tight_instance(np.random.default_rng(seed))
    problem = as_given(graph, hardware)
    try:
        best, _ = brute_force(problem, limit=20_000)
    except OverflowError:
        return False
    result = solve_by(phases, graph, hardware)
    certify(problem, answer_of(result))
    assert (result.status == "infeasible") == (best is None)
    if best is not None:
        assert result.status == "optimal"
        assert result.bound <= best * (1 + 1e-9)
        assert best * (1 - 1e-9) <= result.period <= best * (1 + 1.01e-4)
    return True


@pytest.mark.parametrize("block", range(4))
def test_solver_agrees_with_brute_force(block: int) -> None:
    assert sum(agree(seed) for seed in range(10 * block, 10 * block + 10)) > 5


def test_cuts_alone_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither seeds nor the linear proxy: whatever does not fit must be cut off, however many times."""
    learned = []
    learn = MemoryCuts.learn

    def counted(self: MemoryCuts, placement: Placement) -> bool:
        learned.append(learn(self, placement))
        return learned[-1]

    def static_only(self: _ChipMemory) -> None:
        weights, _ = self.weights.on(self.chip, self.unit, BEYOND)
        self.weights.write_users(self.model, self.chip)
        self.model.at_most("memory", weights.total(), self.room)

    monkeypatch.setattr(MemoryCuts, "learn", counted)
    monkeypatch.setattr(_ChipMemory, "write", static_only)
    phases = without(Doing.SEEDS, Doing.FEW_IDEALS, Doing.IDEALS)
    assert sum(agree(seed, phases) for seed in range(200, 216)) > 9
    assert sum(learned) > 3


def test_no_cut_excludes_a_placement_that_fits() -> None:
    """Cuts of random bad placements, held against random placements with replicas left out."""
    kept = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        graph, hardware = random_tight_instance(rng)
        cuts = MemoryCuts(graph, hardware)
        batch = np.sort(rng.integers(0, hardware.chips, (40, graph.n)), axis=1)
        broken = violated(graph, hardware, batch)["dynamic_memory"]
        for row in batch[broken][:5]:
            cuts.learn(Placement(row))
        for row in batch[~broken]:
            kept += 1
            for cut in (cut for cut in cuts.known if not len(cut.relays)):
                for c in np.flatnonzero(hardware.sram_bytes <= cut.capacity).tolist():
                    total = int((row[cut.on] == c).sum()) - int((row[cut.off] == c).sum())
                    assert total <= len(cut.on) - 1
    assert kept > 200


def test_a_chip_that_can_hold_the_weights_but_not_a_tensor_is_infeasible() -> None:
    graph = chain_of([1, 1, 1], size=8)
    assert partition(graph, package(3, sram=8, dynamic_memory=False)).status == "optimal"
    result = partition(graph, package(3, sram=8, dynamic_memory=True))
    assert result.status == "infeasible" and "memory" in result.reason


@pytest.mark.parametrize(("model", "package_name"), [("resnet50", "ring8"), ("unet", "ring4")])
def test_real_models_with_less_memory_than_their_best_partition_needs(model: str, package_name: str) -> None:
    graph, hardware = load_model(model).graph, load_hardware(package_name)
    without = partition(graph, hardware, time_limit=30)
    need = max(s.peak for s in without.schedules)
    tight = with_sram(hardware, 0.9 * need)
    result = partition(graph, tight, time_limit=30)
    certify(as_given(graph, tight), answer_of(result))
    assert result.status == "optimal" and result.period >= without.bound
    assert max(s.peak for s in result.schedules) <= 0.9 * need * (1 + 1e-9)


def with_sram(hardware: Hardware, size: float) -> Hardware:
    """The package with chips of ``size`` bytes, of which live tensors take their part."""
    kinds = tuple(replace(kind, sram_bytes=size) for kind in hardware.kinds)
    return replace(hardware, kinds=kinds).with_rules(dynamic_memory=True)


@pytest.mark.parametrize("share", [0.7, 0.85, 0.95, 0.99])
def test_tight_weights_are_never_misjudged(share: float) -> None:
    """ResNet-50 with weights of that share of all SRAM: solved on 4 and 8 chips, or proved impossible."""
    graph = load_model("resnet50").graph
    weights = float(graph.weights.sum() + graph.shared_bytes.sum())
    for chips in (4, 8):
        hardware = load_hardware(f"ring{chips}:transfers=serial")
        kinds = tuple(replace(kind, sram_bytes=weights / chips / share) for kind in hardware.kinds)
        hardware = replace(hardware, kinds=kinds)
        result = partition(graph, hardware, time_limit=30)
        certify(as_given(graph, hardware), answer_of(result))
        fits = share <= (0.95 if chips == 4 else 0.85)
        assert result.status == ("optimal" if fits else "infeasible")
