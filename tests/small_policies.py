"""A policy that was never trained."""

from __future__ import annotations

import numpy as np

from learned.policy.features import NodeFeatures
from learned.policy.policy import Policy
from partition.instance.instance import Instance


def untrained(instance: Instance) -> Policy:
    return Policy.new([NodeFeatures.of(instance)], np.random.default_rng(0))
