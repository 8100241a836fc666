"""What a threshold implies before any search: neighbours that must share a chip, and windows over what is left."""

from __future__ import annotations

from dataclasses import dataclass

from milp import budget
from milp.tolerances import NEAR
from milp.windows.separation import Separation
from milp.windows.windows import WindowRules
from partition.instance.instance import Instance
from partition.stopping import Stop


@dataclass(frozen=True, eq=False)
class Tight:
    """An instance that has every placement of period up to ``threshold`` (units of the instance), and its windows."""

    threshold: float
    instance: Instance
    rules: WindowRules


class Tightening:
    """Tightens one instance for any threshold, keeping what it found."""

    def __init__(self, instance: Instance, stop: Stop) -> None:
        self.stop = stop
        self.known = [Tight(float("inf"), instance, WindowRules(instance))]
        self.separation = Separation(instance) if Separation.applies(instance) else None

    @property
    def original(self) -> Instance:
        """The instance as given."""
        return self.known[0].instance

    def at(self, threshold: float) -> Tight:
        """The instance tightened for ``threshold``, or for one not much larger."""
        near = min((t for t in self.known if t.threshold >= threshold), key=lambda t: t.threshold)
        if self.separation is None or near.threshold <= NEAR * threshold:
            return near
        instance = self.separation.tightened(threshold, self.stop, seconds=budget.TIGHTENING * self.stop.remaining)
        same = instance.nodes == near.instance.nodes
        kept = near.instance if same else instance
        tight = Tight(threshold, kept, near.rules if same else WindowRules(kept))
        self.known.append(tight)
        return tight
