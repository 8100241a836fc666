"""Thresholds put to OR-Tools CP-SAT on a model of its own: is there any placement below a period?

The model has the homes of units, their order, what chips compute, hold, receive and send, and what links carry. All are
whole numbers, rounded down. It leaves out replicas, relays, the triangle rule, schedules, and tensors that may go back.
So "infeasible" holds for the question as it is; a placement that it finds is only one of the question if it passes the
rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

from partition.arrays import IntArray
from partition.replay.cuts import carried_by_links
from partition.replay.question import NEAR
from partition.replay.units import TICKS, Units
from partition.replay.whole_model import WholeModel, told
from partition.replay.windows import UnitWindows

COARSE = 2**10
"""Ticks that one unit of the model has: sums must stay small beside 2^63."""

MOST_COLUMNS, MOST_ROWS = 400_000, 60_000
"""Columns of a model worth writing, and rows of one of the whole question."""

SAFEGUARD = 10.0
"""Times the seconds of work that CP-SAT may take on the wall."""


def installed() -> bool:
    """Whether OR-Tools is there."""
    return find_spec("ortools") is not None


ForbiddenPairs = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class SolverOpinion:
    """``"infeasible"``, ``"feasible"`` with the home of each operation, replicas and relays, or ``"unknown"``."""

    status: str
    home: tuple[int, ...] = ()
    replicas: ForbiddenPairs = frozenset()
    relays: ForbiddenPairs = frozenset()


def ask_whole(units: Units, kinds: tuple[int, ...], times: IntArray, below: Fraction, seconds: float) -> SolverOpinion:
    """Whether the question as it is, schedules aside, has a placement of a period less than ``below``.

    Parameters
    ----------
    kinds : of each chip.
    times : (K, U) in ticks of ``below``.
    seconds : for the solver.
    """
    if not installed() or seconds <= 0 or WholeModel.size(units, len(kinds)) > MOST_ROWS:
        return SolverOpinion("unknown")
    from ortools.sat.python import cp_model

    room = (TICKS - 1) // COARSE
    pace = TICKS / below / COARSE
    model = WholeModel(cp_model.CpModel(), units, kinds, (times // COARSE).tolist(), pace, room)
    status, solver = solved(model.model, seconds)
    return SolverOpinion(status, *told(units, model, solver.value)) if status == "feasible" else SolverOpinion(status)


def solved(model: Any, seconds: float) -> tuple[str, Any]:
    """What CP-SAT says within about so many seconds of work, and the solver with its solution.

    CP-SAT counts its own work. So a busy machine does not change the answer; the clock on the wall is a safeguard.
    """
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.max_deterministic_time = seconds
    solver.parameters.max_time_in_seconds = SAFEGUARD * seconds
    solver.parameters.num_workers = 1
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return "infeasible", solver
    return ("feasible" if status in (cp_model.OPTIMAL, cp_model.FEASIBLE) else "unknown"), solver


def ask(
    units: Units, reach: UnitWindows, kinds: tuple[int, ...], times: IntArray, moved: IntArray, seconds: float
) -> SolverOpinion:
    """Whether chips can hold all units within the period that the ticks are of.

    Parameters
    ----------
    reach : chips that each unit can be on.
    kinds : of each chip.
    times, moved : (K, U) and (T,) in ticks.
    seconds : for the solver.
    """
    columns = int((reach.last - reach.first + 1).sum()) + 3 * len(units.tensors) * len(kinds)
    if not installed() or seconds <= 0 or columns > MOST_COLUMNS:
        return SolverOpinion("unknown")
    from ortools.sat.python import cp_model

    model = _AssignmentModel(cp_model.CpModel(), units, reach, kinds, times // COARSE, moved // COARSE)
    status, solver = solved(model.model, seconds)
    chip = model.chips(solver) if status == "feasible" else ()
    return SolverOpinion(status, tuple(chip[unit] for unit in units.of) if chip else ())


class _AssignmentModel:
    """``up[u][c]``: whether unit ``u`` is on one of the chips ``0..c``; constants outside its window."""

    def __init__(
        self, model: Any, units: Units, reach: UnitWindows, kinds: tuple[int, ...], times: IntArray, moved: IntArray
    ) -> None:
        self.model, self.units, self.kinds = model, units, kinds
        self.question, self.count = units.question, len(kinds)
        self.first, self.last = reach.first.tolist(), reach.last.tolist()
        self.times, self.moved = times.tolist(), moved.tolist()
        self.room = (TICKS - 1) // COARSE
        self.up = [self._homes(u) for u in range(units.count)]
        for u, v in units.edges:
            for c in range(self.first[v], self.last[u]):
                model.add(self.up[v][c] <= self.up[u][c])
        forward = carried_by_links(self.question)
        for c in range(self.count):
            self._chip(c, ports=not forward or self.question.serial)
            if forward and c < self.count - 1:
                self._link(c)

    def _homes(self, u: int) -> list[Any]:
        columns: list[Any] = [
            0 if c < self.first[u] else 1 if c >= self.last[u] else self.model.new_bool_var("")
            for c in range(self.count)
        ]
        for c in range(self.first[u], self.last[u] - 1):
            self.model.add(columns[c] <= columns[c + 1])
        for c in range(self.first[u], self.last[u] + 1):
            if self.times[self.kinds[c]][u] > self.room:
                self.model.add(columns[c] - (columns[c - 1] if c else 0) == 0)
        return columns

    def _on(self, u: int, c: int) -> Any:
        return self.up[u][c] - (self.up[u][c - 1] if c else 0)

    def _chip(self, c: int, *, ports: bool) -> None:
        kind = self.kinds[c]
        here = [u for u in range(self.units.count) if self.first[u] <= c <= self.last[u]]
        compute = sum(self.times[kind][u] * self._on(u, c) for u in here if self.times[kind][u] <= self.room)
        received, sent = self._ports(c) if ports and self.question.pays[kind] else (0, 0)
        if self.question.serial:
            self._at_most(compute + received + sent)
        else:
            for load in (compute, received, sent):
                self._at_most(load)
        size = self.question.room(kind)
        if size is not None:
            top = float(size) * (1 + 2 * float(NEAR))
            scale = 2.0**30 / top if top > 0 else 0.0
            amounts = [min(int(self.units.weights[u] * scale), 2**31) for u in here]
            if top > 0:
                self.model.add(sum(a * self._on(u, c) for a, u in zip(amounts, here, strict=True)) <= 2**30)

    def _at_most(self, load: Any) -> None:
        if not isinstance(load, int):
            self.model.add(load <= self.room)

    def _ports(self, c: int) -> tuple[Any, Any]:
        """What a chip receives and sends at least."""
        received: Any = 0
        sent: Any = 0
        for (_, u, readers), time in zip(self.units.tensors, self.moved, strict=False):
            if not time:
                continue
            if self.first[u] < c and any(self.first[w] <= c <= self.last[w] for w in readers):
                arrives = self.model.new_bool_var("")
                for w in readers:
                    if self.first[w] <= c <= self.last[w]:
                        self.model.add(arrives >= self._on(w, c) - self._on(u, c))
                received += time * arrives
            if self.first[u] <= c <= self.last[u] and any(self.last[w] > c for w in readers):
                leaves = self.model.new_bool_var("")
                for w in readers:
                    if self.last[w] > c:
                        self.model.add(leaves >= self._on(u, c) - self._on(w, c))
                sent += time * leaves
        for (_, u, readers), time in zip(self.units.free, self.moved[len(self.units.tensors) :], strict=True):
            arrives, leaves = self.model.new_bool_var(""), self.model.new_bool_var("")
            for w in readers:
                self.model.add(arrives >= self._on(w, c) - self._on(u, c))
                self.model.add(leaves >= self._on(u, c) - self._on(w, c))
            received += time * arrives
            sent += time * leaves
        return received, sent

    def _link(self, c: int) -> None:
        """What crosses the link behind chip ``c``."""
        load: Any = 0
        for (_, u, readers), time in zip(self.units.tensors, self.moved, strict=False):
            behind = [w for w in readers if self.last[w] > c]
            if not time or self.first[u] > c or not behind:
                continue
            crosses = self.model.new_bool_var("")
            for w in behind:
                self.model.add(crosses >= self.up[u][c] - self.up[w][c])
            load += time * crosses
        self._at_most(load)

    def chips(self, solver: Any) -> tuple[int, ...]:
        """The chip of each unit in the solution."""
        return tuple(
            next(c for c in range(self.count) if (up[c] if isinstance(up[c], int) else solver.value(up[c])))
            for up in self.up
        )
