"""Plans of parts and their floor."""

from __future__ import annotations

from partition import load_hardware, load_model
from partition.problem.problem import Problem
from partition.shards.plans import Plans


def test_no_plan_is_below_the_floor() -> None:
    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    plans = Plans.of(graph, hardware)
    for target in plans.targets(2.4e-3):
        graph = plans.sharded(plans.for_target(target)).graph
        assert Problem.of(graph, hardware).least_period >= plans.floor * (1 - 1e-12)
