"""From the name of a policy to what advises the search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from milp.state.advice import Advice, Opinion
from partition.arrays import FloatArray, IntArray
from partition.instance.instance import Instance
from partition.problem.placement import Placement
from partition.stopping import Stop

if TYPE_CHECKING:
    from learned.guide.guide import BeamGuide
    from learned.policy.guide import PolicyGuide
    from learned.policy.policy import Policy

SHIPPED = "pretrained"


@dataclass(frozen=True)
class Choice:
    """A policy by name; the one shipped is read when it is first asked, which on easy instances is never."""

    name: str

    @cached_property
    def pair(self) -> tuple[Policy, BeamGuide | None]:
        """The policy, and the guide of the beams."""
        from learned.guide.choice import load_pair

        return load_pair(self.name)


@dataclass(frozen=True, eq=False)
class Adviser:
    """A policy as :class:`milp.state.advice.Advice` of one instance."""

    choice: Choice
    instance: Instance
    seed: int

    @cached_property
    def _policy(self) -> PolicyGuide:
        from learned.policy.guide import PolicyGuide

        return PolicyGuide(self.choice.pair[0], self.instance, self.seed)

    def placements(self, best: Placement | None, stop: Stop) -> Iterator[Placement]:
        """Those of the policy."""
        return self._policy.placements(best, stop)

    def doubt(self, chip: IntArray) -> FloatArray:
        """That of the policy."""
        return self._policy.doubt(chip)

    def opinion(self) -> Opinion | None:
        """The guide."""
        return self.choice.pair[1]


def adviser(policy: str, seed: int) -> Callable[[Instance], Advice] | None:
    """What makes an adviser of the chosen policy; a named file is read at once, so that a bad one is refused at once.

    Raises
    ------
    InvalidInput : no such file, or not one that this version can use.
    """
    if policy == "none":
        return None
    choice = Choice(policy)
    if policy != SHIPPED:
        _ = choice.pair
    return lambda instance: Adviser(choice, instance, seed)
