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


WINDOWS, SEPARATION = "milp/windows/windows.py", "milp/windows/separation.py"
FRONTIERS, STRETCHES = "milp/frontiers/program.py", "milp/ideals/stretches.py"
CAPACITY, CROWDS = "milp/chip_bounds/capacity.py", "milp/chip_bounds/pigeonholes.py"
BLOCKS, FORCED, PATH = "milp/ideals/blocks.py", "milp/ideals/forced_relays.py", "milp/ideals/best_path.py"
CUTS, COUNTING = "milp/formulation/memory_cuts.py", "partition/scoring/feasibility.py"

MUTANTS = [
    Mutant("windows", WINDOWS, "early = (windows.hi[:, None] <= stages)", "early = (windows.lo[:, None] <= stages)"),
    Mutant("windows", WINDOWS, "late = (windows.lo[:, None] >= stages)", "late = (windows.hi[:, None] >= stages)"),
    Mutant("windows", WINDOWS, "able = (inst.supported & (inst.time <= work))", "able = (inst.time < 0.5 * work)"),
    Mutant("windows", WINDOWS, "least = cost.min(axis=0)", "least = cost.max(axis=0)"),
    Mutant(
        "windows",
        WINDOWS,
        "lo = np.maximum(windows.lo, overfull_before",
        "lo = 1 + np.maximum(windows.lo, overfull_before",
    ),
    Mutant("separations", SEPARATION, "tau = np.where(inst.replicable[inst.source], 0.0, tau)", "tau = tau + 1.0"),
    Mutant(
        "separations", SEPARATION, "if flow.flow_value > limit * scale:", "if flow.flow_value > 0.3 * limit * scale:"
    ),
    Mutant("separations", SEPARATION, "if settled[e]:", "if not settled[e]:"),
    Mutant("frontiers", FRONTIERS, "if home == label or received[t] >> label & 1:", "if home == label:"),
    Mutant("frontiers", FRONTIERS, "if not received[t]:", "if True:"),
    Mutant("frontiers", FRONTIERS, "keep &= room >= step.work_left", "keep &= room >= 2 * step.work_left"),
    Mutant("frontiers", FRONTIERS, "if path[a] & never[a]:", "if path[a]:"),
    Mutant("frontiers", FRONTIERS, "self.transfers = hw.transfers_add_up", "self.transfers = hw.serial"),
    Mutant("ideals", BLOCKS, "paid = 0.0 if kind.free_transfers else 1.0", "paid = 1.0"),
    Mutant(
        "ideals",
        BLOCKS,
        "return receive, np.maximum(self.cut[end] - self.passing_load - through, 0.0)",
        "return receive, np.maximum(self.cut[end], 0.0)",
    ),
    Mutant(
        "ideals", BLOCKS, "(self.shared_users[end] > self.shared_users[begin]) @", "(self.shared_users[end] > -1) @"
    ),
    Mutant("forced relays", FORCED, "near[instance.replicable] = 0", "near[instance.replicable] = 1"),
    Mutant("forced relays", FORCED, "(ways == 0) & ~self.exempt[rows]", "(ways >= 0) & ~self.exempt[rows]"),
    Mutant("chains round a ring", PATH, "if layers.value * ", "if layers.value * 2 * "),
    Mutant(
        "stretches",
        STRETCHES,
        "self.instance.chips * threshold * (1 +",
        "self.instance.chips * 0.5 * threshold * (1 +",
    ),
    Mutant("crowds", CROWDS, "return max(0, few * (self.chips * most - self.size) // (most - few) + 1)", "return 0"),
    Mutant("crowds", CROWDS, "count = -(-size // chips)", "count = 1 - (-size // chips)"),
    Mutant(
        "memory cuts",
        CUTS,
        "if not self._impossible(on, off, relays):",
        "if relays and not self._impossible(on, off, relays):",
    ),
    Mutant("feasibility", COUNTING, "total > package * ", "total > 0.5 * package * "),
]
