"""A small comparison of methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from learned.comparison.comparison import MethodComparison, Trial, compare
from learned.policy.features import NodeFeatures
from learned.policy.policy import Policy
from learned.training.ppo import Settings
from partition import load_hardware
from partition.instance.contract import contract
from partition.models import build

GRAPH, HARDWARE = build("resnet50"), load_hardware("ring4")


SMALL = Settings(rollouts=5, rounds=2, epochs=1, minibatches=1)


def policy() -> Policy:
    return Policy.new([NodeFeatures.of(contract(GRAPH, HARDWARE))], np.random.default_rng(0))


def run(**changes: Any) -> MethodComparison:
    wanted: dict[str, Any] = {"samples": 23, "seeds": (0, 1)}
    means: dict[str, Any] = {"policy": policy(), "settings": SMALL}
    for name, value in changes.items():
        (wanted if name in Trial.__dataclass_fields__ else means)[name] = value
    return compare(GRAPH, HARDWARE, Trial(**wanted), **means)
