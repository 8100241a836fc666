"""The solver against brute force on thousands of small random instances: optimum, bound and infeasibility.

    python benchmarks/brute_force.py --instances 5000
    python benchmarks/brute_force.py --instances 5000 --milp-only      # no seeds, no ideals: the MILP alone
    python benchmarks/brute_force.py --instances 3000 --adversarial    # made to break proofs (tests/adversarial.py)
    python benchmarks/brute_force.py --instances 3000 --goals          # other goals, alone and in a row
    python benchmarks/brute_force.py --instances 1000 --confirm        # and the second solver against both
    python benchmarks/brute_force.py --instances 20000 --most 5 3      # few operations and chips, quick ones

Questions are drawn by tests/questions.py, every feature on its own. Brute force is tests/exhaustive.py, which shares no
code with the library; every answer also passes tests/oracle.py.
Prints how many instances of every combination of rules and transfers were compared, and every disagreement with its
seed; then it exits with 1.
"""

from __future__ import annotations

import collections
import json
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import checked
import click
import numpy as np
from adversarial import FAMILIES
from checked import as_given
from exhaustive import brute_force
from questions import RULES, draw, with_goals
from searching import solve_by, without

from milp.state.names import Doing
from partition import Graph, Hardware, InvalidInput, NoSolutionInTime, RefutedBound, partition
from partition.scoring.goals import parse_goals

TRIALS = 20_000
"""Partial placements beyond which an instance is too large for brute force."""

GAP = 1e-4

LIMIT, ROUTED = 60.0, 3.0
"""Seconds for a solve; with routes, where no bound over positions closes the gap."""

MILP_ALONE = without(Doing.SEEDS, Doing.FEW_IDEALS, Doing.IDEALS)
"""The search without seeds and ideals."""


@dataclass(frozen=True)
class Campaign:
    """What to draw and what to ask."""

    adversarial: bool
    goals: bool
    confirm: bool
    milp_only: bool = False
    most: tuple[int, int] = (7, 4)
    """Operations, cheap ones aside, and chips."""

    def draw(self, seed: int) -> tuple[dict[str, Any], Graph, Hardware, str, float | None]:
        """The problem as the oracle reads it, with its wishes, graph, hardware, objective, required throughput."""
        rng = np.random.default_rng(seed)
        if self.adversarial:
            graph, hardware = list(FAMILIES.values())[seed % len(FAMILIES)](rng)
            return as_given(graph, hardware), graph, hardware, "period", None
        pinned = {"wishes": "none"} if self.milp_only or self.confirm else {}
        question = draw(rng, n=(1, self.most[0]), chips=(1, self.most[1]), **pinned)
        question = with_goals(rng, question) if self.goals else question
        return question.problem, *question.read(), question.objective, question.throughput

    def compare(self, seed: int) -> str | None:
        """The combination the instance belongs to, None if it cannot be judged; AssertionError on a disagreement."""
        problem, graph, hardware, objective, throughput = self.draw(seed)
        try:
            goals = tuple(parse_goals(objective, graph, hardware))
            best, _ = brute_force(problem, limit=TRIALS)
        except (InvalidInput, OverflowError):
            return None
        if throughput is not None and best:
            throughput /= best
        limit = ROUTED if hardware.routed else LIMIT
        try:
            if self.milp_only:
                result = solve_by(MILP_ALONE, graph, hardware, time_limit=limit, goals=goals, throughput=throughput)
            else:
                result = partition(
                    graph, hardware, time_limit=limit, objective=objective, throughput=throughput, confirm=self.confirm,
                    **problem["wishes"],
                )  # fmt: skip
        except NoSolutionInTime:
            assert hardware.routed or graph.least is not None, "no answer in time"
            return None
        answer = json.loads(result.to_json())
        checked.judge(graph, hardware, result, throughput=throughput, wishes=problem["wishes"])
        checked.agree(answer, best, throughput=throughput)
        if self.confirm:
            assert answer["confirmation"]["verdict"] != "refuted", answer["confirmation"]
        if answer["status"] != "infeasible":
            self._compare_goals(problem, hardware, answer, throughput)
        return _combination(graph, hardware, objective)

    def _compare_goals(
        self, problem: dict[str, Any], hardware: Hardware, answer: dict[str, Any], throughput: float | None
    ) -> None:
        fixed = hardware.identical_chips or hardware.kind_order == "fixed"
        closable = not hardware.routed and (fixed or not self.goals)
        assert answer["status"] == "optimal" or not closable, answer["status"]
        limits = {} if throughput is None else {"period": (1 + 1e-9) / throughput}
        for row in answer["goals"]:
            least, _ = brute_force(problem, goal=row["goal"], limits=limits)
            assert least is not None, f"no placement within {limits}"
            said = f"{row['goal']}: {row['value']}, bound {row['bound']}, brute force {least}"
            assert row["bound"] <= least * (1 + 1e-9), said
            assert row["value"] >= least * (1 - 3e-8), said
            assert answer["status"] != "optimal" or row["value"] <= least * (1 + 1.01 * GAP), said
            limits[row["goal"]] = row["value"] * (1 + 1e-9)


def _combination(graph: Graph, hardware: Hardware, objective: str) -> str:
    on = "+".join(name for name in RULES if getattr(hardware.rules, name)) or "none"
    kind = "training" if graph.backward.any() else "inference"
    kind += " scheduled" if hardware.rules.dynamic_memory else ""
    kind += "" if hardware.identical_chips else f" {hardware.kind_order} kinds"
    kind += "" if objective == "period" else f" {objective}"
    return f"{hardware.interconnect.topology:<8} {hardware.interconnect.transfers:<10} {kind:<21} {on}"


@click.command()
@click.option("--instances", default=2000, show_default=True)
@click.option("--first-seed", default=100_000, show_default=True)
@click.option("--milp-only", is_flag=True, help="Switch off the seeds and the ideals.")
@click.option("--adversarial", is_flag=True, help="Units far apart, ties, exact fits, every interconnect.")
@click.option("--goals", is_flag=True, help="Other goals than the period, alone and in lexicographic order.")
@click.option("--confirm", is_flag=True, help="Ask the second solver as well.")
@click.option("--most", nargs=2, default=(7, 4), show_default=True, help="Operations and chips at most.")
@click.option("--seconds", default=float("inf"), help="Stop after this long.")
@click.option("--brief", is_flag=True, help="The totals alone.")
@click.option("--json", "as_json", is_flag=True)
def main(
    instances: int,
    first_seed: int,
    milp_only: bool,
    adversarial: bool,
    goals: bool,
    confirm: bool,
    most: tuple[int, int],
    seconds: float,
    brief: bool,
    as_json: bool,
) -> None:
    """Compare and count."""
    campaign = Campaign(adversarial, goals, confirm, milp_only, most)
    counts: collections.Counter[str] = collections.Counter()
    skipped, failed, begun, seed = 0, 0, time.perf_counter(), first_seed
    for seed in range(first_seed, first_seed + instances):
        if time.perf_counter() - begun > seconds:
            instances = seed - first_seed
            break
        try:
            combination = campaign.compare(seed)
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
            failed += 1
            continue
        skipped += combination is None
        if combination is not None:
            counts[combination] += 1
    agreed = sum(counts.values())
    if as_json:
        print(json.dumps({"agree": agreed, "disagree": failed, "skipped": skipped, "combinations": dict(counts)}))
    else:
        for combination, count in sorted(counts.items() if not brief else ()):
            print(f"{count:5d}  {combination}")
        print(
            f"{agreed} instances agree, {failed} disagree, {skipped} that cannot be judged, "
            f"{len(counts)} combinations, {time.perf_counter() - begun:.0f} s"
        )
    sys.exit(failed > 0)


if __name__ == "__main__":
    warnings.simplefilter("error", RefutedBound)
    main()
