"""Guides of a narrow pass."""

from __future__ import annotations

import numpy as np
import pytest

from milp.search.downsets.guides import Guide
from milp.search.downsets.layers import Pass
from milp.search.downsets.line import Line
from milp.search.downsets.tasks import Tasks
from milp.search.downsets.threshold import Threshold
from partition.stopping import Stop


@pytest.mark.parametrize("guide", Guide)
def test_a_narrow_pass_finds_what_each_guide_is_for(guide):
    """Times of bins that can be filled to the brim, in a random order: a narrow pass needs little more room."""
    rng = np.random.default_rng(3)
    cuts = np.sort(rng.choice(np.arange(1, 100), (6, 4)), axis=1)
    times = np.diff(np.concatenate([np.zeros((6, 1), int), cuts, np.full((6, 1), 100)], axis=1), axis=1).ravel()
    tasks = Tasks(rng.permutation(times[times > 0])[None], np.zeros((int((times > 0).sum()),) * 2, dtype=bool))
    assert Pass(Threshold(tasks, Line(np.zeros(6, np.int64), False), 103), guide).decide(100, Stop()).possible
