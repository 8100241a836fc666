"""Training: gradients, learning, resuming bit for bit, workers that die, broken models, a Dask cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from finite_differences import SETTINGS

from learned.policy.policy import Policy
from learned.training import runs as pretraining
from learned.training.ppo import Settings
from learned.training.runs import Plan, Task, TrainingProgress, train, usable
from partition import InvalidInput

TASKS = (
    Task("resnet50", "ring4"),
    Task("unet", "ring4"),
    Task("gpt:layers=1,hidden=96,vocab=100", "ring8"),
)


def small_plan(iterations: int, **changes: Any) -> Plan:
    plan = Plan(TASKS, TASKS[:1], iterations, SETTINGS, seed=3, every=2, validation_samples=12)
    return replace(plan, **changes)


def same(a: Policy, b: Policy) -> bool:
    return all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)


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

    stopped = train(small_plan(6), checkpoint=path, on_progress=interrupt)
    assert stopped.interrupted and stopped.iteration == 3
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
    return pretraining.played_task(*args)


def test_a_worker_that_dies_costs_time_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = train(small_plan(2))
    marker = str(tmp_path / "died")
    original = joblib.delayed

    def delayed(function: Any) -> Any:
        if function is pretraining.played_task:
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
