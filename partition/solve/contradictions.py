"""Which wishes and rules contradict each other, where no placement keeps all.

Rules and wishes are left out one after the other, as long as there is still no placement ("deletion filtering";
Chinneck and Dravnieks, 1991). What remains is irreducible: for each of them a placement was found that keeps all the
others, and it passed the rule checker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milp.search.kind_orders import Means, Target, search_orders
from milp.tolerances import ROUNDING
from partition.one_thread import one_thread
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.narrowed import narrow
from partition.problem.wishes import Wish
from partition.results.contradiction import Contradiction
from partition.scoring.feasibility import impossible
from partition.stopping import Stop

RULES = ("acyclic", "triangle", "no_skipping", "dynamic_memory", "memory")
"""Switches that an explanation may name, in the order in which they are left out. Replicas and relays exist only where
dataflow is acyclic, so that comes first; from then on, whatever is left out takes no placement away."""

THROUGHPUT = "throughput"


@dataclass(frozen=True, eq=False)
class _Demands:
    """Part of what was asked: rules that stay on, whether the throughput counts, and wishes."""

    rules: tuple[str, ...]
    wishes: tuple[Wish, ...]

    def without(self, one: str | Wish) -> _Demands:
        """All but a rule or a wish."""
        rules = tuple(rule for rule in self.rules if rule != one)
        return _Demands(rules, tuple(wish for wish in self.wishes if wish is not one))


def contradiction(
    graph: Graph,
    hardware: Hardware,
    wishes: Sequence[Wish],
    stop: Stop,
    *,
    throughput: float | None = None,
    seed: int = 0,
) -> Contradiction:
    """Wishes and rules that contradict each other, out of all those that no placement keeps together.

    Operations of one group, what kinds of chips cannot run, and the direction of a chain are taken for given.

    Parameters
    ----------
    throughput : required, in inputs per time unit.
    stop : where time is up, what is not yet known to be needless counts as needed.
    """
    rules = [rule for rule in RULES if getattr(hardware.rules, rule) and _may_be_off(hardware, rule)]
    asked = _Demands(tuple(rules) + ((THROUGHPUT,) if throughput is not None else ()), tuple(wishes))
    waiting: list[str | Wish] = [*asked.rules, *wishes]
    for again, share in enumerate((2, 2, 1)):  # what was left open is asked again, of the fewer that are left
        candidates, waiting = waiting, []
        for i, one in enumerate(candidates):
            if one == "memory" and "dynamic_memory" in asked.rules:  # which builds on it, and speaks for both
                waiting += [one] * ("dynamic_memory" in waiting)  # as long as it is needed
                continue
            smaller = asked.without(one)
            part = stop.limited(stop.remaining / share / (len(candidates) - i))
            found = _possible(graph, hardware, smaller, throughput, part, seed)
            if found is None:
                waiting.append(one)
            elif not found:
                asked = smaller
                if one == "acyclic" and again:  # placements that were found may have replicas or relays
                    waiting = [*asked.rules, *asked.wishes]
                    break
    known = not waiting
    told = tuple(rule for rule in asked.rules if rule != "memory" or "dynamic_memory" not in asked.rules)
    return Contradiction(tuple(wish.text for wish in asked.wishes), told, known)


def _may_be_off(hardware: Hardware, rule: str) -> bool:
    """A chain carries tensors forward only, whatever the rule says."""
    return rule != "acyclic" or hardware.interconnect.topology != "chain" or hardware.chips == 1


def _possible(
    graph: Graph, hardware: Hardware, asked: _Demands, throughput: float | None, stop: Stop, seed: int
) -> bool | None:
    """Whether some placement keeps a part of what was asked; None where time was up, or the weights leave it open."""
    package = hardware.with_rules(**{rule: rule in asked.rules for rule in RULES if _may_be_off(hardware, rule)})
    limit = 1 / throughput * (1 + ROUNDING) if throughput is not None and THROUGHPUT in asked.rules else None
    found = _search(graph, package, asked.wishes, limit, stop, seed)
    if found is False and graph.least is not None:
        return None if _search(graph.lightest, package, asked.wishes, limit, stop, seed) is not False else False
    return found


@one_thread()
def _search(
    graph: Graph, hardware: Hardware, wishes: tuple[Wish, ...], limit: float | None, stop: Stop, seed: int
) -> bool | None:
    narrowed = narrow(graph, hardware, wishes)
    if impossible(narrowed.graph, narrowed.hardware) is not None:
        return False
    target = Target(0.0, limit, enough=True)
    outcome = search_orders(narrowed.graph, narrowed.hardware, target, Means(seed, [], None), stop)
    if not outcome.feasible or (limit is not None and outcome.bound > limit):
        return False
    best = outcome.incumbent
    return True if best.placement is not None and (limit is None or best.period <= limit) else None
