"""What a run of a pipeline tells: measured figures beside the predicted ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.amounts import bytes_text, time_text
from partition.arrays import FloatArray, IntArray
from partition.problem.hardware_files import preset_of

BLOCKS = 10
"""Into which the measured stretch is cut to see how much the period varies."""


@dataclass(frozen=True, eq=False)
class StageFigures:
    """One stage over the measured stretch; all times in seconds, one entry per input.

    Attributes
    ----------
    chip, file, core : of the part, and the core it was pinned to.
    run : of onnxruntime on the part.
    cpu_run : CPU time of that.
    send : copying what it sends into shared memory.
    waiting : for tensors from other stages.
    blocked : for a free buffer of the stages behind.
    cpu : CPU time of everything.
    peak_bytes : largest memory of the process.
    predicted : the load that the cost model gives the chip, None if the parts do not say.
    """

    chip: int
    file: str
    core: int | None
    run: FloatArray
    cpu_run: FloatArray
    send: FloatArray
    waiting: FloatArray
    blocked: FloatArray
    cpu: FloatArray
    peak_bytes: int
    predicted: float | None

    @property
    def load(self) -> float:
        """Median seconds an input keeps the stage busy: all CPU time that it takes."""
        return float(np.median(self.cpu))


@dataclass(frozen=True, eq=False)
class PipelineRun:
    """A stream of inputs that went through the stages.

    Attributes
    ----------
    inputs : of the stream.
    first, last : inputs between which the period is measured: the pipeline was full when
        ``first`` left, and still fed when ``last`` did.
    leave : (inputs,) seconds when each input left the last stage, from the start of the first.
    latencies : (inputs,) seconds from a source beginning an input to the last stage being done with it.
    alone : seconds of single inputs that had the pipeline to themselves, one after the other.
    stages : in the order in which they run.
    predicted, bound, predicted_latency : the cost model's, in seconds; None if the parts do not say.
    predicted_for : name of the hardware that these are for.
    calibrated : whether a calibration of these cores is kept.
    overhead : seconds that a stage takes for every input besides operations and transfers, as calibrated.
    cores : that the stages ran on.
    buffers : slots of the deepest channel.
    optimised : whether onnxruntime fused operators.
    outputs : for the first inputs kept, tensor -> value.
    events : for a trace: (stage, what, input, begin, end) in seconds.
    """

    model: str
    inputs: int
    first: int
    last: int
    leave: FloatArray
    latencies: FloatArray
    alone: FloatArray
    stages: tuple[StageFigures, ...]
    predicted: float | None
    bound: float | None
    predicted_latency: float | None
    predicted_for: str
    calibrated: bool
    overhead: float
    cores: int
    buffers: int
    optimised: bool
    outputs: tuple[dict[str, NDArray[Any]], ...] = ()
    events: tuple[tuple[int, str, int, float, float], ...] = ()

    @property
    def period(self) -> float:
        """Mean seconds between inputs that leave, warm-up and drain apart."""
        return float(self.leave[self.last] - self.leave[self.first]) / (self.last - self.first)

    @property
    def throughput(self) -> float:
        """Inputs per second."""
        return 1.0 / self.period if self.period > 0 else float("inf")

    @property
    def period_spread(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the periods of ten blocks of the measured stretch."""
        edges = np.unique(np.linspace(self.first, self.last, BLOCKS + 1).astype(np.int64))
        blocks = np.diff(self.leave[edges]) / np.diff(edges)
        low, middle, high = np.quantile(blocks, [0.25, 0.5, 0.75])
        return float(low), float(middle), float(high)

    @property
    def undisturbed_period(self) -> float:
        """Seconds per input of the busiest core by CPU time: the period if nothing else ran on the cores."""
        cores: dict[int, float] = {}
        for s, stage in enumerate(self.stages):
            core = -1 - s if stage.core is None else stage.core
            cores[core] = cores.get(core, 0.0) + stage.load
        return max(cores.values())

    @property
    def error(self) -> float | None:
        """(expected - measured) / measured period."""
        return None if self.expected is None else (self.expected - self.period) / self.period

    @property
    def expected(self) -> float | None:
        """The predicted period with the overhead of the busiest stage; None if the parts do not say."""
        if self.predicted is None:
            return None
        return max([self.predicted, *(s.predicted + self.overhead for s in self.stages if s.predicted is not None)])

    @property
    def undisturbed_error(self) -> float | None:
        """(expected - measured) / measured, where what is measured is the CPU time of the busiest core."""
        return None if self.expected is None else (self.expected - self.undisturbed_period) / self.undisturbed_period

    def to_dict(self) -> dict[str, Any]:
        """The command line's JSON object, in seconds."""
        low, middle, high = self.period_spread
        return {
            "model": self.model,
            "inputs": self.inputs,
            "measured_inputs": self.last - self.first,
            "period": self.period,
            "period_quartiles": [low, middle, high],
            "undisturbed_period": self.undisturbed_period,
            "throughput": self.throughput,
            "latency": float(np.median(self.latencies[self.first : self.last + 1])),
            "latency_alone": float(np.median(self.alone)) if len(self.alone) else None,
            "predicted_period": self.predicted,
            "stage_overhead": self.overhead,
            "expected_period": self.expected,
            "bound": self.bound,
            "predicted_latency": self.predicted_latency,
            "predicted_for": self.predicted_for or None,
            "cores": self.cores,
            "error": self.error,
            "undisturbed_error": self.undisturbed_error,
            "buffers": self.buffers,
            "optimised": self.optimised,
            "stages": [
                {
                    "chip": s.chip,
                    "file": s.file,
                    "core": s.core,
                    "predicted": s.predicted,
                    "peak_bytes": s.peak_bytes,
                    **{
                        name: float(np.median(getattr(s, name)))
                        for name in ("run", "cpu_run", "send", "waiting", "blocked", "cpu")
                    },
                }
                for s in self.stages
            ],
        }

    @property
    def _of_other_chips(self) -> bool:
        """Whether the prediction is for a package that is known not to be these cores."""
        return preset_of(self.predicted_for) is not None and not of_cores(self.predicted_for)

    def notes(self) -> list[str]:
        """What keeps the prediction from being one of this run, a sentence each."""
        found = []
        if self.predicted is not None and not (of_cores(self.predicted_for) and self.calibrated):
            why = f"the prediction is for {self.predicted_for!r}; it compares if that was calibrated on these cores"
            if self._of_other_chips:
                why = f"the prediction is for the package {self.predicted_for!r}, not for these cores"
            found.append(f"{why}; to compare, run mcm-partition calibrate and solve with --hw cpu{len(self.stages)}")
        if len(self.stages) > self.cores:
            cores = f"{self.cores} core{'s' if self.cores > 1 else ''}"
            found.append(f"{len(self.stages)} stages share {cores}; the prediction has a core for each stage")
        return found

    def _predicted_line(self) -> str:
        """The prediction, and how far off it was where it may be one of these cores."""
        if self.predicted is None or self.expected is None or self.error is None or self.undisturbed_error is None:
            return "predicted: not known to the parts"
        told = f"predicted {time_text(self.predicted)}"
        if self.overhead:
            told += f", {time_text(self.expected)} with what a stage takes besides"
        if not self._of_other_chips:
            cpu, elapsed = (f"{100 * error:+.1f}%" for error in (self.undisturbed_error, self.error))
            told += f", {cpu} from the CPU time and {elapsed} from the elapsed time"
        return told if self.bound is None else f"{told}; bound {time_text(self.bound)}"

    def to_table(self) -> str:
        """Figures in plain text: the period first, then a row per stage."""
        low, _, high = map(time_text, self.period_spread)
        alone = f", {time_text(float(np.median(self.alone)))} of one input alone" if len(self.alone) else ""
        in_stream = time_text(float(np.median(self.latencies[self.first : self.last + 1])))
        lines = [
            f"{self.model}: period {time_text(self.period)} elapsed (quartiles of ten blocks {low} to {high}), "
            f"{time_text(self.undisturbed_period)} by CPU time",
            self._predicted_line(),
            f"throughput {self.throughput:.5g} inputs per s over {self.last - self.first} of {self.inputs} inputs; "
            f"latency {in_stream} in the stream{alone}",
            *self.notes(),
            "",
            f"{'chip':>4} {'core':>4} {'predicted':>10} {'CPU time':>10} {'run':>10} {'send':>10} {'waiting':>10} "
            f"{'blocked':>10} {'memory':>9}",
        ]
        for s in self.stages:
            times = [time_text(float(np.median(x))) for x in (s.cpu, s.run, s.send, s.waiting, s.blocked)]
            predicted = "-" if s.predicted is None else time_text(s.predicted)
            core = "any" if s.core is None else s.core
            row = " ".join(f"{t:>10}" for t in (predicted, *times))
            lines.append(f"{s.chip:>4} {core:>4} {row} {bytes_text(s.peak_bytes):>9}")
        return "\n".join(lines)


def of_cores(hardware: str) -> bool:
    """Whether a package of that name is the preset of this machine's cores."""
    return re.fullmatch(r"cpu[0-9]+(:.*)?", hardware) is not None


def measured_stretch(
    notes: IntArray, sources: tuple[int, ...], sinks: tuple[int, ...], skipped: int
) -> tuple[int, int]:
    """The inputs between which the period is measured.

    The first is the ``skipped``-th that leaves. The last is the last one that leaves before some source has sent its
    last input: from then on the pipeline runs empty.

    Parameters
    ----------
    notes : (stages, inputs, columns) as in :data:`partition.pipeline.stage.COLUMNS`.
    """
    leave = notes[list(sinks), :, 3].max(axis=0)
    fed_until = notes[list(sources), -1, 1].min()
    last = int(np.searchsorted(leave, fed_until, side="right")) - 1
    return skipped, max(last, skipped + 1)
