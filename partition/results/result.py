"""What a solve returns: the placement, the proof, the loads; as JSON, as a table, as one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any, ClassVar, Literal

import numpy as np

from partition.amounts import bytes_text, gap_text, time_text
from partition.arguments import whole
from partition.arrays import FloatArray
from partition.errors import InvalidInput
from partition.files import write_atomically
from partition.heuristics.carried import Carried
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.problem.wishes import Wishes
from partition.readers.several import rates_of
from partition.results.advice import advice
from partition.results.batch import Batch, batch_of, steady_bubbles
from partition.results.chip_load import ChipLoad
from partition.results.confirmation import Confirmation
from partition.results.contradiction import Contradiction
from partition.results.guesses import Guesses, find_guesses
from partition.results.progress import ROUNDING, Progress
from partition.results.proof_steps import ProofStep
from partition.results.shards import Shards
from partition.results.table import table_of
from partition.results.wall import Wall, wall_of
from partition.results.why import Why
from partition.scoring.cost import Cost
from partition.scoring.goals import UNITS, Reached
from partition.scoring.schedules import WorkModel, schedule
from partition.text import printable

Status = Literal["optimal", "feasible", "infeasible"]


@dataclass(frozen=True)
class ChipSchedule:
    """The order in which a chip runs its operations.

    Attributes
    ----------
    order : names of the operations.
    peak : bytes of weights, transfer buffers and live tensors at the worst moment.
    """

    chip: int
    order: tuple[str, ...]
    peak: float


@dataclass(frozen=True, eq=False)
class Result:
    """The answer to ``partition(graph, hardware)``.

    Attributes
    ----------
    graph, hardware : the question; where the order of the chips' kinds was free, the hardware has the order chosen.
    placement : the best placement found; None if infeasible.
    status : ``optimal`` (gap reached), ``feasible`` (time was up first) or ``infeasible`` (proved).
    period, bound : in the hardware's time unit, whatever the goals; infinite if infeasible.
    seconds : of the call.
    seed : of every random choice.
    history : each better period or bound, in order.
    cost : cost of the placement, a batch of one.
    reason : why it is infeasible: the rule and the operations; otherwise empty.
    interrupted : the search was stopped by the user.
    goals : what was reached for each goal asked for, in order, with its bound; ``optimal`` speaks of all of them.
    confirmation : the second solver's opinion, if it was asked for.
    work : units of work done where work was limited, otherwise None.
    faults : what went wrong on the way without harm to the answer and its bound, a sentence each.
    shards : the operations in parts, where that was asked for; ``graph`` is then the graph with parts.
    proof : what proved the bound: a claim for all orders of the kinds, or one for each; empty where none was kept.
    why : why no period is shorter, in words; None without a placement, or where another goal comes first.
    period_limit : the largest period that was allowed.
    start : where operations were in the placement that the search started from, or None.
    inputs : of a batch that the answer shall tell the time of, or None.
    wishes : what was wished of the placement, or None.
    wishes_kept : kind of wish -> how many the placement keeps; empty without a placement.
    contradiction : where no placement keeps all of that, why not.
    """

    graph: Graph
    hardware: Hardware
    placement: Placement | None
    status: Status
    period: float
    bound: float
    seconds: float
    seed: int
    history: tuple[Progress, ...] = ()
    cost: Cost | None = field(default=None, repr=False)
    reason: str = ""
    interrupted: bool = False
    goals: tuple[Reached, ...] = ()
    confirmation: Confirmation | None = None
    work: float | None = None
    faults: tuple[str, ...] = ()
    shards: Shards | None = None
    proof: tuple[ProofStep, ...] = field(default=(), repr=False)
    inputs: int | None = None
    start: Carried | None = None
    wishes: Wishes | None = None
    wishes_kept: Mapping[str, int] = field(default_factory=dict)
    contradiction: Contradiction | None = None
    why: Why | None = None
    period_limit: float = float("inf")

    from_json: ClassVar[Callable[..., Result]]
    # What to_json wrote, see partition.results.saved, which binds it.

    to_html: ClassVar[Callable[..., str]]
    # A page about the result, see partition.report, which binds it.

    _repr_html_: ClassVar[Callable[..., str]]
    # What Jupyter shows, see partition.report.notebook; bound likewise.

    @staticmethod
    def infeasible(
        graph: Graph,
        hardware: Hardware,
        *,
        reason: str,
        seconds: float,
        seed: int,
        history: tuple[Progress, ...] = (),
        proof: tuple[ProofStep, ...] = (),
    ) -> Result:
        """The result of a problem proved to have no valid placement."""
        return Result(
            graph, hardware, None, "infeasible", math.inf, math.inf, seconds, seed, history, reason=reason, proof=proof
        )

    @property
    def gap(self) -> float:
        """What the status speaks of: the largest gap of the goals, (period - bound) / period of the period alone.

        NaN if infeasible.
        """
        if self.placement is None:
            return math.nan
        if [r.goal for r in self.goals] not in ([], ["period"]):
            return max(r.gap for r in self.goals)
        return max(0.0, self.period - self.bound) / self.period if self.period > 0 else 0.0

    @cached_property
    def bubbles(self) -> float | None:
        """Share of the period in which the chips in use do not compute; None if infeasible."""
        return None if self.cost is None or self.placement is None else steady_bubbles(self.placement, self.cost)

    def batch(self, inputs: int) -> Batch:
        """Time and bubbles of a batch, with the pipeline empty before and behind it.

        Raises
        ------
        InvalidInput : ``inputs`` is no whole number from 1 up, or there is no placement.
        """
        whole("the batch", inputs, least=1)
        if self.cost is None or self.placement is None:
            raise InvalidInput(f"{self.graph.name!r} has no placement that a batch could run on")
        return batch_of(self.placement, self.cost, inputs)

    @cached_property
    def proofs(self) -> tuple[Progress, ...]:
        """The best bound of each phase of the search that proved a better one than all before it; the last one won."""
        best: dict[str, Progress] = {}
        bound = 0.0
        for entry in self.history:
            if entry.bound > bound:
                bound = entry.bound
                best.pop(entry.phase, None)
                best[entry.phase] = entry
        return tuple(best.values())

    @cached_property
    def problem(self) -> Problem:
        """The graph on the package, with what follows from them."""
        return Problem.of(self.graph, self.hardware)

    @cached_property
    def wall(self) -> Wall | None:
        """What holds the period, and what is next without it; None if infeasible."""
        if self.cost is None or self.placement is None:
            return None
        stages = None if self.wishes is None else self.wishes.max_stages
        return wall_of(self.problem, self.placement, self.cost, self._time, stages)

    @cached_property
    def advice(self) -> str:
        """What would make the model fit, where it does not; otherwise empty."""
        if self.placement is not None or self.contradiction is not None:
            return ""
        return advice(self.graph, self.hardware)

    @cached_property
    def guesses(self) -> Guesses | None:
        """Which operations have guessed costs or shapes, and their share of the time; None if none has."""
        return find_guesses(self.graph, self.hardware)

    @cached_property
    def link_loads(self) -> FloatArray:
        """(L,) time of each link, without what rounding alone leaves there; empty if infeasible."""
        load = np.zeros(0) if self.cost is None else self.cost.link[0]
        return np.where(load > ROUNDING * load.max(initial=0.0), load, 0.0)

    @property
    def throughput(self) -> float:
        """Inputs per time unit; 0 if infeasible, infinite for a period of 0."""
        return math.inf if self.period == 0 else 1.0 / self.period

    @property
    def throughputs(self) -> list[tuple[str, float]]:
        """Of several models with a common cycle, the period: each with its inputs per time unit; else empty."""
        return [(model, rate * self.throughput) for model, rate in rates_of(self.graph)]

    @cached_property
    def assignment(self) -> dict[str, int]:
        """Operation name -> home chip."""
        if self.placement is None:
            return {}
        return dict(zip(self.graph.names, self.placement.assignment.tolist(), strict=True))

    @cached_property
    def replicas(self) -> dict[str, list[int]]:
        """Operation name -> further chips that run it."""
        found: dict[str, list[int]] = {}
        for v, chip in self.placement.replicas.tolist() if self.placement is not None else []:
            found.setdefault(self.graph.names[v], []).append(chip)
        return found

    @cached_property
    def relays(self) -> list[tuple[str, int]]:
        """(tensor name, chip that forwards it)."""
        pairs = self.placement.relays.tolist() if self.placement is not None else []
        return [(self.graph.tensor_names[t], chip) for t, chip in pairs]

    @cached_property
    def schedules(self) -> tuple[ChipSchedule, ...]:
        """For every chip the order of its operations and the bytes held at once at most (docs/problem.md)."""
        if self.placement is None:
            return ()
        capacity = self.hardware.sram_bytes.tolist()
        found = []
        for c, work in enumerate(self.problem.kept(WorkModel).chips(self.placement)):
            best = schedule(work, capacity[c])
            names = tuple(self.graph.names[work.operations[i]] for i in best.order)
            found.append(ChipSchedule(c, names, best.peak))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """The command line's JSON object; numbers that do not exist are None."""
        return {
            "model": self.graph.name,
            "fingerprint": self.graph.fingerprint,
            "dims": dict(self.graph.dims),
            "hardware": self.hardware.name,
            "operations": self.graph.n,
            "chips": self.hardware.chips,
            "status": self.status,
            "goals": [{"goal": r.goal, "value": r.value, "bound": _finite(r.bound), "gap": r.gap} for r in self.goals],
            "period": _finite(self.period),
            "bound": _finite(self.bound),
            "gap": _finite(self.gap),
            "throughput": _finite(self.throughput) if self.placement is not None else None,
            "throughputs": [[model, _finite(value)] for model, value in self.throughputs],
            "seconds": self.seconds,
            "work": self.work,
            "seed": self.seed,
            "kinds": [self.hardware.kinds[k].name for k in self.hardware.kind_of_chip],
            "positions": list(self.hardware.stage_positions) if self.hardware.routed else [],
            "assignment": self.assignment,
            "replicas": self.replicas,
            "relays": [list(pair) for pair in self.relays],
            "schedules": [
                {"chip": s.chip, "order": list(s.order), "peak": s.peak}
                for s in (self.schedules if self.hardware.rules.dynamic_memory else ())
            ],
            "guesses": None if self.guesses is None else self.guesses.to_dict(),
            "time_unit": self.hardware.time_unit,
            "interrupted": self.interrupted,
            "faults": list(self.faults),
            "reason": self.reason,
            "advice": self.advice,
            "shards": None if self.shards is None else self.shards.to_dict(),
            "start": None if self.start is None or self.placement is None else self.start.to_dict(self.placement),
            "bubbles": self.bubbles,
            "batch": None if self.inputs is None or self.cost is None else self.batch(self.inputs).to_dict(),
            "wishes": None if self.wishes is None else self.wishes.to_dict(),
            "wishes_kept": dict(self.wishes_kept),
            "contradiction": None if self.contradiction is None else self.contradiction.to_dict(),
            "wall": None if self.wall is None else self.wall.to_dict(),
            "why": None if self.why is None else self.why.to_dict(),
            "confirmation": None if self.confirmation is None else self.confirmation.to_dict(),
            **self._figures(),
            "proofs": [{"phase": p.phase, "bound": _finite(p.bound), "seconds": p.seconds} for p in self.proofs],
            "history": [
                {
                    "seconds": p.seconds,
                    "phase": p.phase,
                    "period": p.period,
                    "bound": _finite(p.bound),
                    "gap": p.gap,
                }
                for p in self.history
            ],
        }

    def _figures(self) -> dict[str, Any]:
        cost = self.cost
        if cost is None:
            return {"latency": None, "energy": None, "traffic": None, "per_chip": [], "per_link": []}
        names = ("compute", "stream", "receive", "send", "load", "sram")
        return {
            "latency": _finite(float(cost.latency[0])),
            "energy": _finite(float(cost.energy[0])),
            "traffic": _finite(float(cost.traffic[0])),
            "per_chip": [
                {"chip": c, **{name: float(getattr(cost, name)[0, c]) for name in names}}
                for c in range(self.hardware.chips)
            ],
            "per_link": self.link_loads.tolist(),
        }

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """:meth:`to_dict` as text, also written to ``path`` if given (atomically)."""
        text = json.dumps(self.to_dict(), allow_nan=False)
        if path is not None:
            write_atomically(path, text + "\n")
        return text

    def verdict(self) -> str:
        """The answer in one sentence."""
        what = f"{self.graph.name} on {self.hardware.name}"
        guessed = "" if self.guesses is None else f"; guessed: {self.guesses.sentence()}"
        opinion = f"; {self.confirmation.sentence(self.hardware.time_unit)}" if self.confirmation else ""
        if self.placement is None:
            return printable(f"{what}: infeasible, {self.reason}{guessed}{opinion}")
        proof = (
            f"proved optimal (gap {gap_text(self.gap)})"
            if self.status == "optimal"
            else f"at most {gap_text(self.gap)} above the best possible"
        )
        used = len(np.unique(self.placement.assignment))
        if [r.goal for r in self.goals] not in ([], ["period"]):
            proof = self._goals_in_words()
        return printable(
            f"{what}: period {self._time(self.period)}, {proof}; bound {self._time(self.bound)}; "
            f"{used} of {self.hardware.chips} chips, {self.graph.n} operations, {self.seconds:.2f} s"
            + guessed
            + (" (interrupted)" if self.interrupted else "")
            + (f" (troubled: {'; '.join(self.faults)})" if self.faults else "")
            + (f"; {self.shards.sentence(self._time)}" if self.shards is not None else "")
            + opinion
        )

    __str__ = verdict

    def __repr__(self) -> str:
        return f"<Result {self.verdict()}>"

    def _goals_in_words(self) -> str:
        words = []
        for r in self.goals:
            unit = "" if r.goal == "chips" else f" {UNITS[r.goal]}"  # it names itself
            shown = self._time(r.value) if r.goal in ("period", "latency") else f"{r.value:.6g}{unit}"
            shown = bytes_text(r.value) if r.goal == "traffic" else shown
            words.append(f"{r.goal} {shown} " + ("(least)" if r.gap <= 1e-4 else f"(gap {gap_text(r.gap)})"))
        return f"minimised {', then '.join(words)}"

    def chip(self, chip: int) -> ChipLoad:
        """What one chip does: its operations and tensors, and how long each takes.

        Raises
        ------
        InvalidInput : the package has no such chip, or there is no placement.
        """
        if self.placement is None or self.cost is None:
            raise InvalidInput("this answer is infeasible: there is no placement in it")
        return ChipLoad.of(self.problem, self.placement, self.cost, chip)

    def to_table(self, *, chips: Iterable[int] = ()) -> str:
        """A row per chip, what ``chips`` do, what was replicated or relayed, and the verdict, in 80 columns."""
        return table_of(self, chips)

    def _time(self, value: float) -> str:
        return time_text(value, self.hardware.time_unit, least=1e-9 * self.period if self.placement else 0.0)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
