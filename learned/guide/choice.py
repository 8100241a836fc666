"""How a choice of policy is understood where it may be a guide."""

from __future__ import annotations

from learned.guide.guide import PRICES, BeamGuide
from learned.policy.policy import Policy, load_arrays
from learned.policy.pretrained import SHIPPED, load_policy


def load_pair(choice: str) -> tuple[Policy, BeamGuide | None]:
    """Policy and guide meant by ``"pretrained"`` (the policy shipped; no guide is) or a path.

    The file of a policy brings no guide. That of a guide goes with the policy shipped.

    Raises
    ------
    InvalidInput : no such file, or neither a policy nor a guide that this version can use.
    """
    guide = None
    if choice != SHIPPED:
        arrays = load_arrays(choice)
        if f"{PRICES} columns" not in arrays:
            return Policy.from_arrays(arrays, choice), None
        guide = BeamGuide.from_arrays(arrays, choice)
    policy = load_policy(SHIPPED)
    assert policy is not None
    return policy, guide
