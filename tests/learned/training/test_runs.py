"""Training: gradients, learning, resuming bit for bit, workers that die, broken models, a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from instances import random_instance

from learned.policy.distribution import log_probability, log_probability_gradient, probabilities
from learned.policy.network import backward, forward, initial_parameters
from learned.policy.policy import HIDDEN, INPUTS, OUTPUTS, Policy
from learned.policy.rollouts import Environment, play
from learned.training import runs as pretraining
from learned.training.ppo import Settings, advantages, loss_gradient
from learned.training.runs import Plan, Task, TrainingProgress, train, usable
from partition import InvalidInput, load_hardware
from partition.models import build

TASKS = (
    Task("resnet50", "ring4"),
    Task("unet", "ring4"),
    Task("gpt:layers=1,hidden=96,vocab=100", "ring8"),
)
SETTINGS = Settings(rollouts=6, rounds=2, graphs=2, epochs=2, minibatches=2)


def small_plan(iterations: int, **changes: Any) -> Plan:
    plan = Plan(TASKS, TASKS[:1], iterations, SETTINGS, seed=3, every=2, validation_samples=12)
    return replace(plan, **changes)


def same(a: Policy, b: Policy) -> bool:
    return all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)


def numeric(f: Any, x: np.ndarray, index: tuple[int, ...], step: float = 1e-6) -> float:
    changed = x.copy()
    changed[index] += step
    upper = f(changed)
    changed[index] -= 2 * step
    return float((upper - f(changed)) / (2 * step))


def test_the_networks_gradient_agrees_with_finite_differences() -> None:
    rng = np.random.default_rng(0)
    parameters = initial_parameters(7, (5, 4), 3, rng, np.float64)
    x, weight = rng.standard_normal((6, 7)), rng.standard_normal((6, 3))
    gradient = backward(parameters, forward(parameters, x)[1], weight)
    for name, value in parameters.items():
        for index in [tuple(rng.integers(s) for s in value.shape) for _ in range(4)]:

            def loss(changed: np.ndarray, name: str = name) -> float:
                return float((forward(parameters | {name: changed}, x)[0] * weight).sum())

            assert gradient[name][index] == pytest.approx(numeric(loss, value, index), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("chips", [1, 2, 3, 4, 36])
def test_probabilities_add_up_and_agree_with_their_logarithms_and_derivatives(chips: int) -> None:
    rng = np.random.default_rng(chips)
    location, scale = rng.uniform(-1, chips + 1, 50), rng.uniform(-2.5, 1.5, 50)
    table = probabilities(location, scale, chips)
    assert table.sum(axis=1) == pytest.approx(np.ones(50))
    for c in range(chips):
        chip = np.full(50, c)
        logs = log_probability(location, scale, chip, chips)
        sure = table[:, c] > 1e-9
        assert np.exp(logs[sure]) == pytest.approx(table[sure, c], rel=1e-6)
        by_location, by_scale = log_probability_gradient(location, scale, chip, chips)
        step = 1e-6
        for found, shift in ((by_location, (step, 0.0)), (by_scale, (0.0, step))):
            upper = log_probability(location + shift[0], scale + shift[1], chip, chips)
            lower = log_probability(location - shift[0], scale - shift[1], chip, chips)
            assert found == pytest.approx((upper - lower) / (2 * step), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("credit", ["repaired", "proposed"])
def test_the_loss_gradient_agrees_with_finite_differences(credit: str) -> None:
    """Against the clipped surrogate of PPO in double precision, away from its kinks."""
    rng = np.random.default_rng(1)
    environment = Environment(build("gpt:layers=1,hidden=96,vocab=100"), load_hardware("ring4"))
    policy = Policy.new([environment.features], rng)
    doubles = initial_parameters(INPUTS, HIDDEN, OUTPUTS, rng, np.float64)
    policy = replace(policy, parameters={name: 3.0 * value for name, value in doubles.items()})
    settings = replace(SETTINGS, credit=credit)
    for rollout in play(policy, environment, 4, 2, rng, fix=credit == "proposed"):
        gain = advantages(environment, rollout, settings)
        old = rng.normal(-1.5, 0.5, gain.shape)
        rows = np.arange(4)

        def loss(parameters: dict[str, np.ndarray]) -> float:
            moved = replace(policy, parameters=parameters)
            return loss_gradient(moved, environment, rollout, gain, old, rows, settings, 0.01)[0]  # noqa: B023

        _, gradient = loss_gradient(policy, environment, rollout, gain, old, rows, settings, 0.01)
        for name, value in policy.parameters.items():
            index = tuple(rng.integers(s) for s in value.shape)

            def along(changed: np.ndarray, name: str = name) -> float:
                return loss(policy.parameters | {name: changed})

            assert gradient[name][index] == pytest.approx(numeric(along, value, index, 1e-7), rel=1e-3, abs=1e-7)


def test_training_on_one_graph_makes_its_samples_better() -> None:
    plan = Plan((Task("gpt:layers=2", "ring8"),), (), 25, Settings(graphs=1), seed=0, every=25)
    curve = train(plan).curve
    lost = [1.0 - np.mean([p.reward for p in part]) for part in (curve[:3], curve[-3:])]
    assert lost[1] < 0.4 * lost[0]


def test_an_interrupted_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    whole = train(small_plan(6))
    path = tmp_path / "run.npz"

    def interrupt(progress: TrainingProgress) -> None:
        if progress.iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small_plan(6), checkpoint=path, on_progress=interrupt)
    resumed = train(small_plan(6), checkpoint=path)
    assert same(whole.policy, resumed.policy)
    assert whole.best is not None
    assert resumed.best is not None
    assert same(whole.best, resumed.best)
    assert resumed.curve == whole.curve
    assert resumed.samples == whole.samples


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    policy = train(small_plan(2), checkpoint=path).policy
    with pytest.raises(InvalidInput, match="another run"):
        train(small_plan(4, seed=4), checkpoint=path)
    policy.save(tmp_path / "policy.npz")
    with pytest.raises(InvalidInput, match="not a checkpoint"):
        train(small_plan(4), checkpoint=tmp_path / "policy.npz")


def test_the_number_of_processes_does_not_change_the_result() -> None:
    assert same(train(small_plan(3)).policy, train(small_plan(3, jobs=2)).policy)


def _dies_once(marker: str, *args: Any) -> Any:
    if not os.path.exists(marker):
        Path(marker).touch()
        os._exit(1)
    return pretraining._play(*args)


def test_a_worker_that_dies_costs_time_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = train(small_plan(2))
    marker = str(tmp_path / "died")
    original = joblib.delayed

    def delayed(function: Any) -> Any:
        if function is pretraining._play:
            return lambda *args: original(_dies_once)(marker, *args)
        return original(function)

    monkeypatch.setattr(pretraining, "delayed", delayed)
    retried: list[Exception] = []
    run = train(small_plan(2, jobs=2), on_retry=retried.append)
    assert len(retried) == 1
    assert same(run.policy, expected.policy)
    assert run.samples == expected.samples


def test_a_dask_cluster_carries_the_rollouts() -> None:
    distributed = pytest.importorskip("distributed")
    expected = train(small_plan(2))
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        run = train(small_plan(2, jobs=2))
    assert same(run.policy, expected.policy)


def test_fewer_rollouts_than_minibatches_leave_a_policy_of_numbers() -> None:
    few = replace(small_plan(1), tasks=TASKS[:1], settings=replace(SETTINGS, rollouts=2, graphs=1, minibatches=5))
    run = train(few)
    assert all(np.isfinite(values).all() for values in run.policy.parameters.values())


def test_broken_models_are_named_skipped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    tasks = [TASKS[0], Task(str(tmp_path / "broken.json"), "ring4"), Task("no-such-model", "ring4")]
    skipped: list[str] = []
    kept = usable(tasks, lambda task, error: skipped.append(f"{task}: {error}"))
    assert kept == [TASKS[0]]
    assert len(skipped) == 2
    assert "broken.json" in skipped[0]
    assert "no-such-model" in skipped[1]


@pytest.mark.parametrize("changes", [{"iterations": 0}, {"tasks": ()}])
def test_training_on_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        replace(small_plan(1), **changes)


def test_features_are_finite_and_scale_free() -> None:
    """The same numbers whatever the unit of time."""
    for seed in range(30):
        values: list[Sequence[float]] = []
        for unit in (1.0, 1e-6):
            graph, hardware = random_instance(np.random.default_rng(seed), unit=unit, memory=False)
            environment = Environment(graph, hardware)
            fixed = environment.features.fixed
            assert np.isfinite(fixed).all()
            chips = np.zeros((2, environment.instance.nodes), dtype=np.int64)
            seen = environment.features.seen(chips)
            assert np.isfinite(seen).all()
            values.append(seen.ravel().tolist())
        assert values[0] == pytest.approx(values[1], rel=1e-4, abs=1e-5)
