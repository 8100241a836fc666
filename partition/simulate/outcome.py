"""What a simulation tells."""

from __future__ import annotations

from dataclasses import dataclass

from partition.arrays import FloatArray


@dataclass(frozen=True)
class Span:
    """A stretch of time in which something was busy.

    Attributes
    ----------
    where : ``("chip", 3)``, ``("receive", 3)``, ``("send", 3)`` or ``("link", 5)``.
    what : ``compute`` or a tensor's name.
    input : which input of the stream. begin, end : in the hardware's time unit.
    """

    where: tuple[str, int]
    what: str
    input: int
    begin: float
    end: float


@dataclass(frozen=True, eq=False)
class Simulation:
    """A stream of inputs played out.

    Attributes
    ----------
    predicted : the cost model's period. period : mean time between inputs that leave, in the second half of the stream.
    latencies : (inputs,) from the moment an input's first task or transfer begins to the end of its last.
    chip_busy, link_busy : (C,), (L,) share of the second half's time that chips (compute) and links were busy.
    buffers : inputs for which a chip can hold a tensor it receives or sends.
    spans : what happened, if recorded.
    """

    predicted: float
    period: float
    latencies: FloatArray
    chip_busy: FloatArray
    link_busy: FloatArray
    inputs: int
    buffers: float
    time_unit: str
    spans: tuple[Span, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Simulation of {self.inputs} inputs: period {self.period:.6g} {self.time_unit}, {100 * self.error:+.2f}% "
            f"from the prediction, {len(self.spans)} spans>"
        )

    @property
    def error(self) -> float:
        """(simulated - predicted) / predicted period."""
        return (self.period - self.predicted) / self.predicted if self.predicted > 0 else 0.0
