"""Plans of parts and their floor."""

from __future__ import annotations

from partition import load_hardware, load_model
from partition.shards.plans import Plans


def test_no_plan_is_below_the_floor() -> None:
    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    plans = Plans.of(graph, hardware)
    for target in plans.targets(2.4e-3):
        assert plans.least_period(plans.sharded(plans.for_target(target))) >= plans.floor * (1 - 1e-12)
