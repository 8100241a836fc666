"""The problem as a plain assignment model for OR-Tools CP-SAT, written from docs/problem.md alone.

Where brute force ends, this is the judge. It shares no code with the library: it reads what the oracle reads and has a
variable for every operation on every chip. Times are whole numbers of ``1 / SCALE``, so the figures of a question must
be (:func:`whole` says whether they are). Routes, schedules, streams and free orders of kinds are beyond it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from oracle import TOLERANCE, Problem
from ortools.sat.python import cp_model

SCALE = 4000
"""Whole units per unit of time."""


@dataclass(frozen=True)
class Verdict:
    """What CP-SAT says: ``status`` is ``"feasible"``, ``"infeasible"`` or ``"unknown"``; a placement if feasible."""

    status: str
    answer: dict[str, Any] | None = None


def modelled(p: Problem) -> bool:
    """Whether the model speaks of all that the problem contains, in whole numbers."""
    fixed = p.hw["kind_order"] == "fixed" or len(set(p.hw["kind_of_chip"])) == 1
    plain = not p.routed and not p.rules["dynamic_memory"] and not p.wished
    return fixed and plain and not any(p.dram(c) for c in range(p.C)) and whole(p)


def whole(p: Problem) -> bool:
    """Whether all times are whole numbers of units, none so large that sums overflow."""
    times = [t for row in p.times.values() for t in row if math.isfinite(t)] + [p.tau(t) for t in p.tensors]
    units = [t * SCALE for t in times]
    return all(abs(u - round(u)) < 1e-6 for u in units) and sum(units) < 1e12


def ask(p: Problem, below: float, *, seconds: float, seed: int = 0) -> Verdict:
    """Whether some valid placement has a period of less than ``below``."""
    built = _Model(p)
    if math.isfinite(below):
        built.model.add(built.period <= math.ceil(below * SCALE - 1e-6) - 1)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    status = solver.solve(built.model)
    if status == cp_model.INFEASIBLE:
        return Verdict("infeasible")
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Verdict("unknown")
    return Verdict("feasible", built.answer(solver))


class _Model:
    """Columns and rows. ``x`` home, ``q`` replica, ``r`` receive, ``R`` relay, each by (item, chip)."""

    def __init__(self, p: Problem) -> None:
        self.p, self.model, self.chips = p, cp_model.CpModel(), range(p.C)
        self.period = self.model.new_int_var(0, 10**13, "period")
        self._homes()
        self._transfers()
        self._loads()
        self._memory()
        if p.rules["triangle"] and p.C > 2:
            self._triangle()

    def _new(self) -> Any:
        return self.model.new_bool_var("")

    def _homes(self) -> None:
        p, m = self.p, self.model
        self.x = {(v, c): self._new() for v in p.operations for c in self.chips}
        self.q = {(v, c): self._new() for v in p.replicable for c in self.chips}
        for v in p.operations:
            m.add_exactly_one(self.x[v, c] for c in self.chips)
            for c in self.chips:
                if math.isinf(p.time(v, c)):
                    m.add(self._on(v, c) == 0)
        self.home = {v: sum(c * self.x[v, c] for c in self.chips) for v in p.operations}
        for v, c in self.q:
            m.add(sum(self.x[v, b] for b in self.chips if b < c) >= self.q[v, c])
        for t in p.tensors.values():
            for w in t["consumers"]:
                if p.must_not_go_back(t["producer"], w):
                    m.add(self.home[t["producer"]] <= self.home[w])
        first: dict[Any, str] = {}
        for v, row in p.operations.items():
            if row["group"] is not None:
                m.add(self.home[first.setdefault(row["group"], v)] == self.home[v])
        if p.rules["no_skipping"]:
            used = [self._new() for _ in self.chips]
            for c in self.chips:
                m.add_max_equality(used[c], [self.x[v, c] for v in p.operations])
            for a, b in itertools.pairwise(used):
                m.add(b <= a)

    def _on(self, v: str, c: int) -> Any:
        """Whether chip ``c`` runs ``v``."""
        return self.x[v, c] + self.q[v, c] if (v, c) in self.q else self.x[v, c]

    def _transfers(self) -> None:
        p, m = self.p, self.model
        relays = p.rules["triangle"]
        self.r = {(t, c): self._new() for t, row in p.tensors.items() if row["consumers"] for c in self.chips}
        self.R = {(t, c): self._new() for t, c in self.r if relays and p.may_relay(t)}
        self.s = {key: self._new() for key in self.r}
        for t, c in self.r:
            u = p.tensors[t]["producer"]
            for w in p.tensors[t]["consumers"]:
                m.add(self.r[t, c] >= self._on(w, c) - self._on(u, c))
            for b in self.chips:
                if b != c:
                    m.add(self.s[t, c] >= self.x[u, c] + self.r[t, b] - 1)
        for t, c in self.R:
            u = p.tensors[t]["producer"]
            m.add(self.r[t, c] >= self.R[t, c])
            m.add(sum(self.x[u, b] for b in self.chips if b < c) >= self.R[t, c])
            m.add(self.R[t, c] + self._on(u, c) <= 1)
            m.add(self.s[t, c] >= self.R[t, c])

    def _loads(self) -> None:
        p, m = self.p, self.model
        for c in self.chips:
            finite = [(v, p.time(v, c)) for v in p.operations if math.isfinite(p.time(v, c))]
            compute = sum(round(time * SCALE) * self._on(v, c) for v, time in finite)
            pays = p.pays_for_transfers(c)
            received = sum(self._tau(t) * self.r[t, b] for t, b in self.r if b == c and pays)
            sent = sum(self._tau(t) * self.s[t, b] for t, b in self.s if b == c and pays)
            loads = [compute + received + sent] if p.hw["transfers"] == "serial" else [compute, received, sent]
            for load in loads:
                m.add(load <= self.period)
        load_of_link: dict[tuple[int, int], list[Any]] = {}
        for t in {t for t, _ in self.r} if p.links else ():
            crossed: dict[tuple[int, int], Any] = {}
            for a, b in itertools.permutations(self.chips, 2):
                for link in p.crossed(a, {b}):
                    column = crossed.setdefault(link, self._new())
                    m.add(column >= self.x[p.tensors[t]["producer"], a] + self.r[t, b] - 1)
            for link, column in crossed.items():
                load_of_link.setdefault(link, []).append(self._tau(t) * column)
        for terms in load_of_link.values():
            m.add(sum(terms) <= self.period)

    def _tau(self, t: str) -> int:
        return round(self.p.tau(t) * SCALE)

    def _memory(self) -> None:
        p, m = self.p, self.model
        for c in self.chips:
            if math.isinf(p.hard_capacity(c)):
                continue
            held = [math.floor(1000 * row["weights"]) * self._on(v, c) for v, row in p.operations.items()]
            for weight in p.shared:
                if weight["users"]:
                    column = self._new()
                    for v in weight["users"]:
                        m.add(column >= self._on(v, c))
                    held.append(math.floor(1000 * weight["bytes"]) * column)
            m.add(sum(held) <= math.ceil(1000 * p.capacity(c) * (1 + TOLERANCE)))

    def _triangle(self) -> None:
        p, m = self.p, self.model
        pairs = list(itertools.permutations(self.chips, 2))
        direct, path = ({pair: self._new() for pair in pairs} for _ in range(2))
        for t in {t for t, _ in self.r}:
            u = p.tensors[t]["producer"]
            counted = [w for w in p.tensors[t]["consumers"] if p.constrains(u, w)]
            for a, b in pairs if counted else ():
                between = sum(self.R[t, k] for k in self.chips if (t, k) in self.R and a < k < b)
                held = self.x[u, a] + (self.R[t, a] if (t, a) in self.R and a < b else 0)
                reads = [self._on(w, b) - self._on(u, b) for w in counted]
                reads += [self.R[t, b]] if (t, b) in self.R else []
                for read in reads:
                    m.add(direct[a, b] >= held + read - 1 - between)
        for a, b in pairs:
            m.add(path[a, b] >= direct[a, b])
            for c in self.chips:
                if c not in (a, b):
                    m.add(path[a, c] >= path[a, b] + direct[b, c] - 1)
                    m.add(direct[a, c] + path[a, b] + path[b, c] <= 2)

    def answer(self, solver: Any) -> dict[str, Any]:
        """The placement found, as the oracle reads it; relays beyond which nobody receives are left out."""
        homes = {v: next(c for c in self.chips if solver.value(self.x[v, c])) for v in self.p.operations}
        replicas: dict[str, list[int]] = {}
        for v, c in self.q:
            if solver.value(self.q[v, c]):
                replicas.setdefault(v, []).append(c)
        relays = [[t, c] for t, c in self.R if solver.value(self.R[t, c])]
        return {"assignment": homes, "replicas": replicas, "relays": relays}
