"""From the name of a policy to what advises the search."""

from __future__ import annotations

from collections.abc import Callable

from milp.state.advice import Advice
from partition.instance.instance import Instance


def adviser(policy: str, seed: int) -> Callable[[Instance], Advice] | None:
    """What makes an adviser of the chosen policy; the policy is read at once, so that a bad file is refused at once."""
    if policy == "none":
        return None
    from learned.policy.guide import PolicyGuide
    from learned.policy.pretrained import load_policy

    chosen = load_policy(policy)
    return None if chosen is None else lambda instance: PolicyGuide(chosen, instance, seed)
