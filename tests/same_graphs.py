"""Graphs compared array by array."""

from __future__ import annotations

import numpy as np

from partition.problem.graph import Graph

ARRAYS = (
    "flops", "bytes_accessed", "weights", "tensor_bytes", "producer", "consumer_ptr", "consumers", "shared_bytes",
    "shared_ptr", "shared_users", "group", "backward",
)  # fmt: skip


TEXTS = ("name", "names", "op_types", "tensor_names", "shared_names", "unknown_operators")


def assert_same(a: Graph, b: Graph) -> None:
    for field in TEXTS:
        assert getattr(a, field) == getattr(b, field), field
    for field in ARRAYS:
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)
    assert set(a.profiled_times) == set(b.profiled_times)
    for kind, times in a.profiled_times.items():
        np.testing.assert_array_equal(times, b.profiled_times[kind])
