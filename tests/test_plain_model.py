"""The judge of mid sizes agrees with brute force where both can speak, so that it may judge beyond."""

from __future__ import annotations

import numpy as np
import pytest
from exhaustive import brute_force
from oracle import Problem, broken_rules, cost_of
from questions import draw

pytest.importorskip("ortools")

from plain_model import ask, modelled


def test_the_plain_model_agrees_with_brute_force() -> None:
    seen: dict[str, int] = {}
    for seed in range(60):
        question = draw(
            np.random.default_rng(seed), n=(1, 5), chips=(1, 3), times="whole", sizes="whole", bandwidth=0.5,
            traffic="none", kind_order="fixed", dynamic_memory=False, speeds="equal", wishes="none",
        )  # fmt: skip
        p = Problem(question.problem)
        if not modelled(p):
            continue
        try:
            best, _ = brute_force(question.problem, limit=1_000)
        except OverflowError:
            continue
        if best is None:
            assert ask(p, float("inf"), seconds=10).status == "infeasible", seed
            seen["infeasible"] = seen.get("infeasible", 0) + 1
            continue
        assert ask(p, best, seconds=10).status == "infeasible", f"{seed}: better than brute force"
        found = ask(p, best + 1e-3, seconds=10)
        assert found.status == "feasible" and found.answer is not None, seed
        assert not broken_rules(p, found.answer), seed
        assert cost_of(p, found.answer)["period"] == pytest.approx(best), seed
        seen["feasible"] = seen.get("feasible", 0) + 1
    assert seen["feasible"] > 10 and seen["infeasible"] > 1
