"""What a simulation tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partition.arrays import FloatArray


@dataclass(frozen=True)
class Span:
    """A stretch of time in which something was busy.

    Attributes
    ----------
    where : ``("chip", 3)``, ``("receive", 3)``, ``("send", 3)`` or ``("link", 5)``.
    what : ``compute`` or a tensor's name.
    input : which input of the stream.
    begin, end : in the hardware's time unit.
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
    predicted : the cost model's period.
    period : time that the busiest chip, port or link takes per input while the pipeline is full; never below its load.
    latencies : (inputs,) from the moment an input's first task or transfer begins to the end of its last.
    latency_alone : the same of an input that has the package to itself.
    chip_busy, link_busy : (C,), (L,) share of the measured time that chips (compute) and links were busy.
    measured : first and last input of the measured stretch; warm-up and drain are outside.
    buffers : inputs for which a chip can hold a tensor it receives or sends.
    spans : what happened, if recorded.
    """

    predicted: float
    period: float
    latencies: FloatArray
    latency_alone: float
    chip_busy: FloatArray
    link_busy: FloatArray
    inputs: int
    measured: tuple[int, int]
    buffers: float
    time_unit: str
    spans: tuple[Span, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Simulation of {self.inputs} inputs: period {self.period:.6g} {self.time_unit}, {100 * self.error:+.2f}% "
            f"from the prediction, {len(self.spans)} spans>"
        )

    @property
    def waiting(self) -> float:
        """Median time that an input of the measured stretch spends waiting: its latency without that of one alone."""
        first, last = self.measured
        return max(0.0, float(np.median(self.latencies[first : last + 1])) - self.latency_alone)

    @property
    def error(self) -> float:
        """(simulated - predicted) / predicted period."""
        return (self.period - self.predicted) / self.predicted if self.predicted > 0 else 0.0
