"""Engines with one inequality taken out or one sign turned round: what a share of engines at the truth must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A line of an engine, what stands there instead, and the engine of tests/truth.py that must say so."""

    engine: str
    path: str
    line: str
    instead: str


PATHS = {
    "trivial bounds": "milp/search/period.py",
    "windows": "milp/windows/windows.py",
    "separations": "milp/windows/separation.py",
    "ideals": "milp/ideals/blocks.py",
    "forced relays": "milp/ideals/forced_relays.py",
    "chains round a ring": "milp/ideals/best_path.py",
    "levels": "milp/ideals/block_data.py",
    "stretches": "milp/ideals/stretches.py",
    "frontiers": "milp/frontiers/program.py",
    "capacity": "milp/chip_bounds/capacity.py",
    "crowds": "milp/chip_bounds/pigeonholes.py",
    "down-sets": "milp/search/downsets/measures.py",
    "values that can occur": "milp/state/attainable.py",
    "formulation": "milp/formulation/rows.py",
    "memory cuts": "milp/formulation/memory_cuts.py",
    "feasibility": "partition/scoring/feasibility.py",
}
"""Where each engine is, unless a mutant says otherwise."""

LINES: dict[str, tuple[tuple[str, ...], ...]] = {
    "trivial bounds": (
        ("instance.fastest.sum()) / instance.chips", "instance.fastest.sum()) / (instance.chips - 0.5)"),
        ("float(instance.fastest.max())", "1.01 * float(instance.fastest.max())"),
        ("crowded = crowd.work if", "crowded = 1.5 * crowd.work if"),
        ("work[size - count : size].sum()", "work[:count].sum()", "milp/chip_bounds/pigeonholes.py"),
        ("work[size - count : size].sum()", "2 * work[size - count : size].sum()", "milp/chip_bounds/pigeonholes.py"),
    ),
    "windows": (
        ("early = (windows.hi[:, None] <= stages)", "early = (windows.lo[:, None] <= stages)"),
        ("late = (windows.lo[:, None] >= stages)", "late = (windows.hi[:, None] >= stages)"),
        ("able = (inst.supported & (inst.time <= work))", "able = (inst.time < 0.5 * work)"),
        ("least = cost.min(axis=0)", "least = cost.max(axis=0)"),
        ("lo = np.maximum(windows.lo, overfull_before", "lo = 1 + np.maximum(windows.lo, overfull_before"),
        ("paid[::-1].cumsum()[::-1]", "paid[::-1].cumsum()"),
        ("if low[u] > low[v]:\n            low[v] = low[u]", "if True:\n            low[v] = low[u] + 1"),
    ),
    "separations": (
        ("tau = np.where(inst.replicable[inst.source], 0.0, tau)", "tau = tau + 1.0"),
        ("if flow.flow_value > limit * scale:", "if flow.flow_value > 0.3 * limit * scale:"),
        ("tensors = np.unique(self.tensor)", "tensors = self.tensor"),
        ("tail = [self.edges[:, 1], inst.source[tensors]", "tail = [self.edges[:, 1], 0 * inst.source[tensors]"),
        ("np.floor(tau[tensors] * scale)", "np.floor(2 * tau[tensors] * scale)"),
        ("tau = np.minimum(inst.tau, 2 * limit)", "tau = np.maximum(inst.tau, 0.4 * limit)"),
        ("limit = threshold * (1 + ROUNDING)", "limit = 0.7 * threshold"),
    ),
    "ideals": (
        ("paid = 0.0 if kind.free_transfers else 1.0", "paid = 1.0"),
        ("return receive, np.maximum(self.cut[end] - self.passing_load - through, 0.0)",
         "return receive, np.maximum(self.cut[end], 0.0)"),
        ("(self.shared_users[end] > self.shared_users[begin]) @", "(self.shared_users[end] > -1) @"),
        ("receive = _dot(inside > self.live_count[begin], tau)",
         "receive = _dot(inside >= self.live_count[begin], tau)"),
        ("compute = self.time[end, k] - self.time[begin, k]",
         "compute = self.time[end, k] - 0.5 * self.time[begin, k]"),
        ("(self.barred[end, k] > self.barred[begin, k])", "(self.barred[end, k] >= self.barred[begin, k])"),
        ("held = self.private[end] - self.private[begin]", "held = self.private[end]"),
        ("load = np.maximum(load, self.cut[end])", "load = load + self.cut[end]"),
    ),
    "forced relays": (
        ("near[instance.replicable] = 0", "near[instance.replicable] = 1"),
        ("(ways == 0) & ~self.exempt[rows]", "(ways >= 0) & ~self.exempt[rows]"),
        ("around[:, row] = ~_flags(ancestors[source] | behind, instance.nodes).astype(bool)", "around[:, row] = False"),
        ("apart &= (blocks[:, word, None] & self.near[some, word]) == 0",
         "apart &= (blocks[:, word, None] & self.near[some, word]) < 0"),
        ("around[[source, *read], row] = True", "around[source, row] = False"),
        ("ancestors[v] | descendants[v] | 1 << v", "(1 << instance.nodes) - 1"),
    ),
    "chains round a ring": (
        ("if layers.value * ", "if layers.value * 2 * "),
        ("costs = [np.where(load <= period, pairs.returned, np.inf)",
         "costs = [np.where(load <= period, 2 * pairs.returned, np.inf)"),
        ("sent = self.made[last, back] & ~self.made[first, back] & (self.count[first, back] > 0)",
         "sent = self.made[last, back] & ~self.made[first, back]", "milp/ideals/blocks.py"),
        ("sent = self.made[last, back] & ~self.made[first, back] & (self.count[first, back] > 0)",
         "sent = self.made[last, back] & (self.count[first, back] > 0)", "milp/ideals/blocks.py"),
        ("receive = receive + (~own & (got > 0)) @ self.tau[back]", "receive = receive + (got > 0) @ self.tau[back]",
         "milp/ideals/blocks.py"),
        ("(own & (got < self.degree[back])) @ self.tau[back]", "own @ self.tau[back] * 1.5", "milp/ideals/blocks.py"),
    ),
    "levels": (
        ("counts(held, self.size[rows])", "(counts(held, self.size[rows]) | True)", "milp/ideals/window.py"),
        ("lambda held, _: held > 0)", "lambda held, _: held >= 0)"),
        ("lambda held, size: held < size)", "lambda held, size: held <= size)"),
        ("forward = np.where(self.both_ways, 0.0, self.tau)", "forward = 2 * self.tau"),
        ("cost[v] = min(float(received), float(inst.fastest[v]) + needs)", "cost[v] = float(received) + needs"),
        ("compute = compute - _dot(read, self.open_time[k][begin])",
         "compute = compute + _dot(read, self.open_time[k][begin])",
         "milp/ideals/blocks.py"),
    ),
    "stretches": (
        ("self.instance.chips * threshold * (1 +", "self.instance.chips * 0.5 * threshold * (1 +"),
        ("self.rest = float(self.time.sum()) - sum(s.work for s in self.found)", "self.rest = float(self.time.sum())"),
        ("began = level.before[rows] - stretch.before + cut", "began = level.before[rows] + cut"),
        ("ended = level.behind[rows] - stretch.behind + cut", "ended = level.behind[rows] + cut"),
        ("once = np.maximum(began + ended, stretch.work + 2 * cut)[both]", "once = (began + ended + 2 * cut)[both]"),
        ("self.charged = hardware.transfers_add_up", "self.charged = True"),
    ),
    "frontiers": (
        ("if home == label or received[t] >> label & 1:", "if home == label:"),
        ("if not received[t]:", "if True:"),
        ("keep &= room >= step.work_left", "keep &= room >= 2 * step.work_left"),
        ("if path[a] & never[a]:", "if path[a]:"),
        ("self.transfers = hw.transfers_add_up", "self.transfers = hw.serial"),
        ("keep = (used <= C) & (loads[:, 0] <= limit)", "keep = (used < C) & (loads[:, 0] <= limit)"),
        ("if self.triangle and longer_path_beside", "if longer_path_beside"),
        ("loads[:, 1, label] <= float(inst.room(limit)[0])",
         "loads[:, 1, label] < 0.9 * float(inst.room(limit)[0])"),
    ),
    "capacity": (
        ("sign * np.minimum(inst.fastest, threshold)[model.node[y]]",
         "0.5 * sign * np.minimum(inst.fastest, threshold)[model.node[y]]"),
        ("-outcome.bound + BOUND_SAFETY * threshold", "-0.7 * outcome.bound"),
        ("limited=(1,)", "limited=(0, 1, 2)"),
        ("at_most = min([threshold, *smaller])", "at_most = 0.6 * min([threshold, *smaller])"),
        ("values[own] = model.chip[own]", "values[own] = 1.0 - model.chip[own]"),
        ("bare = Choices(no_skipping=False, triangle=False)", "bare = Choices(no_skipping=False, triangle=True)"),
        ("above & (up > limit)", "above & (2 * up > limit)"),
        ("below & (down > limit)", "below & (2 * down > limit)"),
    ),
    "crowds": (
        ("return max(0, few * (self.chips * most - self.size) // (most - few) + 1)", "return 0"),
        ("count = -(-size // chips)", "count = 1 - (-size // chips)"),
        ("block = capacity.cheapest(\n            None,",
         "block = capacity.cheapest(\n            int(self.order[0]),"),
        ("few = self.crowd.count - 1\n        most", "few = self.crowd.count\n        most"),
        ("self.work = np.cumsum(np.sort(instance.fastest[crowd.nodes]))",
         "self.work = np.cumsum(2 * np.sort(instance.fastest[crowd.nodes]))"),
        (": (count - 1) * self.chips + 1]] = True", ": (count - 1) * self.chips]] = True"),
    ),
    "down-sets": (
        ("behind * self.period + room[:, None]", "behind * self.period"),
        ("behind * self.table[:, self.period] + self.table[:, room].T", "behind * self.table[:, self.period]"),
        ("found.append(np.where(x > period - least, period, np.where(x >= least, x, 0)))",
         "found.append(np.where(x >= period - least, period, np.where(x >= least, x, 0)))"),
        ("usable = self.line.left(modes) > 0", "usable = self.line.left(modes) > 1"),
        ("found[i] = tail + room if least[i] > room else tail", "found[i] = tail + room",
         "milp/search/downsets/threshold.py"),
        ("side=\"left\")])", "side=\"right\")])", "milp/search/downsets/threshold.py"),
        ("need = states.need[parent] - threshold.measures.need(mode, task)", "need = states.need[parent]",
         "milp/search/downsets/layers.py"),
        ("losses, before = np.maximum(this.losses(), other.forced)",
         "losses, before = np.maximum(this.losses() + 1, other.forced)", "milp/search/downsets/both_ends.py"),
        ("found[: sure + 1] = self._lost[: sure + 1]", "found[: sure + 2] = self._lost[: sure + 2]",
         "milp/search/downsets/layers.py"),
        ("self._lost[closed] = np.minimum(self._lost[closed], here)", "self._lost[closed] = here",
         "milp/search/downsets/layers.py"),
        ("found = room > allowed", "found = room >= allowed", "milp/search/downsets/threshold.py"),
        ("(free, free - may - 1, free // 2)", "(free, free - may, free // 2)", "milp/search/downsets/threshold.py"),
    ),
    "values that can occur": (
        ("loads = [np.concatenate([row, moved, moved]) for row in computes]", "loads = [*computes, moved]"),
        ("loads = [*computes, moved]\n", "loads = [*computes]\n"),
        ("units = math.ceil(Fraction(bound) / self.unit)", "units = math.ceil(Fraction(bound) / self.unit) + 1"),
        ("sums |= (sums << item) & mask", "sums = (sums << item) & mask"),
        ("tick = _common(tick, pace * int(np.gcd.reduce(size)))", "tick = tick or Fraction(1)"),
        ("(np.abs(whole / 10.0**places - values) <= DECIMAL * values).all()", "places == 1"),
    ),
    "formulation": (
        ("model.at_most(\"receive\", cols.X(w, c) - cols.X(cols.source[t], c), cols.r(t, c))",
         "model.at_most(\"receive\", cols.X(w, c), cols.r(t, c))"),
        ("model.at_most(\"relay_receives\", relay, cols.r(t, c))",
         "model.at_most(\"relay_receives\", cols.r(t, c), relay)"),
        ("return c, cols.X(v, c) * spent", "return c, cols.X(v, c) * (2 * spent)"),
        ("charged = cols.hw.transfers_charged > 0", "charged = cols.hw.transfers_charged > -1"),
        ("model.at_most(\"replica_after_home\", cols.p(v, c), cols.y(v, c - 1))",
         "model.at_most(\"replica_after_home\", cols.y(v, c - 1), cols.p(v, c))"),
        ("moved.append((c[counts], table(t[counts], c[counts]) * tau[t[counts]]))",
         "moved.append((c[counts], table(t[counts], c[counts]) * (1.2 * tau[t[counts]])))"),
    ),
    "memory cuts": (
        ("if not self._impossible(on, off, relays):", "if relays and not self._impossible(on, off, relays):"),
        ("new = set(model.shared[v]) - shared", "new = set(model.shared[v])"),
        ("if held > room:", "if held > 0.5 * room:"),
        ("on = _shortened(on, lambda kept: self._impossible(kept, off, relays))", "on = on[:1]"),
        ("neighbours = self.model.neighbours(self.operations) - set(self.operations)", "neighbours = set[int]()"),
        ("sent = {t for t in made if not away.isdisjoint(model.readers[t])}", "sent = set(made)"),
    ),
    "feasibility": (
        ("total > package * ", "total > 0.5 * package * "),
        ("need[worst] > largest * ", "need[worst] > 0.6 * largest * "),
        ("np.isinf(Problem.of(graph, hardware).fastest)", "np.isinf(hardware.times(graph)).any(axis=0)"),
        ("largest, package = float(hardware.room.max())", "largest, package = float(hardware.room.min())"),
        ("need = np.bincount(group, weights=graph.weights)", "need = np.bincount(group, weights=2 * graph.weights)"),
    ),
}  # fmt: skip
"""Per engine: what stands there, and what stands there instead; a third word is another file. All of them false."""

MUTANTS = [
    Mutant(engine, more[0] if more else PATHS[engine], line, instead)
    for engine, lines in LINES.items()
    for line, instead, *more in lines
]
