"""A policy beside the solver: advice never enters a proof, and a bad policy can only waste time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from checked import as_given
from instances import answer_of, package, random_instance
from oracle import certify

from learned.policy.features import NodeFeatures
from learned.policy.guide import PolicyGuide
from learned.policy.policy import Policy
from learned.training.calibration import calibrated, said_and_right, with_calibration
from learned.training.ppo import Settings
from learned.training.runs import Task
from milp.improve.doubtful_nodes import doubtful, release_by_doubt
from milp.search.first_placements import slice_orders
from milp.search.period import search
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from partition import InvalidInput, Placement, partition
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.models import build
from partition.scoring.rules import check
from partition.stopping import Stop


def untrained(instance: Instance) -> Policy:
    return Policy.new([NodeFeatures.of(instance)], np.random.default_rng(0))


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


def test_the_doubtful_are_the_most_doubted() -> None:
    assert doubtful(np.array([0.1, 0.9, 0.5, 0.2]), 0.5).tolist() == [1, 2]
    assert doubtful(np.array([0.1, 0.9]), 0.01).tolist() == [1]


def test_calibration_makes_confidence_the_share_that_is_right() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(20_000)
    right = (rng.random(20_000) < said**2).astype(float)  # an overconfident policy
    policy = with_calibration(untrained(contract(build("resnet50"), package(4))), said, right)
    for p in (0.2, 0.5, 0.9):
        assert policy.confidence(np.array([p]))[0] == pytest.approx(p**2, abs=0.06)


def test_calibration_asks_how_often_the_chip_is_that_of_a_proven_optimum() -> None:
    policy = untrained(contract(build("resnet50"), package(4)))
    tasks, settings = [Task("resnet50", "ring4"), Task("unet", "ring2")], Settings(rollouts=4, rounds=1)
    said, right = said_and_right(policy, tasks[0], settings, solve=partition, seconds=20, seed=0) or (
        np.zeros(0),
        np.zeros(0),
    )
    assert len(said) > 50 and set(np.unique(right)) <= {0.0, 1.0} and (said >= 0).all() and (said <= 1).all()
    calibration = calibrated(policy, tasks, settings, solve=partition, seconds=20, seed=0).calibration
    assert calibration.shape[1] > 1 and (np.diff(calibration[1]) >= 0).all()
    assert said_and_right(policy, tasks[0], settings, solve=partition, seconds=1e-9, seed=0) is None
    assert calibrated(policy, tasks, settings, solve=partition, seconds=1e-9, seed=0) is policy


def test_an_unusable_policy_is_refused_before_anything_is_solved(tmp_path: Path) -> None:
    graph, hardware = random_instance(np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="there is no policy file"):
        partition(graph, hardware, policy=str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InvalidInput, match="not a policy file"):
        partition(graph, hardware, policy=str(tmp_path / "text.npz"))
