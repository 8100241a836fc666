"""What one chip does: the operations that it runs, the tensors that it receives and sends, and how long each takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from partition.amounts import bytes_text, percent_text, time_text
from partition.arguments import whole
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.results.wall import Activity, WallPart
from partition.scoring.breakdown import Breakdown, Parts
from partition.scoring.cost import Cost

SHOWN = 8
"""Operations, and tensors of either direction, that the text shows one by one."""


@dataclass(frozen=True)
class ChipPart(WallPart):
    """One operation, or one tensor, of a chip.

    Attributes
    ----------
    kind : of an operation, empty for a tensor.
    bytes : of a tensor, 0 for an operation.
    """

    kind: str
    bytes: float


@dataclass(frozen=True)
class ChipLoad:
    """One chip of a placement; times in the hardware's time unit.

    Attributes
    ----------
    load : by which the chip bounds the period.
    share : of the period.
    idle : what is left of the period.
    compute, stream, receive, send : what the load is made of: the longest of them where transfers are overlapped,
        their sum where they are serial.
    parts : what takes time there, the longest first.
    """

    chip: int
    load: float
    share: float
    idle: float
    compute: float
    stream: float
    receive: float
    send: float
    parts: tuple[ChipPart, ...]
    time_unit: str

    @staticmethod
    def of(problem: Problem, placement: Placement, cost: Cost, chip: int) -> ChipLoad:
        """Of a placement and its cost, a batch of one.

        Raises
        ------
        InvalidInput : the package has no such chip.
        """
        whole("the chip", chip, most=problem.hardware.chips - 1)
        period, load = float(cost.period[0]), float(cost.load[0, chip])
        compute, stream, receive, send = (
            float(x[0, chip]) for x in (cost.compute, cost.stream, cost.receive, cost.send)
        )
        parts = sorted(_parts(Breakdown(problem, placement), chip), key=lambda part: -part.time)
        share, unit = load / period if period > 0 else 0.0, problem.hardware.time_unit
        return ChipLoad(chip, load, share, period - load, compute, stream, receive, send, tuple(parts), unit)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def to_table(self) -> str:
        """Plain text for 80 columns: the load in words, then what it is made of."""
        words = [("computes", self.compute), ("streams", self.stream), ("receives", self.receive), ("sends", self.send)]
        did = ", ".join(f"{doing} {self._time(time)}" for doing, time in words if time > 0)
        idle = "as much as any" if self._time(self.idle) == "0" else f"{self._time(self.idle)} below it"
        lines = [f"chip {self.chip}: load {self._time(self.load)}, {percent_text(self.share)} of the period, {idle}"]
        lines += [f"  it {did or 'does nothing that takes time'}"]
        for doing in ("computes", "receives", "sends"):
            lines += self._rows(doing)
        return "\n".join(lines)

    def _rows(self, doing: Activity) -> Iterator[str]:
        """The longest parts of one activity, a line each, and what is left of them."""
        parts = [part for part in self.parts if part.doing == doing]
        for part in parts[:SHOWN]:
            told = part.name if part.kind.lower() in part.name.lower() else f"{part.name} ({part.kind})"
            size = f", {bytes_text(part.bytes)}" if part.bytes else ""
            yield f"  {doing:<8} {self._time(part.time):>10}  {told}{size}"
        rest = parts[SHOWN:]
        if rest:
            yield f"  {doing:<8} {self._time(sum(part.time for part in rest)):>10}  {len(rest)} more"

    def _time(self, value: float) -> str:
        return time_text(value, self.time_unit, least=1e-9 * (self.load + max(self.idle, 0.0)))


def _parts(loads: Breakdown, chip: int) -> Iterator[ChipPart]:
    """Every operation and tensor that takes time on a chip, in no order."""
    graph = loads.problem.graph
    for v, time in zip(*_rows_of(loads.compute(chip)), strict=True):
        yield ChipPart("computes", graph.names[v], time, graph.op_types[v], 0.0)
    moved: tuple[tuple[Activity, Parts], ...] = (("receives", loads.receive(chip)), ("sends", loads.send(chip)))
    for doing, tensors in moved:
        for t, time in zip(*_rows_of(tensors), strict=True):
            yield ChipPart(doing, graph.tensor_names[t], time, "", float(graph.tensor_bytes[t]))


def _rows_of(parts: Parts) -> tuple[list[int], list[float]]:
    taking = parts.times > 0
    return parts.rows[taking].tolist(), parts.times[taking].tolist()
