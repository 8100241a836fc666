"""The policy that ships with the package, and how a choice of policy is understood."""

from __future__ import annotations

from importlib.resources import as_file, files

from learned.policy.policy import Policy
from partition.errors import InvalidInput

SHIPPED = "pretrained"
"""What the policy that is shipped is called."""


def load_policy(choice: str) -> Policy | None:
    """The policy meant by ``"pretrained"`` (the one shipped), ``"none"`` (None) or a path.

    Raises
    ------
    InvalidInput : no such file, or not a policy that this version can use.
    """
    if choice == "none":
        return None
    if choice != SHIPPED:
        return Policy.load(choice)
    resource = files("learned.policy") / "pretrained.npz"
    if not resource.is_file():
        raise InvalidInput("this installation has no pre-trained policy; train one (cli.py train) and give its path")
    with as_file(resource) as path:
        return Policy.load(path)
