"""Matrix products run on one thread during a search, and on as many as before it afterwards."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np  # noqa: F401 - its BLAS is asked
import pytest
from instances import diamond, package
from threadpoolctl import threadpool_info, threadpool_limits

from partition import partition
from partition.one_thread import one_thread


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def several():
    with threadpool_limits(limits=2, user_api="blas"):
        if 2 not in threads():
            pytest.skip("this BLAS has one thread")
        yield


def test_a_search_runs_its_products_on_one_thread_and_gives_the_others_back():
    seen = []
    partition(diamond(), package(2), on_progress=lambda _: seen.append(threads()))
    assert seen and all(each == {1} for each in seen)
    assert 2 in threads()


def test_a_search_inside_or_beside_another_leaves_the_limit_to_it():
    with one_thread():
        with one_thread():
            assert threads() == {1}
        thread = threading.Thread(target=partition, args=(diamond(), package(2)))
        thread.start()
        thread.join()
        assert threads() == {1}
    assert 2 in threads()


def test_flows_that_are_loaded_meanwhile_bring_no_threads():
    """In a process of its own, where nothing has loaded them."""
    said = subprocess.check_output([sys.executable, "-c", LATE], text=True)
    before, during, after = map(int, said.split())
    assert (during, after) == (1, before)


LATE = """
import numpy
from threadpoolctl import threadpool_info
from partition.one_thread import flows, one_thread
most = lambda: max(library["num_threads"] for library in threadpool_info())
print(most())
with one_thread():
    flows()
    print(most())
print(most())
"""


def test_a_fault_gives_the_threads_back():
    with pytest.raises(ValueError, match="fault"), one_thread():
        raise ValueError("fault")
    assert 2 in threads()
