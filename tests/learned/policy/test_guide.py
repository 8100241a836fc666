"""A policy beside the solver: advice never enters a proof, and a bad policy can only waste time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from checked import as_given
from instances import answer_of, package, random_instance
from oracle import certify
from small_policies import untrained

from learned.policy.guide import PolicyGuide
from milp.search.period import search
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from partition import InvalidInput, Placement, partition
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.models import build
from partition.scoring.rules import check
from partition.stopping import Stop


@pytest.fixture(scope="module")
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.npz"
    untrained(contract(build("resnet50"), package(4))).save(path)
    return path


def test_with_advice_the_solver_proves_the_same_optimum(policy_file: Path) -> None:
    for seed in range(40):
        graph, hardware = random_instance(np.random.default_rng(seed))
        alone = partition(graph, hardware, time_limit=60)
        advised = partition(graph, hardware, time_limit=60, policy=str(policy_file))
        assert advised.status == alone.status
        if alone.placement is not None:
            assert advised.period == pytest.approx(alone.period, rel=1.01e-4)
            assert advised.bound <= alone.period * (1 + 1e-9)
        certify(as_given(graph, hardware), answer_of(advised))


class _Liar:
    """Advises what breaks the rules, and doubts at random."""

    def __init__(self, instance: Instance) -> None:
        self.instance, self.rng = instance, np.random.default_rng(1)

    def placements(self, best: Placement | None, stop: Stop) -> Iterator[Placement]:
        for _ in range(20):
            yield Placement(self.rng.integers(0, self.instance.chips, self.instance.graph.n))

    def doubt(self, chip: np.ndarray) -> np.ndarray:
        return self.rng.random(len(chip))

    def opinion(self) -> _Liar:
        return self

    def prices(self, tensors: np.ndarray) -> np.ndarray:
        return self.rng.choice([np.nan, -1.0, 0.0, 9.0], len(tensors))

    def losses(self, states: np.ndarray) -> np.ndarray:
        return self.rng.choice([np.nan, np.inf, -np.inf, 0.0], (len(states), 2))


def test_bad_advice_changes_no_proof() -> None:
    graph, hardware = build("gnmt:seq=4,layers=2,hidden=256,vocab=1000"), package(6, bandwidth=1e9, sram=1e9)
    instance = contract(graph, hardware)
    results = []
    for advice in (None, _Liar(instance)):
        stop = Stop(20.0)
        incumbent = Incumbent(instance, 1e-3, lambda stop=stop: stop.seconds, None)
        assert search(Run.begin(instance, incumbent, stop, advice=advice))
        assert incumbent.placement is not None
        assert check(graph, hardware, incumbent.placement) == []
        results.append((incumbent.bound, incumbent.period))
    (bound, period), (advised_bound, advised_period) = results
    assert bound <= advised_period * (1 + 1e-9)
    assert advised_bound <= period * (1 + 1e-9)


def test_what_a_policy_suggests_is_valid() -> None:
    for seed in range(20):
        graph, hardware = random_instance(np.random.default_rng(seed), triangle=False)
        instance = contract(graph, hardware)
        guide = PolicyGuide(untrained(instance), instance)
        stop = Stop(5.0)
        incumbent = Incumbent(instance, 1e-4, lambda stop=stop: stop.seconds, None)
        offered = [incumbent.offer(p) for p in guide.placements(None, stop)]
        if incumbent.placement is not None:
            assert any(offered)
            assert check(graph, hardware, incumbent.placement) == []


def test_an_unusable_policy_is_refused_before_anything_is_solved(tmp_path: Path) -> None:
    graph, hardware = random_instance(np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="there is no policy file"):
        partition(graph, hardware, policy=str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InvalidInput, match="not a policy file"):
        partition(graph, hardware, policy=str(tmp_path / "text.npz"))
