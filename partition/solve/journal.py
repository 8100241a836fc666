"""What a search knows, written down while it runs, so that it outlives its process; and a way to end it from outside.

A journal is a JSON file that is replaced whenever something better is known. It lies in a folder that the members of a
portfolio share; a member on another machine, where that folder does not exist, keeps none.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from milp import budget
from milp.search.kind_orders import OrdersProgress
from milp.tolerances import ROUNDING
from partition.errors import PartitionError
from partition.files import write_atomically
from partition.problem.placement import Placement
from partition.results.result import Result
from partition.scoring.cost import evaluate_placement
from partition.scoring.goals import reached_by
from partition.scoring.rules import check
from partition.solve.question import Question
from partition.stopping import Stop

END = "end"
"""File whose appearance ends the searches that keep a journal in its folder."""


class Journal:
    """Looks at a search from a thread of its own; a context manager."""

    def __init__(self, folder: Path, number: int, stop: Stop, parent: int) -> None:
        self.folder, self.path, self.stop = folder, folder / f"{number}.json", stop
        self._child, self._above = os.getpid() != parent, os.getppid()
        self._outcome: OrdersProgress | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="journal")

    def __enter__(self) -> Journal:
        if self.folder.is_dir():
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def watch(self, outcome: OrdersProgress) -> None:
        """Keep the journal of this search from now on."""
        self._outcome = outcome

    def _look(self) -> None:
        written: tuple[float, float] | None = None
        while not self._over.wait(budget.JOURNAL):
            orphan = self._child and os.getppid() != self._above
            if orphan or not self.folder.is_dir() or (self.folder / END).exists():
                self.stop.flag.set()
                if orphan:  # the parent was killed and could not tidy up
                    shutil.rmtree(self.folder, ignore_errors=True)
                return
            if self._outcome is None:
                continue
            known = self._outcome.incumbent.period, self._outcome.bound
            if known != written:
                # Without the memory or the room to write, the last entry has to do.
                with contextlib.suppress(PartitionError, MemoryError):
                    write_atomically(self.path, json.dumps(_entry(self._outcome)))
                    written = known


def _entry(outcome: OrdersProgress) -> dict[str, Any]:
    incumbent = outcome.incumbent
    placement, hardware = incumbent.placement, incumbent.hardware
    return {
        "period": None if placement is None else incumbent.period,
        "bound": outcome.bound,
        "kind_of_chip": list(hardware.kind_of_chip),
        "positions": list(hardware.positions),
        "assignment": None if placement is None else placement.assignment.tolist(),
        "replicas": [] if placement is None else placement.replicas.tolist(),
        "relays": [] if placement is None else placement.relays.tolist(),
    }


def best_known(folder: Path) -> tuple[float, float]:
    """Least period, infinite while there is none, and largest bound in the journals of a folder."""
    entries = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError, ValueError):  # replaced or removed at this moment
            entries.append(json.loads(path.read_text()))
    periods = [entry["period"] for entry in entries if entry["period"] is not None]
    return min(periods, default=math.inf), max((entry["bound"] for entry in entries), default=0.0)


def read_journals(paths: list[Path], question: Question, stop: Stop) -> list[Result]:
    """The answers in those journals that are there, each with the best bound in any of them; checked like any other."""
    entries = [json.loads(path.read_text()) for path in paths if path.exists()]
    found = [_result(question, entry, 0.0, stop) for entry in entries if entry["assignment"] is not None]
    best = min((result.period for result in found if result is not None), default=math.inf)
    honest = [entry["bound"] for entry in entries if entry["bound"] <= best * (1 + ROUNDING)]
    bound = max(honest, default=0.0)  # of what no placement refutes
    found = [_result(question, entry, bound, stop) for entry in entries if entry["assignment"] is not None]
    return [result for result in found if result is not None]


def _result(question: Question, entry: dict[str, Any], bound: float, stop: Stop) -> Result | None:
    pairs = [np.array(entry[name], dtype=np.int64).reshape(-1, 2) for name in ("replicas", "relays")]
    placement = Placement(np.array(entry["assignment"], dtype=np.int64), *pairs)
    order, positions = tuple(entry["kind_of_chip"]), tuple(entry["positions"])
    hardware = replace(question.hardware, kind_of_chip=order, positions=positions)
    cost = evaluate_placement(question.graph, hardware, placement)
    period = float(cost.period[0])
    if check(question.graph, hardware, placement) or period > question.allowed:
        return None
    reached = reached_by(placement, cost, question.goals[0], bound if question.on_period else 0.0)
    return Result(
        graph=question.graph,
        hardware=hardware,
        placement=placement,
        status="feasible",
        period=period,
        bound=min(bound, period),
        seconds=stop.elapsed,
        seed=question.seed,
        cost=cost,
        goals=(reached,),
    )
