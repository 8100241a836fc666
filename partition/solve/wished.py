"""A question with wishes at the front door: what is searched instead, and the answer as one of what was asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.narrowed import Narrowed, narrow
from partition.problem.placement import Placement
from partition.problem.wishes import Wish, Wishes
from partition.results.result import Result
from partition.scoring.cost import evaluate_placement
from partition.scoring.unkept_wishes import unkept_wishes
from partition.solve.contradictions import contradiction
from partition.stopping import Stop


@dataclass(frozen=True, eq=False)
class Wished:
    """A model, a package and what is wished of a placement.

    Attributes
    ----------
    wishes, each : as given, and with names looked up.
    narrowed : the question without wishes that has the same placements.
    """

    graph: Graph
    hardware: Hardware
    wishes: Wishes
    each: tuple[Wish, ...]
    narrowed: Narrowed

    @staticmethod
    def of(graph: Graph, hardware: Hardware, wishes: Wishes) -> Wished:
        """Look up all names.

        Raises
        ------
        InvalidInput : a wish names what there is not.
        """
        each = wishes.on(graph, hardware.chips)
        return Wished(graph, hardware, wishes, each, narrow(graph, hardware, each))

    def about(self, graph: Graph) -> Wished:
        """The same wishes of the graph with operations in parts."""
        return Wished.of(graph, self.hardware, self.wishes)

    @property
    def provable(self) -> bool:
        """Whether the question that wishes come to is one that a file of a proof can hold."""
        package = self.narrowed.hardware
        by_chip = package is not self.hardware
        stays = self.wishes.max_stages is None or package.chips <= self.wishes.max_stages
        return not self.wishes.cuts and not (by_chip and self.hardware.routed) and stays

    @property
    def alike(self) -> bool:
        """Whether all chips are of one kind, but for what wishes say of them."""
        return self.hardware.identical_chips

    def answered(self, result: Result) -> Result:
        """The result of the narrowed question as one of what was asked."""
        if not self.wishes:
            return result
        hardware = result.hardware
        if self.narrowed.hardware is not self.hardware:
            positions = hardware.positions if hardware.routed and self.hardware.routed else self.hardware.positions
            hardware = replace(self.hardware, positions=positions)
        told = replace(result, graph=self.graph, hardware=hardware, wishes=self.wishes)
        if result.placement is None:
            return replace(told, cost=None)
        cost = evaluate_placement(self.graph, hardware, result.placement)
        return replace(told, cost=cost, wishes_kept=self._kept(hardware, result.placement))

    def _kept(self, hardware: Hardware, placement: Placement) -> dict[str, int]:
        """Kind of wish -> how many the placement keeps, each looked at again."""
        kept = [wish for wish in self.each if not unkept_wishes(self.graph, hardware, placement, [wish])]
        return dict(Counter(wish.kind for wish in kept))

    def explained(self, result: Result, stop: Stop, *, throughput: float | None, seed: int) -> Result:
        """An infeasible result with the wishes and rules that contradict each other, if wishes have a part in it."""
        if result.status != "infeasible" or not self.each:
            return result
        found = contradiction(self.graph, self.hardware, self.each, stop, throughput=throughput, seed=seed)
        if not found.wishes:
            return result
        return replace(result, reason=found.sentence(), contradiction=found)
