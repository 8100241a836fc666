"""The mixed-integer program: assign every node to a chip so that the period is least.

Variables (DESIGN: cumulative). All are 0/1; those marked (c) come out integral on their own.

    y[v,c]   node v has its home on one of the chips 0..c
    p[v,c]   node v (replicable) has a replica on chip c
    r[t,c]   chip c receives tensor t (c)
    s[t,c]   chip c, the home of t's producer, sends it (c)
    z[t,c]   tensor t is not needed beyond chip c (c); its load on link c -> c+1 is y[u,c] - z[t,c]
    g[t,l]   tensor t crosses link l, where tensors may also go round a ring (c)
    R[t,c]   chip c relays tensor t; K[t,c] how many of the chips 0..c do, where there are many chips (c)
    h[w,c]   chip c holds the shared weight w (c)
    D[a,b]   some tensor goes directly from chip a to chip b; P[a,b] over any path (c)
    T        the period, value the goal where that is another

Windows ``lo[v] <= f(v) <= hi[v]`` make every other y a constant, and rows of constants disappear.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from milp.formulation.memory import memory_rows
from milp.formulation.memory_cuts import MemoryCut
from milp.formulation.pyomo_import import pyo
from milp.windows.windows import Windows
from partition.errors import InvalidInput
from partition.instance.features import ABSORBED, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import BEYOND, Instance

SCOPE = Scope(
    engine="the model",
    claims="HiGHS: whether some placement has a period, or the least value of a goal",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES TRAFFIC ENERGY LATENCY"
    ),
    refuses={
        Feature.ROUTES: PORTS_FOR_ROUTES,
        Feature.CHIPS: "each number of chips is a package of its own",
    },
)


Goal = Literal["period", "traffic", "energy", "latency"]
"""What a model minimises."""

Expression = Any
"""A Pyomo linear expression, or a number where everything in it is constant."""


LONG_SUM = 16
"""Chips up to which relays between two chips are added up in every row. Beyond, rows would have more entries than fit:
there they are the difference of two running sums, which weakens HiGHS on small models."""


class ImpossibleRow(Exception):
    """A row over constants alone does not hold: no placement fits these windows."""


@dataclass(frozen=True)
class Choices:
    """What a model of the problem may leave out without losing an optimum.

    Attributes
    ----------
    no_skipping : write the rows; on identical chips, closing the gaps of a placement never makes it worse, as long
        as no empty chip relays (which is then a row of its own).
    triangle : write the rows; see :attr:`Instance.triangle_by_relays`.
    """

    no_skipping: bool
    triangle: bool

    @staticmethod
    def lossless(instance: Instance) -> Choices:
        """Leave out all that can be restored afterwards at no cost."""
        rules = instance.hardware.rules
        return Choices(
            no_skipping=rules.no_skipping and not instance.hardware.identical_chips,
            triangle=rules.triangle and not instance.triangle_by_relays and instance.chips > 2,
        )

    @staticmethod
    def for_goals(instance: Instance, goals: Collection[Goal]) -> Choices:
        """What may be left out where other goals than the period count.

        Round a ring, closing a gap makes the way longer for what goes against the order of the chips.
        """
        if "latency" in goals:
            return Choices.complete(instance)
        lossless = Choices.lossless(instance)
        if instance.forward_only or set(goals) == {"period"}:
            return lossless
        return Choices(instance.hardware.rules.no_skipping, lossless.triangle)

    @staticmethod
    def complete(instance: Instance) -> Choices:
        """Every rule that is switched on."""
        rules = instance.hardware.rules
        return Choices(no_skipping=rules.no_skipping, triangle=rules.triangle)


def build(
    instance: Instance,
    windows: Windows,
    *,
    choices: Choices | None = None,
    lower: float = 0.0,
    upper: float | None = None,
    limited: Sequence[int] | None = None,
    goal: Goal = "period",
    caps: Mapping[Goal, float] | None = None,
    cuts: Sequence[MemoryCut] = (),
) -> pyo.ConcreteModel:
    """The model over given windows, minimising the period ``T`` or, within its bounds, another goal.

    Parameters
    ----------
    windows : chips each node may use; they must hold for every placement that matters.
    choices : rows to write; :meth:`Choices.lossless` by default.
    lower, upper : bounds of ``T`` in units of the instance.
    limited : chips whose load, memory and links (into and out of them) are limited; all by default.
    goal : what to minimise, in :func:`goal_unit`.
    caps : goal -> most of it, in its unit.
    cuts : what dynamic memory is known to exclude.

    Raises
    ------
    ImpossibleRow : no placement fits the windows.
    """
    if choices is None:
        choices = Choices.for_goals(instance, {goal, *(caps or {})})
    return ModelBuilder(instance, windows, choices, lower, upper, limited, goal, caps or {}, cuts).model


def goal_unit(instance: Instance, goal: Goal) -> float:
    """Seconds, joules or link-seconds that 1.0 stands for in the objective of a model."""
    if goal != "energy":
        return instance.unit
    moving = instance.hardware.interconnect.link_energy_j_per_byte * float(instance.graph.tensor_bytes.sum())
    return float(instance.energy.min(axis=0).sum()) + moving or 1.0


class ModelBuilder:
    """Builds the rows family by family; ``x``, ``y``, ``X`` fold constants."""

    def __init__(
        self,
        inst: Instance,
        windows: Windows,
        choices: Choices,
        lower: float,
        upper: float | None,
        limited: Sequence[int] | None,
        goal: Goal,
        caps: Mapping[Goal, float],
        cuts: Sequence[MemoryCut],
    ) -> None:
        self.goals, self.caps = {goal, *caps}, caps
        refused = inst.features - SCOPE.covers
        if refused:
            names = ", ".join(sorted(feature.value for feature in refused))
            raise InvalidInput(f"the model has no rows for {names}; take a package with topology crossbar, say")
        self.inst, self.hw, self.choices = inst, inst.hardware, choices
        self.chips = range(inst.chips)
        self.limited = range(inst.chips) if limited is None else limited
        self.lo, self.hi = windows.lo.tolist(), windows.hi.tolist()
        self.source = inst.source.tolist()
        # What exceeds the largest period cannot happen within it: how far it does is of no interest, and spoils rows.
        most = BEYOND * upper if upper and goal == "period" and not caps else np.inf
        self.tau = np.minimum(inst.tau, most).tolist()
        self.time = np.minimum(inst.time, most).tolist()
        self.readers = [inst.tensor_readers(t).tolist() for t in range(inst.tensors)]
        timed = self.hw.serial or self.hw.links == 0 or "latency" in self.goals
        self.loads_transfers = timed or self.hw.rules.dynamic_memory
        self.receives_matter = self.loads_transfers or choices.triangle or not inst.forward_only
        self.reach = self._reach_of_replicas()
        self.model = m = pyo.ConcreteModel(name=inst.graph.name)
        m.T = pyo.Var(bounds=(lower, upper))
        self._homes()
        self._replicas()
        self._transfers()
        self._relays()
        self._links()
        self._loads()
        self._memory(cuts)
        if choices.triangle:
            self._triangle()
        if choices.no_skipping:
            self._no_skipping()
        written = {each: self._goal(each) for each in sorted(self.goals)}
        # A variable takes up the constants that fixed nodes leave in a goal: only rows survive slicing.
        m.value = pyo.Var(bounds=(None, caps.get(goal)))
        m.valued = _rows([written[goal] <= m.value] if goal != "period" else [])
        m.goal = pyo.Objective(expr=m.T if goal == "period" else m.value)
        others = [(each, cap) for each, cap in caps.items() if each != goal]
        m.caps = _rows(written[each] * (1 / (cap or 1.0)) <= (1 if cap else 0) for each, cap in others)

    # --- where nodes are ------------------------------------------------------------------------------------

    def y(self, v: int, c: int) -> Expression:
        """1 iff the home of ``v`` is on ``0..c``."""
        if c < self.lo[v]:
            return 0
        return 1 if c >= self.hi[v] else self.model.y[v, c]

    def x(self, v: int, c: int) -> Expression:
        """1 iff the home of ``v`` is ``c``."""
        if not self.lo[v] <= c <= self.hi[v]:
            return 0
        return self.y(v, c) - self.y(v, c - 1)

    def X(self, v: int, c: int) -> Expression:
        """1 iff chip ``c`` runs ``v``, at home or as a replica."""
        return self.x(v, c) + self.p(v, c)

    def p(self, v: int, c: int) -> Expression:
        """1 iff chip ``c`` holds a replica of ``v``."""
        return self.model.p[v, c] if self.lo[v] < c <= self.reach[v] else 0

    def _homes(self) -> None:
        m = self.model
        free = [(v, c) for v in range(self.inst.nodes) for c in range(self.lo[v], self.hi[v])]
        m.y = pyo.Var(free, domain=pyo.Binary)
        m.monotone = _rows(m.y[v, c] <= m.y[v, c + 1] for v, c in free if c + 1 < self.hi[v])
        kind, cannot = self.hw.kind_of_chip, {k: set(v.tolist()) for k, v in self._unsupported().items()}
        m.support = _rows(
            self.x(v, c) <= 0
            for v in range(self.inst.nodes)
            for c in range(self.lo[v], self.hi[v] + 1)
            if v in cannot[kind[c]]
        )
        m.acyclic = _rows(
            self.y(w, c) <= self.y(u, c) for u, w in self.inst.edges.tolist() for c in range(self.lo[w], self.hi[u])
        )

    def _unsupported(self) -> dict[int, np.ndarray]:
        """Kind -> nodes that it cannot run."""
        return {k: np.flatnonzero(~row) for k, row in enumerate(self.inst.supported)}

    def _reach_of_replicas(self) -> list[int]:
        """Last chip on which a replica of each node can be of use; -1 for nodes that are not replicable."""
        reach = [-1] * self.inst.nodes
        own = np.flatnonzero(self.inst.replicable).tolist()
        tensors_of: dict[int, list[int]] = {}
        for t, u in enumerate(self.source):
            tensors_of.setdefault(u, []).append(t)
        for u in reversed(own):
            ends = [max(self.hi[w], reach[w]) for t in tensors_of.get(u, []) for w in self.readers[t]]
            reach[u] = max(ends, default=-1)
        return reach

    def _replicas(self) -> None:
        m = self.model
        pairs = [(v, c) for v, end in enumerate(self.reach) for c in range(self.lo[v] + 1, end + 1)]
        m.p = pyo.Var(pairs, domain=pyo.Binary)
        m.replica_after_home = _rows(m.p[v, c] <= self.y(v, c - 1) for v, c in pairs)

    # --- how tensors move -----------------------------------------------------------------------------------

    def _crosses(self, t: int) -> bool:
        """Whether the tensor can leave its producer's chip at all."""
        u = self.source[t]
        return any(
            self.lo[u] != end for w in self.readers[t] for end in (self.lo[w], self.hi[w], self.hi[u], self.last(w))
        )

    def last(self, w: int) -> int:
        """Last chip on which an instance of ``w`` can be."""
        return int(max(self.hi[w], self.reach[w]))

    def _chips_of_readers(self, t: int) -> range:
        first = min(self.lo[w] for w in self.readers[t])
        return range(first, max(self.last(w) for w in self.readers[t]) + 1)

    def r(self, t: int, c: int) -> Expression:
        """1 iff chip ``c`` receives tensor ``t``."""
        return self.model.r[t, c] if (t, c) in self.model.r else 0

    def s(self, t: int, c: int) -> Expression:
        """1 iff chip ``c``, the home of its producer, sends tensor ``t``."""
        return self.model.s[t, c] if (t, c) in self.model.s else 0

    def R(self, t: int, c: int) -> Expression:
        """1 iff chip ``c`` relays tensor ``t``."""
        return self.model.R[t, c] if (t, c) in self.model.R else 0

    def _relays_between(self, t: int, a: int, b: int) -> Expression:
        """How many chips strictly between ``a`` and ``b`` relay tensor ``t``."""
        chips = self.may_relay.get(t, range(0))
        first, last = max(a + 1, chips.start), min(b, chips.stop) - 1
        if first > last:
            return 0
        if self.inst.chips <= LONG_SUM:
            return sum(self.model.R[t, k] for k in range(first, last + 1))
        return self.model.K[t, last] - (self.model.K[t, first - 1] if first > chips.start else 0)

    def _transfers(self) -> None:
        """Rows of ``r`` and ``s``: a reader without an instance of the producer beside it receives the tensor."""
        m, inst = self.model, self.inst
        self.moving = [t for t in range(inst.tensors) if self._crosses(t)]
        with_receives = [t for t in self.moving if self.receives_matter or inst.replicable[self.source[t]]]
        relay = self.choices.triangle
        self.may_relay = {t: self._relay_chips(t) for t in with_receives if relay and inst.relayable[t]}
        received = [
            (t, c)
            for t in with_receives
            for c in sorted({*self._chips_of_readers(t), *self.may_relay.get(t, ())})
            if not self.lo[self.source[t]] == self.hi[self.source[t]] == c
        ]
        m.r = pyo.Var(received, bounds=(0, 1))
        m.receive = _rows(
            self.X(w, c) - self.X(self.source[t], c) <= m.r[t, c]
            for t, c in received
            for w in self.readers[t]
            if self.lo[w] <= c <= self.last(w)
        )
        sent = [
            (t, c)
            for t in (self.moving if self.loads_transfers else [])
            for c in range(self.lo[self.source[t]], self.hi[self.source[t]] + 1)
        ]
        m.s = pyo.Var(sent, bounds=(0, 1))
        m.send = _rows(row for t, c in sent for row in self._send_rows(t, c))

    def _send_rows(self, t: int, c: int) -> list[Expression]:
        """Produced on ``c`` and wanted elsewhere."""
        u, s = self.source[t], self.model.s[t, c]
        if not self.inst.replicable[u]:
            return [self.x(u, c) - self.x(w, c) <= s for w in self.readers[t]]
        return [self.x(u, c) + self.r(t, b) - 1 <= s for b in self._chips_of_readers(t) if b != c]

    def _relay_chips(self, t: int) -> range:
        """Chips strictly between a possible home and the last possible reader."""
        return range(self.lo[self.source[t]] + 1, max(self.last(w) for w in self.readers[t]))

    def _relays(self) -> None:
        m = self.model
        pairs = [(t, c) for t, chips in self.may_relay.items() for c in chips]
        m.R = pyo.Var(pairs, domain=pyo.Binary)
        m.K = pyo.Var(pairs if self.inst.chips > LONG_SUM else [], bounds=(0, None))
        m.relays_so_far = _rows(m.K[t, c] == m.R[t, c] + self._relays_between(t, -1, c) for t, c in m.K)
        m.relay_receives = _rows(m.R[t, c] <= self.r(t, c) for t, c in pairs)
        if self.hw.rules.no_skipping and not self.choices.no_skipping:
            self._relays_on_used_chips(pairs)
        m.relay_after_home = _rows(
            m.R[t, c] <= self.y(self.source[t], c - 1) - self.p(self.source[t], c) for t, c in pairs
        )

    def _relays_on_used_chips(self, pairs: list[tuple[int, int]]) -> None:
        """Closing the gaps of a placement is without loss only if no empty chip relays."""
        m = self.model
        anchored = {self.lo[v] for v in range(self.inst.nodes) if self.lo[v] == self.hi[v]}
        relaying = sorted({c for _, c in pairs} - anchored)
        m.busy = pyo.Var(relaying, bounds=(0, 1))
        m.busy_by = _rows(m.busy[c] <= sum(self.x(v, c) for v in range(self.inst.nodes)) for c in relaying)
        m.relay_on_busy = _rows(m.R[t, c] <= m.busy[c] for t, c in pairs if c not in anchored)

    # --- what it costs --------------------------------------------------------------------------------------

    def _links(self) -> None:
        m = self.model
        if self.inst.forward_only:
            self._links_forward()
            return
        m.z = pyo.Var([])
        crossing = [(t, link) for t in self.moving for link in range(self.hw.links)]
        m.g = pyo.Var(crossing, bounds=(0, 1))
        m.crosses = _rows(
            self.r(t, b) + sum(self.x(self.source[t], a) for a in self._homes_behind(link, b)) - 1 <= m.g[t, link]
            for t, link in crossing
            for b in self._chips_of_readers(t)
        )
        self.crossings = [
            pyo.quicksum(self.tau[t] * m.g[t, link] for t in self.moving) for link in range(self.hw.links)
        ]
        m.link = _rows(self.crossings[link] <= m.T for link in self._limited_links() if self.moving)

    def _limited_links(self) -> list[int]:
        size = self.inst.chips
        return [link for link in range(self.hw.links) if link in self.limited or (link + 1) % size in self.limited]

    def _homes_behind(self, link: int, b: int) -> list[int]:
        """Chips ``a`` whose route round the ring to ``b`` uses the link."""
        size = self.inst.chips
        return [a for a in self.chips if a != b and (link - a) % size < (b - a) % size]

    def _links_forward(self) -> None:
        m = self.model
        m.g = pyo.Var([])
        m.z = pyo.Var(pyo.Any, dense=False, bounds=(0, 1))
        m.ends = pyo.ConstraintList()
        m.link = pyo.ConstraintList()
        last_needed = {t: max(self.last(w) for w in self.readers[t]) for t in self.moving}
        wanted_links = range(self.inst.chips - 1)
        if self.hw.links == 0:
            wanted: dict[int, range] = {}
        else:
            wanted = {t: range(self.lo[self.source[t]], last_needed[t]) for t in self.moving}
        load: list[list[Expression]] = [[] for _ in wanted_links]
        for t, links in wanted.items():
            for link in links:
                load[link].append(self.tau[t] * (self.y(self.source[t], link) - self._end(t, link)))
        for t, chips in self.may_relay.items():
            for c in chips:
                _add(m.ends, self.model.R[t, c] <= 1 - self._end(t, c))
        self.crossings = [pyo.quicksum(terms) for terms in load if terms]
        for terms in (load[c] for c in wanted_links if c in self.limited or c + 1 in self.limited):
            _add(m.link, pyo.quicksum(terms) <= m.T if terms else True)

    def _end(self, t: int, c: int) -> Expression:
        """``z[t,c]``: 1 only if no chip beyond ``c`` needs the tensor."""
        m, readers = self.model, self.readers[t]
        replicable = self.inst.replicable[self.source[t]]
        if not replicable and any(self.lo[w] > c for w in readers):
            return 0
        if len(readers) == 1 and not replicable:
            return self.y(readers[0], c)
        if (t, c) not in m.z:
            z = m.z[t, c]
            if not replicable:
                for w in readers:
                    _add(m.ends, z <= self.y(w, c))
            else:
                for b in self._chips_of_readers(t):
                    if b > c:
                        _add(m.ends, z <= 1 - self.r(t, b))
                _add(m.ends, z <= self.y(self.source[t], c))
        return m.z[t, c]

    def _loads(self) -> None:
        m, inst = self.model, self.inst
        kind, charged = self.hw.kind_of_chip, self.hw.transfers_charged
        m.chip_load = pyo.ConstraintList()
        on_chip: list[list[int]] = [[] for _ in self.chips]
        for v in range(inst.nodes):
            for c in range(self.lo[v], self.last(v) + 1):
                on_chip[c].append(v)
        receives: list[list[Expression]] = [[] for _ in self.chips]
        sends: list[list[Expression]] = [[] for _ in self.chips]
        if self.loads_transfers:
            for t, c in m.r:
                receives[c].append(self.tau[t] * m.r[t, c])
            for t, c in m.s:
                sends[c].append(self.tau[t] * m.s[t, c])
            for t, c in m.R:
                sends[c].append(self.tau[t] * m.R[t, c])
        self.busy: dict[int, Expression] = {}
        for c in self.limited:
            time = self.time[kind[c]]
            compute = [time[v] * self.X(v, c) for v in on_chip[c] if time[v]]
            if "latency" in self.goals:
                self.busy[c] = pyo.quicksum(compute + ((receives[c] + sends[c]) if charged[c] else []))
            if not charged[c]:
                receives[c], sends[c] = [], []
            parts = [compute + receives[c] + sends[c]] if self.hw.serial else [compute, receives[c], sends[c]]
            for terms in parts:
                _add(m.chip_load, pyo.quicksum(terms) <= m.T if terms else True)

    def _memory(self, cuts: Sequence[MemoryCut]) -> None:
        m = self.model
        m.h = pyo.Var(pyo.Any, dense=False, bounds=(0, 1))
        m.memory = _rows(memory_rows(self, cuts))

    # --- goals other than the period -------------------------------------------------------------------------

    def _goal(self, goal: Goal) -> Expression:
        if goal == "traffic":
            return self._traffic()
        if goal == "energy":
            return self._energy()
        return self._latency() if goal == "latency" else self.model.T

    def _traffic(self) -> Expression:
        """Transfer time of all that crosses links (where there are none: of all that is received), added up."""
        if self.hw.links:
            return pyo.quicksum(self.crossings)
        return pyo.quicksum(self.tau[t] * self.model.r[t, c] for t, c in self.model.r)

    def _energy(self) -> Expression:
        kind, unit = self.hw.kind_of_chip, goal_unit(self.inst, "energy")
        energy = (self.inst.energy / unit).tolist()
        terms = [
            energy[kind[c]][v] * self.X(v, c)
            for v in range(self.inst.nodes)
            for c in range(self.lo[v], self.last(v) + 1)
        ]
        link = self.hw.interconnect
        joules = link.link_energy_j_per_byte * link.link_bandwidth * self.inst.unit / unit
        if not joules or link.topology == "memory":
            return pyo.quicksum(terms)
        return pyo.quicksum(terms) + joules * self._traffic()  # on a crossbar, one hop for all that is received

    def _latency(self) -> Expression:
        """The end of the last chip; a chip begins when all it receives from have ended and their tensors arrived."""
        m, hop = self.model, self.hw.interconnect.link_latency_s / self.inst.unit
        m.hop = pyo.Var(pyo.Any, dense=False, bounds=(0, 1))
        m.hops = pyo.ConstraintList()
        for t, b in m.r:
            u = self.source[t]
            for a in {*range(self.lo[u], self.hi[u] + 1), *self.may_relay.get(t, ())}:
                if a < b:
                    between = self._relays_between(t, a, b)
                    _add(m.hops, self.x(u, a) + self.R(t, a) + m.r[t, b] - 1 - between <= m.hop[a, b])
        instances = np.where(self.inst.replicable, self.inst.chips, 1)
        moved = 2 * float(self.inst.tau.sum()) + hop
        longest = 1.0 + float(self.inst.time.max(axis=0) @ instances) + moved * self.inst.chips
        m.begin = pyo.Var(self.chips, bounds=(0, None))
        m.L = pyo.Var(bounds=(0, self.caps.get("latency")))
        m.after = _rows(
            m.begin[b]
            >= m.begin[a] + self.busy[a] + hop * ((b - a) if self.hw.links else 1) - longest * (1 - m.hop[a, b])
            for a, b in m.hop
        )
        m.ends_by = _rows(m.begin[c] + self.busy[c] <= m.L for c in self.chips)
        return m.L

    # --- the rules on the chip graph ------------------------------------------------------------------------

    def _triangle(self) -> None:
        """``D`` from every constraining receive, its closure ``P``, and no direct edge beside a longer path."""
        m = self.model
        m.D = pyo.Var(pyo.Any, dense=False, bounds=(0, 1))
        m.direct = pyo.ConstraintList()
        for t in self.moving:
            for row in self._direct_rows(t):
                _add(m.direct, row)
        pairs = sorted(m.D)
        follow: dict[int, set[int]] = {}
        for a, b in pairs:
            follow.setdefault(a, set()).add(b)
        reachable = _closure(follow)
        m.P = pyo.Var([(a, b) for a, ends in reachable.items() for b in sorted(ends) if a != b], bounds=(0, 1))
        m.path_direct = _rows(m.D[a, b] <= m.P[a, b] for a, b in pairs)
        m.path_longer = _rows(
            m.P[a, b] + m.D[b, c] - 1 <= m.P[a, c] for a, b in m.P for c in sorted(follow.get(b, ())) if c != a
        )
        m.triangle = _rows(
            m.D[a, c] + m.P[a, b] + m.P[b, c] <= 2
            for a, c in pairs
            for b in self.chips
            if b not in (a, c) and (a, b) in m.P and (b, c) in m.P
        )

    def _direct_rows(self, t: int) -> list[Expression]:
        """A chip that receives ``t`` has an edge from the last chip that holds it: the home or a relay."""
        m, inst = self.model, self.inst
        u = self.source[t]
        span = inst.reader_ptr[t], inst.reader_ptr[t + 1]
        constraining = [
            w for w, bound in zip(self.readers[t], inst.reader_constrains[span[0] : span[1]], strict=True) if bound
        ]
        rows: list[Expression] = []
        if not constraining:
            return rows
        relay_chips = self.may_relay.get(t, range(0))
        sources = sorted({*range(self.lo[u], self.hi[u] + 1), *relay_chips})
        for b in sorted({*self._chips_of_readers(t), *relay_chips}):
            for a in sources:
                if a == b or (a > b and self.hw.rules.acyclic):
                    continue
                held = self.x(u, a) + self.R(t, a)
                if all(inst.reader_constrains[span[0] : span[1]]):
                    taken = [self.r(t, b)]
                else:  # a receive for unconstrained readers alone does not count
                    taken = [self.X(w, b) - self.p(u, b) for w in constraining]
                between = self._relays_between(t, a, b)
                for receive in taken:
                    if _upper(held) + _upper(receive) > 1:
                        rows.append(held + receive - 1 - between <= m.D[a, b])
        return rows

    def _no_skipping(self) -> None:
        m = self.model
        m.used = pyo.Var(self.chips, bounds=(0, 1))
        nodes = range(self.inst.nodes)
        m.used_by = _rows(self.x(v, c) <= m.used[c] for v in nodes for c in range(self.lo[v], self.hi[v] + 1))
        m.used_for = _rows(m.used[c] <= sum(self.x(v, c) for v in nodes) for c in self.chips)
        m.no_skipping = _rows(m.used[c + 1] <= m.used[c] for c in self.chips[:-1])


def _rows(relations: Any) -> pyo.ConstraintList:
    rows = pyo.ConstraintList()
    rows.construct()
    for relation in relations:
        _add(rows, relation)
    return rows


def _add(rows: pyo.ConstraintList, relation: Any) -> None:
    """Add a row unless it is one of constants that hold."""
    if relation is True or relation is np.True_:
        return
    if relation is False or relation is np.False_:
        raise ImpossibleRow
    rows.add(relation)


def _upper(expression: Expression) -> int:
    """0 for the constant 0, else 1."""
    return 0 if isinstance(expression, int | float) and expression <= 0 else 1


def _closure(follow: dict[int, set[int]]) -> dict[int, set[int]]:
    """Every chip reachable from each chip."""
    reachable = {a: set(ends) for a, ends in follow.items()}
    changed = True
    while changed:
        changed = False
        for ends in reachable.values():
            further = set().union(*(reachable.get(b, set()) for b in ends)) - ends
            if further:
                ends |= further
                changed = True
    return reachable
