"""Profiles of PipeDream."""

from __future__ import annotations

import numpy as np
from other_formats import PIPEDREAM

from partition.problem.hardware_files import load_hardware


def test_layers_take_forward_and_backward_time_and_send_both_ways(load):
    graph = load(PIPEDREAM).graph
    assert np.allclose(load_hardware("chain2").times(graph)[0], [0, 4e-3, 3e-3], rtol=1e-12)
    assert sorted(graph.tensor_bytes.tolist()) == [0.0, 16.0]
    assert graph.weights.tolist() == [0.0, 32.0, 0.0]
