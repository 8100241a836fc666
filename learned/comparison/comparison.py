"""Methods compared on one graph and package: the same repair, the same number of samples, several seeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import delayed

from learned.comparison.methods import (
    annealing,
    balanced_random_search,
    greedy,
    random_search,
    slicing,
)
from learned.policy.policy import Policy
from learned.policy.rollouts import Environment, draw
from learned.training.explore import Method, policy_search
from learned.training.ppo import Settings
from partition.amounts import time_text
from partition.arguments import MOST_INPUTS, MOST_PROCESSES, whole
from partition.arrays import FloatArray
from partition.errors import InvalidInput
from partition.instance.contract import contract
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.processes import side_by_side
from partition.results.result import Result
from partition.scoring.rules import violated
from partition.text import meant, printable

SLICED = "-sliced"
"""Ends the names of methods that also cut anew the orders that their best placements stand for."""

_POLICIES = ("scratch", "zero-shot", "fine-tuned")

METHODS = (
    "random", "balanced", "annealing", "greedy", "slicing", *_POLICIES, *(name + SLICED for name in _POLICIES),
)  # fmt: skip
"""Names of the methods that can be compared."""

TRAINED = tuple(name for name in METHODS if name.startswith(_POLICIES[1:]))
"""Those that need a trained policy."""

RAW = 1000
"""Raw samples of which the share is counted that keep the rules without any repair."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One run of one method.

    Attributes
    ----------
    best : (samples,) least period so far after each sample, infinite while there is none.
    seconds : (samples,) when its batch was finished.
    """

    best: FloatArray
    seconds: FloatArray


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """Curves of several methods and seeds.

    Attributes
    ----------
    name : of model and package.
    samples : of every run.
    unit : the trivial bound, s.
    curves : method -> one curve per seed.
    reference : the solver's answer, or None.
    raw_valid : method -> share of raw samples that keep all rules without repair.
    time_unit : of periods.
    interrupted : whether Ctrl-C ended it, with the runs that were finished by then.
    """

    name: str
    samples: int
    unit: float
    curves: Mapping[str, tuple[Curve, ...]]
    reference: Result | None
    raw_valid: Mapping[str, float]
    time_unit: str = "s"
    interrupted: bool = False

    def final(self, method: str) -> FloatArray:
        """(seeds,) best period of every run."""
        return np.array([curve.best[-1] for curve in self.curves[method]])

    def median(self, method: str) -> float:
        """Median over the seeds of the best period."""
        return float(np.median(self.final(method)))

    @property
    def bound(self) -> float:
        """What no period can be below: the solver's bound, or the trivial one."""
        return self.unit if self.reference is None else self.reference.bound

    def samples_to(self, method: str, period: float) -> list[int | None]:
        """For every seed, samples until a period was reached; None where it was not."""
        hits = [np.flatnonzero(curve.best <= period * (1 + 1e-9)) for curve in self.curves[method]]
        return [int(hit[0]) + 1 if len(hit) else None for hit in hits]

    def seconds_to(self, method: str, period: float) -> list[float | None]:
        """For every seed, seconds until a period was reached; None where it was not."""
        reached = zip(self.curves[method], self.samples_to(method, period), strict=True)
        return [None if hit is None else float(curve.seconds[hit - 1]) for curve, hit in reached]

    def rows(self) -> list[dict[str, Any]]:
        """One per method: medians over the seeds, and their spread."""
        random = self.median("random") if "random" in self.curves else None
        result = []
        for method, curves in self.curves.items():
            final, median = self.final(method), self.median(method)
            result.append(
                {
                    "method": method,
                    "period": _finite(median),
                    "least": _finite(float(final.min())),
                    "largest": _finite(float(final.max())),
                    "above_bound": _finite(median / self.bound - 1.0),
                    "throughput_to_random": None if random is None else _finite(random / median),
                    "seconds": float(np.median([curve.seconds[-1] for curve in curves])),
                    "raw_valid": self.raw_valid.get(method),
                }
            )
        return result

    def to_dict(self) -> dict[str, Any]:
        """Everything for JSON: rows, and curves at 1, 2, 5, 10, 20, 50, ... samples; None where there is no period."""
        marks = sample_marks(self.samples)
        return {
            "name": self.name,
            "samples": self.samples,
            "interrupted": self.interrupted,
            "bound": self.bound,
            "proved_period": None if self.reference is None else _finite(self.reference.period),
            "gap_of_proof": None if self.reference is None else _finite(self.reference.gap),
            "methods": self.rows(),
            "marks": marks,
            "curves": {
                method: [
                    {
                        "period": [_finite(float(c.best[m - 1])) for m in marks],
                        "seconds": [float(c.seconds[m - 1]) for m in marks],
                    }
                    for c in curves
                ]
                for method, curves in self.curves.items()
            },
        }

    def to_table(self) -> str:
        """As plain text."""
        proof = (
            "trivial bound" if self.reference is None else f"bound proved by the solver, gap {self.reference.gap:.2%}"
        )
        lines = [
            f"{self.name}: {self.samples} samples, {len(next(iter(self.curves.values())))} seeds; {proof}",
            f"{'method':<18}{'median period':>15}{'above bound':>13}{'spread':>17}{'to random':>11}{'seconds':>9}",
        ]
        for row in self.rows():
            spread = f"{_share(row['least'], self.bound)}..{_share(row['largest'], self.bound)}"
            period = time_text(row["period"], self.time_unit)
            lines.append(
                f"{row['method']:<18}{period:>15}{_shown(row['above_bound'], '.2%'):>13}"
                f"{spread:>17}{_shown(row['throughput_to_random'], '.2f', 'x'):>11}{row['seconds']:>9.1f}"
            )
        for method, share in self.raw_valid.items():
            lines.append(f"without the repair, {share:.2%} of {RAW} samples of {method} keep the rules")
        return "\n".join(map(printable, lines))


def sample_marks(samples: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... and the last."""
    marks = [m * 10**e for e in range(12) for m in (1, 2, 5) if m * 10**e < samples]
    return [*marks, samples]


@dataclass(frozen=True)
class Trial:
    """What is run: every method with every seed.

    Attributes
    ----------
    samples : of every run; methods that need fewer (greedy, slicing) are carried on flat.
    seeds : one run of each method for each.
    methods : some of ``METHODS``; those that need a policy are left out where there is none.
    jobs : processes; the result does not depend on it, but for seconds.

    Raises
    ------
    InvalidInput : no samples, no seeds, or an unknown method.
    """

    samples: int
    seeds: Sequence[int] = (0,)
    methods: Sequence[str] = METHODS
    jobs: int = 1

    def __post_init__(self) -> None:
        whole("samples", self.samples, least=1, most=MOST_INPUTS)
        whole("the number of seeds", len(self.seeds), least=1)
        whole("jobs", self.jobs, least=1, most=MOST_PROCESSES)
        for seed in self.seeds:
            whole("a seed", seed)
        for method in self.methods:
            if method not in METHODS:
                raise InvalidInput(
                    f"unknown method {method!r}{meant(method, METHODS)}; choose from {', '.join(METHODS)}"
                )

    def methods_with(self, policy: Policy | None) -> list[str]:
        """The methods that can be run.

        Raises
        ------
        InvalidInput : each of them needs a policy, and there is none.
        """
        found = [method for method in self.methods if policy is not None or method not in TRAINED]
        if not found:
            raise InvalidInput(f"{', '.join(self.methods)}: without a policy there is nothing to run; give one")
        return found


def compare(
    graph: Graph,
    hardware: Hardware,
    trial: Trial,
    *,
    policy: Policy | None = None,
    settings: Settings | None = None,
    reference: Result | None = None,
    on_run: Callable[[str], None] | None = None,
) -> MethodComparison:
    """Run every method with every seed.

    Parameters
    ----------
    settings : of the policy methods.
    reference : the solver's answer, to hold them against.
    on_run : told in a sentence how far the runs are.

    Raises
    ------
    InvalidInput : every method needs a policy, and there is none.
    KeyboardInterrupt : before any run was finished. Afterwards the runs that are finished are the answer.
    """
    samples = trial.samples
    chosen = trial.methods_with(policy)
    settings = settings or Settings(rounds=4)
    runs = [(method, seed) for method in chosen for seed in trial.seeds]
    if on_run is not None:
        on_run(f"{len(runs)} runs of {samples} samples")
    curves: list[Curve] = []
    calls = (delayed(_run)(graph, hardware, method, policy, settings, samples, seed) for method, seed in runs)
    try:
        for curve in side_by_side(calls, trial.jobs):
            curves.append(curve)
            if on_run is not None:
                method, seed = runs[len(curves) - 1]
                on_run(f"{len(curves)} of {len(runs)} done: {method}, seed {seed}, {curve.seconds[-1]:.1f} s")
    except KeyboardInterrupt:
        if not curves:
            raise
    interrupted = len(curves) < len(runs)
    found = list(zip(runs, curves, strict=False))
    chosen = list(dict.fromkeys(method for (method, _), _ in found))
    by_method = {m: tuple(c for (n, _), c in found if n == m) for m in chosen}
    return MethodComparison(
        name=f"{graph.name} on {hardware.name}",
        samples=samples,
        unit=contract(graph, hardware).unit,
        curves=by_method,
        reference=reference,
        raw_valid={} if interrupted else _raw_validity(graph, hardware, policy, chosen),
        time_unit=hardware.time_unit,
        interrupted=interrupted,
    )


def _run(
    graph: Graph, hardware: Hardware, method: str, policy: Policy | None, settings: Settings, samples: int, seed: int
) -> Curve:
    """A curve from an environment of its own; building it counts."""
    begun = time.perf_counter()
    environment, sliced = Environment(graph, hardware), method.endswith(SLICED)
    searches: dict[str, Callable[[], Method]] = {
        "random": lambda: random_search,
        "balanced": lambda: balanced_random_search,
        "annealing": lambda: annealing,
        "greedy": lambda: greedy,
        "slicing": lambda: slicing,
        "scratch": lambda: policy_search(_untrained(environment, seed), settings, learn=True, sliced=sliced),
        "zero-shot": lambda: policy_search(_given(policy), settings, learn=False, sliced=sliced),
        "fine-tuned": lambda: policy_search(
            _given(policy), replace(settings, rate=FINE_TUNING_RATE), learn=True, sliced=sliced
        ),
    }
    periods, seconds = [], []
    for batch in searches[method.removesuffix(SLICED)]()(environment, samples, np.random.default_rng(seed)):
        periods.append(batch)
        seconds.append(np.full(len(batch), time.perf_counter() - begun))
    found, when = np.concatenate(periods)[:samples], np.concatenate(seconds)[:samples]
    best = np.minimum.accumulate(found)
    more = samples - len(best)
    return Curve(np.pad(best, (0, more), mode="edge"), np.pad(when, (0, more), mode="edge"))


FINE_TUNING_RATE = 1e-3
"""Learning rate of fine-tuning on one graph."""


def _untrained(environment: Environment, seed: int) -> Policy:
    return Policy.new([environment.features], np.random.default_rng((seed, 1)))


def _given(policy: Policy | None) -> Policy:
    assert policy is not None
    return policy


def _raw_validity(graph: Graph, hardware: Hardware, policy: Policy | None, methods: Sequence[str]) -> dict[str, float]:
    """Share of samples, every node drawn on its own, that keep all rules as they are or with relays alone."""
    environment = Environment(graph, hardware)
    tables = {}
    if "random" in methods:
        tables["random"] = np.ones((environment.instance.nodes, environment.instance.chips))
    if "zero-shot" in methods and policy is not None:
        features = environment.features
        tables["zero-shot"] = policy.propose(features, features.unseen(1), None).probabilities()[0]
    shares = {}
    rules = replace(hardware.rules, triangle=hardware.rules.triangle and not environment.repair.by_relays)
    for method, table in tables.items():
        chips = draw(table, RAW, np.random.default_rng(0))[:, environment.instance.node_of]
        broken = violated(graph, hardware, chips, rules=rules)
        shares[method] = float(1.0 - np.any(np.stack(list(broken.values())), axis=0).mean())
    return shares


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _shown(value: float | None, form: str, unit: str = "") -> str:
    return "none" if value is None else f"{value:{form}}{unit}"


def _share(period: float | None, bound: float) -> str:
    return "none" if period is None else f"{period / bound - 1.0:.1%}"
