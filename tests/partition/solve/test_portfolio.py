"""Searches side by side in processes of their own."""

from __future__ import annotations

import math
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import psutil
import pytest
from checked import as_given
from instances import answer_of, diamond, package
from oracle import certify

from partition import InvalidInput, SearchFault, load_hardware, load_model, partition
from partition.processes import end_local_workers
from partition.solve.portfolio import _Terms
from partition.solve.search_once import answer


def test_two_workers_agree_with_one() -> None:
    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    alone = partition(graph, hardware)
    both = partition(graph, hardware, workers=2)
    certify(as_given(graph, hardware), answer_of(both))
    assert (both.status, both.period) == (alone.status, pytest.approx(alone.period))


def test_a_dask_cluster_serves_as_well() -> None:
    distributed = pytest.importorskip("distributed")
    import joblib

    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        both = partition(graph, hardware, workers=2)
    certify(as_given(graph, hardware), answer_of(both))
    assert both.status == "optimal"


def test_out_of_time_the_best_answer_and_the_best_bound_are_joined() -> None:
    graph, hardware = load_model("randwire").graph, load_hardware("ring8")
    both = partition(graph, hardware, workers=2, time_limit=6)
    certify(as_given(graph, hardware), answer_of(both))
    assert both.status == "feasible" and 0 < both.bound < both.period


def test_graphs_and_results_survive_pickling() -> None:
    result = partition(diamond(), package(2))
    again = pickle.loads(pickle.dumps(result))
    assert again.assignment == result.assignment and again.graph.names == result.graph.names


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_a_number_of_workers_that_is_none_is_refused(workers: object) -> None:
    with pytest.raises(InvalidInput, match="workers is"):
        partition(diamond(), package(2), workers=workers)  # type: ignore[arg-type]


def once_known(folder: Path, members: int, strike: Callable[[], None]) -> threading.Thread:
    """Strike as soon as this many members have written down an answer."""

    def wait() -> None:
        until = time.perf_counter() + 60
        while time.perf_counter() < until:
            if len(list(folder.glob("mcm-partition-*/[0-9].json"))) >= members:
                strike()
                return
            time.sleep(0.05)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def workers_alive() -> list[Any]:
    """The processes in which members run."""
    children = psutil.Process().children()
    return [child for child in children if "LokyProcess" in " ".join(child.cmdline())]


def kill_workers() -> None:
    for process in workers_alive():
        process.kill()


def test_what_killed_workers_knew_is_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    graph, hardware = load_model("randwire").graph, load_hardware("ring8")
    over = threading.Event()

    def kill_and_end() -> None:
        kill_workers()
        time.sleep(0.5)
        over.set()

    killer = once_known(tmp_path, 2, kill_and_end)
    result = partition(graph, hardware, workers=2, time_limit=120, stop=over)
    killer.join()
    certify(as_given(graph, hardware), answer_of(result))
    assert result.status == "feasible" and 0 < result.bound <= result.period
    assert result.faults == ("a worker process died",)
    assert not list(tmp_path.glob("mcm-partition-*"))


def test_at_the_limit_nobody_waits_for_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the second one never comes to an end; its start-up may take as long."""
    end = threading.Event()

    def answer_unless_second(question: Any, *rest: Any, **more: Any) -> Any:
        if question.seed == 1:
            end.wait(60)
            raise MemoryError("too late")
        return answer(question, *rest, **more)

    monkeypatch.setattr("partition.solve.portfolio.answer", answer_unless_second)
    graph, hardware = load_model("randwire").graph, load_hardware("ring8")
    with joblib.parallel_config(backend="sequential"):
        result = partition(graph, hardware, workers=2, time_limit=2)
    assert not end.is_set()
    end.set()
    certify(as_given(graph, hardware), answer_of(result))
    assert result.status == "feasible" and not result.faults


def test_a_member_that_starts_late_has_less_time(tmp_path: Path) -> None:
    late = _Terms(str(tmp_path), 0, time.time() - 5, 20.0, None)
    assert late.begin().remaining == 0
    assert 0 < replace(late, deadline=time.time() + 3).begin().remaining <= 3
    assert replace(late, folder=str(tmp_path / "elsewhere")).begin().remaining > 15, "another machine's clock"
    assert replace(late, deadline=math.inf, seconds=math.inf, work=2.0).begin().remaining == 2.0


def test_workers_killed_before_they_knew_anything_leave_it_to_this_process() -> None:
    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    end_local_workers()

    def kill_at_once() -> None:
        while not workers_alive():
            time.sleep(0.01)
        kill_workers()

    killer = threading.Thread(target=kill_at_once)
    killer.start()
    result = partition(graph, hardware, workers=2, time_limit=60)
    killer.join()
    certify(as_given(graph, hardware), answer_of(result))
    assert result.status == "optimal"
    assert set(result.faults) <= {"a worker process died"}, "told, unless this process was done before it heard of it"


def test_ctrl_c_gives_the_best_answer_of_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    graph, hardware = load_model("randwire").graph, load_hardware("ring8")
    user = once_known(tmp_path, 1, lambda: signal.raise_signal(signal.SIGINT))
    result = partition(graph, hardware, workers=2, time_limit=120)
    user.join()
    certify(as_given(graph, hardware), answer_of(result))
    assert result.interrupted and 0 < result.bound <= result.period
    assert not list(tmp_path.glob("mcm-partition-*"))


def test_a_member_without_memory_does_not_cost_the_answer_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_unless_first(question: Any, *rest: Any, **more: Any) -> Any:
        if question.seed == 0:
            raise MemoryError("injected")
        return answer(question, *rest, **more)

    monkeypatch.setattr("partition.solve.portfolio.answer", answer_unless_first)
    with joblib.parallel_config(backend="sequential"):
        result = partition(diamond(), package(2), workers=2)
    certify(as_given(diamond(), package(2)), answer_of(result))
    assert result.faults == ("MemoryError in a worker: injected",)


def test_a_defect_in_one_member_is_told_beside_the_answer_of_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_unless_first(question: Any, *rest: Any, **more: Any) -> Any:
        if question.seed == 0:
            raise ZeroDivisionError("mine")
        return answer(question, *rest, **more)

    monkeypatch.setattr("partition.solve.portfolio.answer", answer_unless_first)
    with joblib.parallel_config(backend="sequential"), pytest.warns(SearchFault, match="ZeroDivisionError: mine"):
        result = partition(diamond(), package(2), workers=2)
    assert result.status == "optimal" and result.faults == ("ZeroDivisionError in a worker: mine",)


def test_a_defect_in_every_member_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("mine")

    monkeypatch.setattr("partition.solve.portfolio.answer", fail)
    with joblib.parallel_config(backend="sequential"), pytest.raises(ZeroDivisionError, match="mine"):
        partition(diamond(), package(2), workers=2)
