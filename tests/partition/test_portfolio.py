"""Searches side by side in processes of their own."""

from __future__ import annotations

import pickle

import pytest
from instances import answer_of, diamond, package
from oracle import certify

from partition import InvalidInput, load_hardware, load_model, partition
from partition.description import describe


def test_two_workers_agree_with_one() -> None:
    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    alone = partition(graph, hardware)
    both = partition(graph, hardware, workers=2)
    certify(describe(graph, hardware), answer_of(both))
    assert (both.status, both.period) == (alone.status, pytest.approx(alone.period))


def test_a_dask_cluster_serves_as_well() -> None:
    distributed = pytest.importorskip("distributed")
    import joblib

    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        both = partition(graph, hardware, workers=2)
    certify(describe(graph, hardware), answer_of(both))
    assert both.status == "optimal"


def test_out_of_time_the_best_answer_and_the_best_bound_are_joined() -> None:
    graph, hardware = load_model("randwire").graph, load_hardware("ring8")
    both = partition(graph, hardware, workers=2, time_limit=3)
    certify(describe(graph, hardware), answer_of(both))
    assert both.status == "feasible" and 0 < both.bound < both.period


def test_graphs_and_results_survive_pickling() -> None:
    result = partition(diamond(), package(2))
    again = pickle.loads(pickle.dumps(result))
    assert again.assignment == result.assignment and again.graph.names == result.graph.names


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_a_number_of_workers_that_is_none_is_refused(workers: object) -> None:
    with pytest.raises(InvalidInput, match="workers is"):
        partition(diamond(), package(2), workers=workers)  # type: ignore[arg-type]
