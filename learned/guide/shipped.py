"""The guide that ships with the package, and how a choice of policy is understood where it may be a guide."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import as_file, files

from learned.guide.guide import PRICES, BeamGuide
from learned.policy.policy import Policy, load_arrays
from learned.policy.pretrained import load_policy


@lru_cache(1)
def shipped_guide() -> BeamGuide | None:
    """The guide of this installation; None if it has none."""
    resource = files("learned.guide") / "guide.npz"
    if not resource.is_file():
        return None
    with as_file(resource) as path:
        return BeamGuide.load(path)


def load_pair(choice: str) -> tuple[Policy, BeamGuide | None]:
    """Policy and guide meant by ``"pretrained"`` (those shipped) or a path.

    The file of a policy brings no guide. That of a guide goes with the policy shipped.

    Raises
    ------
    InvalidInput : no such file, or neither a policy nor a guide that this version can use.
    """
    guide = None
    if choice == "pretrained":
        guide = shipped_guide()
    else:
        arrays = load_arrays(choice)
        if f"{PRICES} columns" not in arrays:
            return Policy.from_arrays(arrays, choice), None
        guide = BeamGuide.from_arrays(arrays, choice)
    policy = load_policy("pretrained")
    assert policy is not None
    return policy, guide
