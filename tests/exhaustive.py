"""Brute force: the least period of a tiny problem by trying every placement, in plain Python.

Built on the independent checker of oracle.py; shares no code with the library.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

from oracle import TOLERANCE, Problem, broken_rules, peak_of, topological, triangles, value_of


def brute_force(
    problem: dict[str, Any], *, limit: int = 1_000_000, goal: str = "period", limits: dict[str, float] | None = None
) -> tuple[float | None, dict[str, Any] | None]:
    """The least period, or value of another goal, and a placement that has it; (None, None) if none is valid.

    Tries every home, replica set and relay set, depth first, operations in topological order. Left out is only
    what cannot be better: loads, weights and edges of the chip graph never shrink as more is placed, and relays,
    which only add to loads and paths, are of use to the triangle rule alone. tests/test_oracle.py compares it with the
    plain enumeration. ``limits`` are the largest values of goals that count.

    Raises
    ------
    OverflowError : more than ``limit`` partial placements would have to be tried.
    """
    given = Problem(problem)
    names = [kind["name"] for kind in given.hw["kinds"]]
    if (given.free_positions or given.hw["kind_order"] == "free") and math.factorial(given.C) > limit:
        raise OverflowError("too many orders of the chips for brute force")
    orders = {tuple(given.hw["kind_of_chip"])}
    if given.hw["kind_order"] == "free":
        orders = set(itertools.permutations(given.hw["kind_of_chip"]))
    best: tuple[float | None, dict[str, Any] | None] = (None, None)
    places = itertools.permutations(range(given.C)) if given.free_positions else [tuple(given.positions)]
    for order, positions in itertools.product(sorted(orders), places):
        kinds = [names[k] for k in order]
        p = given.with_kinds(kinds)
        p.positions = list(positions)
        search = _Exhaustive(p, limit, goal, limits or {})
        search.least = math.inf if best[0] is None else best[0]
        search.place(0)
        if search.best is None:
            continue
        broken = broken_rules(p, search.best)
        assert not broken, f"brute force found an invalid placement: {broken}"
        value = value_of(p, search.best, goal)
        if best[0] is None or value < best[0]:
            best = value, search.best | {"kinds": kinds, "positions": list(positions)}
    return best


def least_known(problem: dict[str, Any], **asked: Any) -> float | None:
    """The value of :func:`brute_force` alone; None where nothing is valid, or there is too much to try."""
    try:
        return brute_force(problem, **asked)[0]
    except OverflowError:
        return None


class _Exhaustive:
    """The depth-first search: what is placed so far, and the loads that it causes without relays."""

    def __init__(self, p: Problem, limit: int, goal: str, limits: dict[str, float]) -> None:
        self.p, self.left = p, limit
        self.goal, self.limits = goal, limits
        self.order = topological(p)
        self.relayable = {t for t in p.tensors if p.rules["triangle"] and p.may_relay(t)}
        self.capacity = [p.hard_capacity(c) * (1 + TOLERANCE) for c in range(p.C)]
        self.shared_of: dict[str, list[int]] = {v: [] for v in p.operations}
        for i, weight in enumerate(p.shared):
            for v in weight["users"]:
                self.shared_of[v].append(i)
        self.home: dict[str, int] = {}
        self.on: dict[str, tuple[int, ...]] = {}
        # compute, receive, send, SRAM, links
        self.loads = [[0.0] * p.C for _ in range(4)] + [[0.0] * 0]
        everywhere = {link for a in range(p.C) for b in range(p.C) if a != b for link in p.crossed(a, {b})}
        self.link_at = {link: i for i, link in enumerate(sorted(everywhere))}
        self.loads[4] = [0.0] * len(self.link_at)
        self.got: dict[str, dict[int, bool]] = {t: {} for t in p.tensors}
        self.relays: list[list[Any]] = []
        self.least = math.inf  # value of the goal
        self.best: dict[str, Any] | None = None
        self.legal: dict[frozenset[tuple[int, int]], bool] = {}

    def place(self, i: int) -> None:
        """Try every chip and replica set of the ``i``-th operation and of everything after it."""
        if i == len(self.order):
            self.finish()
            return
        v = self.order[i]
        for chips in self.choices(v):
            self.spend()
            loads, got = self.loads, {t: self.got[t] for t in self.p.reads[v]}
            self.loads = [row[:] for row in loads]
            self.put(v, chips)
            if self.promising():
                self.place(i + 1)
            self.loads = loads
            self.got.update(got)
            del self.home[v], self.on[v]

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OverflowError("too many placements for brute force")

    def choices(self, v: str) -> Iterator[tuple[int, ...]]:
        """(home, replica chips ...) of ``v`` that agree with what is placed."""
        p = self.p
        producers = [p.tensors[t]["producer"] for t in p.reads[v]]
        first = max([self.home[u] for u in producers if p.must_not_go_back(u, v)], default=0)
        group = p.operations[v]["group"]
        fixed = {self.home[w] for w in self.home if group is not None and p.operations[w]["group"] == group}
        homes = [c for c in range(first, p.C) if (not fixed or c in fixed) and math.isfinite(p.time(v, c))]
        homes = [c for c in homes if p.wanted.permits(v, c) and self.cut(v, c)]
        if v not in p.replicable:
            yield from ((c,) for c in homes)
            return
        able = [c for c in range(p.C) if math.isfinite(p.time(v, c)) and p.wanted.permits(v, c)]
        yield from ((c, *further) for c in homes for further in _subsets([b for b in able if b > c]))

    def cut(self, v: str, chip: int) -> bool:
        """Whether a home of ``v`` on the chip leaves room for the cuts between it and what is placed."""
        for before, behind in self.p.wanted.cuts:
            if v in before and (v in behind or any(self.home[w] <= chip for w in behind if w in self.home)):
                return False
            if v in behind and any(self.home[u] >= chip for u in before if u in self.home):
                return False
        return True

    def put(self, v: str, chips: tuple[int, ...]) -> None:
        """Place ``v`` and charge its instances and what they receive."""
        p = self.p
        compute, receive, send, sram, link = self.loads
        for c in chips:
            compute[c] += p.time(v, c)
            sram[c] += p.operations[v]["weights"]
            for i in self.shared_of[v]:
                if not any(c in self.on.get(w, ()) for w in p.shared[i]["users"]):
                    sram[c] += p.shared[i]["bytes"]
        self.home[v], self.on[v] = chips[0], chips
        for t in p.reads[v]:
            u, tau = p.tensors[t]["producer"], p.tau(t)
            home, got = self.home[u], dict(self.got[t])
            for c in chips:
                if c in self.on[u]:
                    continue
                if c not in got:
                    receive[c] += self.paid(c) * tau
                    send[home] += 0.0 if got else self.paid(home) * tau
                    for crossed in p.crossed(home, {*got, c}) - p.crossed(home, set(got)):
                        link[self.link_at[crossed]] += tau
                got[c] = got.get(c, False) or p.constrains(u, v)
            self.got[t] = got

    def paid(self, chip: int) -> float:
        """What a transfer costs the chip itself."""
        return 1.0 if self.p.pays_for_transfers(chip) else 0.0

    def promising(self) -> bool:
        """Whether what is placed can still become a valid placement better than the best."""
        if any(used > most for used, most in zip(self.loads[3], self.capacity, strict=True)):
            return False
        fixed = {edge for t in self.p.tensors if t not in self.relayable for edge in self.edges(t)}
        return self.quick() and self.triangle_kept(fixed)

    def quick(self) -> bool:
        """Whether the period so far is within what counts."""
        if self.goal == "period":
            return self.period() < self.least
        return self.period() <= self.limits.get("period", math.inf)

    def period(self) -> float:
        compute, receive, send, sram, link = self.loads
        compute = [self.p.work(time, self.p.stream(c, sram[c])) for c, time in enumerate(compute)]
        if self.p.hw["transfers"] == "serial":
            return max(*map(sum, zip(compute, receive, send, strict=True)), *link, 0.0)
        return max(*compute, *receive, *send, *link, 0.0)

    def edges(self, tensor: str, relays: tuple[int, ...] = ()) -> set[tuple[int, int]]:
        """Edges of the chip graph that count for the triangle rule, by one tensor."""
        got = self.got[tensor]
        if not got:
            return set()
        home = self.home[self.p.tensors[tensor]["producer"]]
        chips = {*(c for c in got if got[c]), *relays}
        return {(max([r for r in relays if r < c], default=home), c) for c in chips}

    def triangle_kept(self, edges: set[tuple[int, int]]) -> bool:
        if not self.p.rules["triangle"] or len(edges) < 3:
            return True  # a direct edge and a path of at least two others
        key = frozenset(edges)
        if key not in self.legal:
            self.legal[key] = not triangles(self.p.C, edges)
        return self.legal[key]

    def finish(self) -> None:
        """Everything is placed: keep it if the rules hold, with relays where the triangle rule asks for them."""
        used = set(self.home.values())
        if self.p.rules["no_skipping"] and used != set(range(max(used) + 1)):
            return
        if self.triangle_kept({edge for t in self.p.tensors for edge in self.edges(t)}):
            self.keep()
            return
        moving = [t for t in sorted(self.relayable) if self.got[t]]
        self.relay(moving, {edge for t in self.p.tensors if t not in moving for edge in self.edges(t)})

    def relay(self, tensors: list[str], edges: set[tuple[int, int]]) -> None:
        """Try every relay set of the tensors, one tensor after the other."""
        if not tensors:
            self.keep()
            return
        t = tensors[0]
        u, tau = self.p.tensors[t]["producer"], self.p.tau(t)
        between = [c for c in range(self.home[u] + 1, max(self.got[t])) if c not in self.on[u]]
        for chips in _subsets(between):
            self.spend()
            loads = self.loads
            self.loads = [row[:] for row in loads]
            for c in chips:
                self.loads[1][c] += 0.0 if c in self.got[t] else self.paid(c) * tau
                self.loads[2][c] += (
                    self.paid(c) * tau
                )  # the last receiver is behind every relay, so each has one to send to
            joined = edges | self.edges(t, chips)
            if self.quick() and self.triangle_kept(joined):
                self.relays.append([t, chips])
                self.relay(tensors[1:], joined)
                self.relays.pop()
            self.loads = loads

    def keep(self) -> None:
        answer: dict[str, Any] = {
            "assignment": dict(self.home),
            "replicas": {v: list(chips[1:]) for v, chips in self.on.items() if len(chips) > 1},
            "relays": [[t, c] for t, chips in self.relays for c in chips],
        }
        if self.p.rules["dynamic_memory"]:
            answer["schedules"] = [least_peak(self.p, answer, c, self.spend) for c in range(self.p.C)]
            if any(row["peak"] > most for row, most in zip(answer["schedules"], self.capacity, strict=True)):
                return
        if any(value_of(self.p, answer, other) > most for other, most in self.limits.items()):
            return
        value = self.period() if self.goal == "period" else value_of(self.p, answer, self.goal)
        if value < self.least:
            self.least, self.best = value, answer


def least_peak(
    p: Problem, answer: dict[str, Any], chip: int, spend: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The schedule of least peak of one chip, all orders tried; ``spend`` is called for each."""
    on = {v: {home, *answer["replicas"].get(v, ())} for v, home in answer["assignment"].items()}
    here = [v for v in topological(p) if chip in on[v]]
    best: tuple[float, list[str]] = (math.inf, [])

    def extend(order: list[str]) -> None:
        nonlocal best
        if len(order) == len(here):
            spend()
            best = min(best, (peak_of(p, answer, chip, order), order))
        for v in here:
            before = {p.tensors[t]["producer"] for t in p.reads[v]} & set(here)
            if v not in order and before <= set(order):
                extend([*order, v])

    extend([])
    return {"chip": chip, "order": best[1], "peak": best[0]}


def _subsets(items: list[int]) -> Iterator[tuple[int, ...]]:
    return (chosen for k in range(len(items) + 1) for chosen in itertools.combinations(items, k))
