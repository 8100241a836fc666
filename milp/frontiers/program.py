"""An exact dynamic program over frontiers, for the triangle rule as it is written.

Nodes are placed one after another along a topological order. What the rest of the order can still be influenced by is
the *frontier*: on which chips the nodes lie that still have readers to come, how much those chips hold, and how
they are joined in the chip graph. Chips carry no numbers: an acyclic chip graph can be numbered afterwards. Two partial
placements with the same frontier differ only in the number of chips used and in loads, and dominated ones
are dropped. Where the order has narrow frontiers (residual and dense networks) this decides "is there a placement with
period <= T?" exactly, where a MILP with big implications for the triangle rule is hopeless. In form it is dynamic
programming over a path decomposition (Bodlaender, "A partial k-arboretum of graphs with bounded treewidth", 1998).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from milp.ideals.leaving_out import tiny_nodes
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import Instance
from partition.order import topological_order
from partition.stopping import Stop

SCOPE = Scope(
    engine="frontiers",
    claims="whether some placement has a period",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC NO_SKIPPING SKIPPING TRIANGLE "
        "LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS UNSUPPORTED FREE_TRANSFERS SHARED_WEIGHTS ZERO_TIMES"
    ),
    refuses={
        **PERIOD_ALONE,
        Feature.ROUTES: PORTS_FOR_ROUTES,
        Feature.ANY_ORDER: "the chip graph may have cycles",
        Feature.RELAYS: "relays change who sends to whom",
        Feature.MIXED_KINDS: "chips carry no numbers",
        Feature.FREE_ORDER: "chips carry no numbers",
        Feature.FREE_EDGES: "every transfer counts for the triangle rule there",
    },
)


ROW_LIMIT = 400_000
"""Most partial placements kept after one node; beyond it the question is given up."""

STRUCTURE_LIMIT = 3_000
"""Most different frontiers kept after one node."""

ORDERS = 8
"""Topological orders of which the one with the narrowest frontiers is taken."""

TINY = (0.0, 1e-2)
"""Nodes below this (:func:`milp.ideals.leaving_out.tiny_nodes`) are left out; tried in turn."""

SLACK = 1e-9
"""Relative rounding allowance when loads are compared with the threshold."""

WORK_PER_MOVE, WORK_PER_ROW = 1e-4, 2e-5
"""Units of work (stopping.py) for placing a node on one more chip, and for each partial placement that it gives."""

DOMINANCE_LIMIT = 3_000
"""Rows beyond which dominance is tested within chunks only."""


@dataclass(frozen=True)
class Verdict:
    """The answer about one threshold.

    Attributes
    ----------
    possible : None if given up; False is a proof that no placement is within the threshold.
    chip : (N,) chips of a placement within it where links, replicable nodes and shared weights are left out of account
        (replicable nodes are -1), if possible.
    """

    possible: bool | None
    chip: IntArray | None = None


@dataclass(frozen=True)
class _Structure:
    """A frontier without its loads; chips are labelled by first appearance.

    Attributes
    ----------
    home : label of the chip of each live node.
    received : per live node and tensor of it, bit mask of the chips that have received it.
    chips : number of labelled chips.
    direct, path, never : per chip, bit masks of the chips it has an edge to, a path to, and may never have a path to.
    """

    home: tuple[int, ...]
    received: tuple[int, ...]
    chips: int
    direct: tuple[int, ...]
    path: tuple[int, ...]
    never: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Step:
    """What placing one node changes, the same for every frontier.

    Attributes
    ----------
    node : the node.
    parents : positions, among the nodes live before, of the producers it reads.
    ancestors : likewise of those it depends on through nodes left out.
    reads : positions, among the tensors live before, of what it reads.
    survivors : positions among (live before, then the node itself) of what is live afterwards; likewise tensors.
    """

    node: int
    parents: tuple[int, ...]
    ancestors: tuple[int, ...]
    reads: tuple[int, ...]
    owners: tuple[int, ...]
    survivors: tuple[int, ...]
    tensors: tuple[int, ...]
    made: int
    tau_read: tuple[float, ...]
    sources_ahead: bool
    work_left: float


class Frontiers:
    """Decides thresholds for one instance; ``None`` from :meth:`of` where the method does not apply."""

    def __init__(self, instance: Instance, order: IntArray, kept: BoolArray) -> None:
        hw = instance.hardware
        self.instance = instance
        self.transfers = hw.transfers_add_up
        self.triangle = hw.rules.triangle
        self.order = order[kept[order]]
        self.memory = (
            hw.rules.memory
            and bool(np.isfinite(hw.sram_bytes).all())
            and float(instance.weights[kept].sum()) > float(hw.sram_bytes.min())
        )
        self.time = instance.time[hw.kind_of_chip[0]]
        self.steps = self._steps(kept)
        self.complete = bool(kept.all())

    @staticmethod
    def applies(instance: Instance) -> bool:
        """Identical chips, every edge constrains, and no relays to weigh."""
        return SCOPE.admits(instance.features) and instance.forward_only

    # --- what each step does ---------------------------------------------------------------------------------

    def _steps(self, kept: BoolArray) -> list[_Step]:
        inst = self.instance
        tensor = np.repeat(np.arange(inst.tensors), np.diff(inst.reader_ptr))
        both = kept[inst.source[tensor]] & kept[inst.readers]
        tensors_of: dict[int, list[int]] = {}
        reads: dict[int, list[int]] = {}
        for t, w in zip(tensor[both].tolist(), inst.readers[both].tolist(), strict=True):
            made = tensors_of.setdefault(int(inst.source[t]), [])
            if t not in made:
                made.append(t)
            reads.setdefault(w, []).append(t)
        waiting = dict(zip(*np.unique(tensor[both], return_counts=True), strict=True))
        self.behind = behind = self._behind_left_out(kept)
        followers = dict(zip(*np.unique([u for us in behind.values() for u in us], return_counts=True), strict=True))
        has_parents = {*reads, *behind}
        last_source = max((i for i, v in enumerate(self.order.tolist()) if v not in has_parents), default=-1)
        work_left = float(self.time[self.order].sum())
        live_nodes: list[int] = []
        live_tensors: list[int] = []
        steps = []
        for i, v in enumerate(self.order.tolist()):
            read = reads.get(v, [])
            direct = sorted({int(inst.source[t]) for t in read})
            for t in read:
                waiting[t] -= 1
            for u in behind.get(v, ()):
                followers[u] -= 1
            made = tensors_of.get(v, [])
            candidates, all_tensors = [*live_nodes, v], [*live_tensors, *made]
            after_tensors = [t for t in all_tensors if waiting[t] > 0]
            owners = {int(inst.source[t]) for t in after_tensors}
            after_nodes = [u for u in candidates if u in owners or followers.get(u, 0) > 0]
            work_left -= float(self.time[v])
            steps.append(
                _Step(
                    node=v,
                    parents=tuple(live_nodes.index(u) for u in direct),
                    ancestors=tuple(live_nodes.index(u) for u in behind.get(v, ())),
                    reads=tuple(live_tensors.index(t) for t in read),
                    owners=tuple(live_nodes.index(int(inst.source[t])) for t in read),
                    survivors=tuple(candidates.index(u) for u in after_nodes),
                    tensors=tuple(all_tensors.index(t) for t in after_tensors),
                    made=len(made),
                    tau_read=tuple(float(inst.tau[t]) for t in read),
                    sources_ahead=i < last_source,
                    work_left=max(work_left, 0.0),
                )
            )
            live_nodes, live_tensors = after_nodes, after_tensors
        return steps

    def _behind_left_out(self, kept: BoolArray) -> dict[int, list[int]]:
        """For each kept node its nearest kept ancestors through nodes left out, unless other kept nodes imply them.

        A replicable node joins nothing: it can run beside each of its readers.
        """
        inst = self.instance
        plain = ~inst.replicable
        edges = inst.edges[plain[inst.edges].all(axis=1)]
        edges = edges[np.argsort(edges[:, 1], kind="stable")]  # nodes are numbered topologically
        through: dict[int, set[int]] = {}
        ancestors = [0] * inst.nodes
        nearest: dict[int, set[int]] = {}
        for u, w in edges.tolist():
            found = {u} if kept[u] else through.get(u, set())
            target = nearest if kept[w] and not kept[u] else through
            if not (kept[u] and kept[w]):
                target.setdefault(w, set()).update(found)
            ancestors[w] |= ancestors[u] | (1 << u)
        return {
            w: sorted(u for u in us if not any(ancestors[x] >> u & 1 for x in us if x != u))
            for w, us in nearest.items()
            if us
        }

    @property
    def effort(self) -> float:
        """A rough measure of the number of frontiers."""
        return float(sum(4.0 ** len(step.survivors) for step in self.steps))

    # --- the program -----------------------------------------------------------------------------------------

    def decide(self, threshold: float, *, stop: Stop | None = None, beam: int | None = None) -> Verdict:
        """Whether some placement has a period of at most ``threshold`` (in units of the instance).

        Parameters
        ----------
        beam : keep at most this many partial placements after each node, those that waste least; then a "no" becomes
            "given up".
        """
        stop = stop or Stop()
        limit = threshold * (1 + SLACK)
        states: dict[_Structure, FloatArray] = {
            _Structure((), (), 0, (), (), ()): np.zeros((1, 3))  # chips used, time lost on closed chips, row number
        }
        history: list[tuple[IntArray, IntArray]] = []
        exact = True
        for step in self.steps:
            grown: dict[_Structure, list[FloatArray]] = {}
            for structure, rows in states.items():
                for label in range(structure.chips + 1):
                    moved = self._place(structure, step, label)
                    if moved is None:
                        continue
                    after = self._loads(rows, structure, step, label, moved, limit)
                    if len(after):
                        grown.setdefault(moved.structure, []).append(after)
                stop.charge(WORK_PER_MOVE * (structure.chips + 1))
                if stop():
                    return Verdict(None)
            stop.charge(WORK_PER_ROW * sum(len(block) for blocks in grown.values() for block in blocks))
            states = {s: _undominated(np.concatenate(blocks)) for s, blocks in grown.items()}
            count = sum(map(len, states.values()))
            if count == 0:
                return Verdict(False if exact else None)
            if beam is not None and count > beam:
                states, exact = _thin(states, beam), False
            elif beam is None and (count > ROW_LIMIT or len(states) > STRUCTURE_LIMIT):
                return Verdict(None)
            states = _numbered(states, history)
        return Verdict(True, self._retrace(states, history))

    def _loads(
        self,
        rows: FloatArray,
        structure: _Structure,
        step: _Step,
        label: int,
        moved: _Move,
        limit: float,
    ) -> FloatArray:
        """Rows after placing the node: [chips used, time lost, origin, origin label, loads..., weights...]."""
        inst, C = self.instance, self.instance.chips
        kinds = 2 if self.memory else 1
        before = structure.chips
        used = rows[:, 0] + (label == before)
        loads = np.zeros((len(rows), kinds, before + 1))
        loads[:, :, :before] = rows[:, 3:].reshape(len(rows), kinds, before)
        loads[:, 0, label] += self.time[step.node]
        if self.memory:
            loads[:, 1, label] += inst.weights[step.node]
        for chip, amount in moved.extra:
            loads[:, 0, chip] += amount
        keep = (used <= C) & (loads[:, 0] <= limit).all(axis=1)
        if self.memory:
            keep &= loads[:, 1, label] <= float(inst.hardware.sram_bytes[0]) * (1 + SLACK)
        lost = rows[:, 1].copy()
        for chip in moved.closed:
            lost += limit - loads[:, 0, chip]
        open_labels = list(moved.labels)
        room = limit * (C - used) + (limit - loads[:, 0, open_labels]).sum(axis=1)
        keep &= room >= step.work_left * (1 - SLACK)
        kept_loads = loads[keep][:, :, open_labels].reshape(int(keep.sum()), kinds * len(open_labels))
        head = np.stack([used[keep], lost[keep], rows[keep, 2], np.full(int(keep.sum()), label)], axis=1)
        return np.concatenate([head, kept_loads], axis=1)

    def _place(self, s: _Structure, step: _Step, label: int) -> _Move | None:
        """The structure after placing the node on chip ``label`` (a new one if it is the number of chips)."""
        fresh = label == s.chips
        count = s.chips + fresh
        direct, path, never = ([*m, *([0] if fresh else [])] for m in (s.direct, s.path, s.never))
        bit = 1 << label
        sources = {s.home[p] for p in step.parents} - {label}
        before = sources | {s.home[p] for p in step.ancestors} - {label}
        if any(path[label] >> y & 1 for y in before):
            return None
        if before:
            mask = 0
            for y in sources:
                direct[y] |= bit
            for y in before:
                mask |= 1 << y
            behind = bit | path[label]
            for a in range(count):
                if mask >> a & 1 or path[a] & mask:
                    path[a] |= behind
                    if path[a] & never[a]:
                        return None
            if self.triangle and _longer_path_beside(direct, path, count):
                return None
        received, extra = self._received(s, step, label)
        home = [*s.home, label]
        home = [home[i] for i in step.survivors]
        received = [*received, *([0] * step.made)]
        received = [received[i] for i in step.tensors]
        return _closed(home, received, count, direct, path, never, extra, step.sources_ahead, self.triangle)

    def _received(self, s: _Structure, step: _Step, label: int) -> tuple[list[int], list[tuple[int, float]]]:
        """Who has received what afterwards, and what the transfers add to loads."""
        received = list(s.received)
        extra: list[tuple[int, float]] = []
        if not self.transfers:
            return received, extra
        for t, owner, tau in zip(step.reads, step.owners, step.tau_read, strict=True):
            home = s.home[owner]
            if home == label or received[t] >> label & 1:
                continue
            extra.append((label, tau))
            if not received[t]:
                extra.append((home, tau))
            received[t] |= 1 << label
        return received, extra

    def _retrace(self, states: dict[_Structure, FloatArray], history: list[tuple[IntArray, IntArray]]) -> IntArray:
        """Chips of the nodes along the way to the final state that uses fewest chips, numbered along the chip graph."""
        final = np.concatenate([rows[:, :3] for rows in states.values()])
        row = int(final[np.lexsort((final[:, 1], final[:, 0]))[0], 2])
        labels: list[int] = []
        for origin, chosen in reversed(history):
            labels.append(int(chosen[row]))
            row = int(origin[row])
        structure = _Structure((), (), 0, (), (), ())
        chip_of_label: list[int] = []
        used = 0
        chip = np.full(self.instance.nodes, -1)
        for step, label in zip(self.steps, reversed(labels), strict=True):
            if label == structure.chips:
                chip_of_label.append(used)
                used += 1
            chip[step.node] = chip_of_label[label]
            moved = self._place(structure, step, label)
            assert moved is not None
            chip_of_label = [chip_of_label[i] for i in moved.labels]
            structure = moved.structure
        return self._numbered_along(chip, used)

    def _numbered_along(self, chip: IntArray, used: int) -> IntArray:
        """Chips renumbered along a topological order of the chip graph; -1 stays."""
        between = [(u, int(v)) for v, us in self.behind.items() for u in us]
        pairs = np.concatenate([self.instance.edges, np.array(between, dtype=np.int64).reshape(-1, 2)])
        edges = chip[pairs]
        edges = edges[(edges >= 0).all(axis=1) & (edges[:, 0] != edges[:, 1])]
        order = topological_order(used, edges[:, 0], edges[:, 1])
        rank = np.empty(used + 1, dtype=np.int64)
        rank[order] = np.arange(used)
        rank[-1] = -1
        return np.asarray(rank[chip])


def narrow_frontiers(instance: Instance, orders: Iterable[IntArray]) -> Iterator[Frontiers]:
    """Programs along the narrowest of some orders: first over all nodes, then with tiny ones left out."""
    candidates = list(itertools.islice(orders, ORDERS))
    for tiny in TINY:
        kept = ~instance.replicable & ~tiny_nodes(instance, tiny)
        if not kept.any():
            return
        programs = [Frontiers(instance, order, kept) for order in candidates]
        yield min(programs, key=lambda program: program.effort)


@dataclass(frozen=True)
class _Move:
    """A structure reached: labels it kept (in its order) of those before, those closed, and transfers to add."""

    structure: _Structure
    labels: tuple[int, ...]
    closed: tuple[int, ...]
    extra: tuple[tuple[int, float], ...]


def _longer_path_beside(direct: list[int], path: list[int], count: int) -> bool:
    for a in range(count):
        edges = direct[a]
        if not edges:
            continue
        through = 0
        for c in range(count):
            if path[a] >> c & 1:
                through |= path[c]
        if through & edges:
            return True
    return False


def _closed(
    home: list[int],
    received: list[int],
    count: int,
    direct: list[int],
    path: list[int],
    never: list[int],
    extra: list[tuple[int, float]],
    sources_ahead: bool,
    triangle: bool,
) -> _Move:
    """Drop the chips that no further node can join, keeping what they forbid to the others; relabel the rest."""
    live = 0
    for h in home:
        live |= 1 << h
    closed = []
    if live and not sources_ahead:  # every node to come has a live ancestor, so chips before all of those are done
        closed = [z for z in range(count) if not live >> z & 1 and path[z] & live == live]
    gone = 0
    for z in closed:
        gone |= 1 << z
        if not triangle:
            continue
        to_z = sum(1 << b for b in range(count) if path[b] >> z & 1)
        for a in range(count):
            # An edge to z, or a ban on reaching z, becomes a ban on reaching whatever reaches z.
            if direct[a] >> z & 1 or never[a] >> z & 1:
                never[a] |= to_z & ~(1 << a)
            # z's own edges and bans become bans for whatever z reaches.
            if path[z] >> a & 1:
                never[a] |= (direct[z] | never[z]) & ~(1 << a)
    kept = [c for c in range(count) if not gone >> c & 1]
    first = {c: i for i, c in reversed(list(enumerate(home)))}
    kept.sort(key=lambda c: (first.get(c, len(home)), path[c].bit_count(), c))
    where = {c: i for i, c in enumerate(kept)}
    structure = _Structure(
        tuple(where[h] for h in home),
        tuple(_mapped(mask, where) for mask in received),
        len(kept),
        tuple(_mapped(direct[c], where) for c in kept) if triangle else (0,) * len(kept),
        tuple(_mapped(path[c], where) for c in kept),
        tuple(_mapped(never[c], where) for c in kept),
    )
    return _Move(structure, tuple(kept), tuple(closed), tuple(extra))


def _mapped(mask: int, where: dict[int, int]) -> int:
    out = 0
    while mask:
        low = mask & -mask
        at = where.get(low.bit_length() - 1)
        if at is not None:
            out |= 1 << at
        mask ^= low
    return out


def _undominated(rows: FloatArray) -> FloatArray:
    """Rows [chips, lost, origin, label, loads...] that no other row beats in chips and every load."""
    values = np.concatenate([rows[:, :1], rows[:, 4:]], axis=1)
    order = np.lexsort(values.T[::-1])
    rows, values = rows[order], values[order]
    if values.shape[1] == 1:
        return rows[:1]
    if values.shape[1] == 2:
        best = np.concatenate([[np.inf], np.minimum.accumulate(values[:, 1])[:-1]])
        return rows[values[:, 1] < best]
    keep = np.ones(len(rows), dtype=bool)
    for begin in range(0, len(rows), DOMINANCE_LIMIT):
        part = values[begin : begin + DOMINANCE_LIMIT]
        alive = np.ones(len(part), dtype=bool)
        for i in range(len(part)):
            if alive[i]:
                worse = (part[i + 1 :] >= part[i]).all(axis=1)
                alive[i + 1 :] &= ~worse
        keep[begin : begin + DOMINANCE_LIMIT] = alive
    return rows[keep]


def _thin(states: dict[_Structure, FloatArray], beam: int) -> dict[_Structure, FloatArray]:
    """The rows that have lost least time on closed chips."""
    lost = np.concatenate([rows[:, 1] for rows in states.values()])
    cut = float(np.partition(lost, beam - 1)[beam - 1])
    thinned = {s: rows[rows[:, 1] <= cut] for s, rows in states.items()}
    return {s: rows for s, rows in thinned.items() if len(rows)}


def _numbered(
    states: dict[_Structure, FloatArray], history: list[tuple[IntArray, IntArray]]
) -> dict[_Structure, FloatArray]:
    """Move origins and labels of all rows to the history and number the rows anew."""
    together = np.concatenate([rows[:, 2:4] for rows in states.values()]).astype(np.int64)
    history.append((together[:, 0], together[:, 1]))
    begin, numbered = 0, {}
    for s, rows in states.items():
        number = np.arange(begin, begin + len(rows), dtype=float)
        numbered[s] = np.concatenate([rows[:, :2], number[:, None], rows[:, 4:]], axis=1)
        begin += len(rows)
    return numbered
