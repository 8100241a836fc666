"""Fit a kind of chip and a link to measurements, and say how well they fit."""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from partition.arrays import FloatArray
from partition.errors import InvalidInput
from partition.extras import require
from partition.files import LARGEST_JSON, read_bounded
from partition.pipeline.profile import profile
from partition.pipeline.reference import measure_link, suite
from partition.problem.chip_kind import ChipKind
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Interconnect
from partition.problem.hardware_files import cpu_cores
from partition.problem.hardware_toml import to_toml
from partition.text import shown

LEAST_OPERATIONS = 4
"""Operations with times below which three figures are not fitted."""

DIGITS = 4
"""Of a fitted figure; more would mean nothing."""

STARTS = (0.02, 0.1, 0.5)
"""Quantiles of the rates seen from which the fit begins."""


@dataclass(frozen=True, eq=False)
class KindFit:
    """A roofline fitted to measured operations.

    Attributes
    ----------
    kind : with peak, bandwidth and overhead per operation.
    operations : fitted to.
    error : median of |fitted - measured| / measured over them.
    error90 : its 90th percentile.
    total : (sum of fitted - sum of measured) / sum of measured.
    """

    kind: ChipKind
    operations: int
    error: float
    error90: float
    total: float

    def sentence(self) -> str:
        """The figures and their error."""
        kind = self.kind
        return (
            f"{kind.name}: {kind.peak_flops / 1e9:.4g} GFLOP/s, {kind.sram_bandwidth / 1e9:.4g} GB/s, "
            f"{1e6 * kind.op_overhead_s:.3g} us an operation; over {self.operations} operations the median error is "
            f"{100 * self.error:.0f}%, that of nine in ten at most {100 * self.error90:.0f}%, "
            f"of the sum {100 * self.total:+.1f}%"
        )


@dataclass(frozen=True, eq=False)
class LinkFit:
    """A line fitted to measured transfers.

    Attributes
    ----------
    bandwidth : bytes/s at either end.
    latency : seconds that a transfer takes at either end whatever its size.
    stage : seconds that a stage takes for every input whatever it transfers; None if not measured.
    transfers : fitted to.
    error : largest of |fitted - measured| / measured.
    """

    bandwidth: float
    latency: float
    stage: float | None
    transfers: int
    error: float

    def sentence(self) -> str:
        """The figures and their error."""
        stage = "" if self.stage is None else f", {1e6 * self.stage:.3g} us a stage and input"
        return (
            f"link: {self.bandwidth / 1e9:.4g} GB/s, {1e6 * self.latency:.3g} us a transfer{stage}; over "
            f"{self.transfers} sizes the largest error is {100 * self.error:.0f}%"
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was found of a machine."""

    kind: KindFit
    link: LinkFit

    def hardware(self, chips: int, name: str) -> Hardware:
        """Chips of that kind that exchange tensors in memory, computing and copying in turn."""
        link = Interconnect(
            "memory", link_bandwidth=self.link.bandwidth, link_latency_s=self.link.latency, transfers="serial"
        )
        return cpu_cores(name, self.kind.kind, link, chips)

    def to_toml(self, chips: int, name: str) -> str:
        """A hardware file, with the errors of the fit above it, and what a stage takes besides below."""
        told = f"# {self.kind.sentence()}\n# {self.link.sentence()}\n{to_toml(self.hardware(chips, name))}"
        return told if self.link.stage is None else f"{told}\n[run]\nstage_s = {self.link.stage!r}\n"


def fit_kind(graphs: Sequence[Graph], seconds: Sequence[FloatArray], *, name: str) -> KindFit:
    """The peak, bandwidth and overhead whose roofline is nearest to measured times.

    Nearest in the logarithm, so that halves and doubles count alike; an operation counts half for being one, half by
    its share of the time, and outliers little.

    Parameters
    ----------
    graphs : models.
    seconds : for each (n,) measured times; NaN where there is none.

    Raises
    ------
    InvalidInput : there are too few operations with a time.
    """
    from scipy.optimize import least_squares

    rows = [np.isfinite(row) & (row > 0) & ~graph.takes_no_time for graph, row in zip(graphs, seconds, strict=True)]
    flops = np.concatenate([graph.flops[chosen] for graph, chosen in zip(graphs, rows, strict=True)])
    moved = np.concatenate([graph.bytes_accessed[chosen] for graph, chosen in zip(graphs, rows, strict=True)])
    measured = np.concatenate([row[chosen] for row, chosen in zip(seconds, rows, strict=True)])
    if len(measured) < LEAST_OPERATIONS or not (flops.any() and moved.any()):
        raise InvalidInput(
            f"{len(measured)} operations have a measured time; a kind of chip is fitted to at least "
            f"{LEAST_OPERATIONS}, some of which compute and move bytes"
        )
    weight = np.sqrt(0.5 / len(measured) + 0.5 * measured / measured.sum())

    def fitted(logs: FloatArray) -> FloatArray:
        peak, bandwidth, overhead = np.exp(logs)
        return np.asarray(np.maximum(flops / peak, moved / bandwidth) + overhead)

    def residual(logs: FloatArray) -> FloatArray:
        return np.asarray(weight * np.log(fitted(logs) / measured))

    with np.errstate(divide="ignore"):
        rates = [np.log(x[x > 0] / measured[x > 0]) for x in (flops, moved)]
    best = None
    for q in STARTS:
        start = np.array([*(np.quantile(rate, 1 - q) for rate in rates), np.log(np.quantile(measured, q))])
        found = least_squares(residual, start, loss="soft_l1", f_scale=0.3 / math.sqrt(len(measured)))
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    peak, bandwidth, overhead = (float(f"{x:.{DIGITS}g}") for x in np.exp(best.x).tolist())
    off = fitted(best.x) / measured - 1
    kind = ChipKind(name, peak_flops=peak, sram_bandwidth=bandwidth, op_overhead_s=overhead)
    total = float(fitted(best.x).sum() / measured.sum() - 1)
    return KindFit(kind, len(measured), float(np.median(np.abs(off))), float(np.quantile(np.abs(off), 0.9)), total)


def fit_link(sizes: Sequence[float], seconds: Sequence[float], counts: Sequence[int] | None = None) -> LinkFit:
    """The line that is nearest to measured transfers, in relative error.

    Parameters
    ----------
    sizes : bytes.
    seconds : that a transfer keeps one end of it busy.
    counts : transfers of that size in the same seconds, which then hold the fixed cost of a stage, too; by default one
        each, and nothing but the transfer.

    Raises
    ------
    InvalidInput : fewer than two sizes, or times that do not grow with them.
    """
    from scipy.optimize import nnls

    x, t = np.array(sizes, dtype=np.float64), np.array(seconds, dtype=np.float64)
    many = np.ones(len(x)) if counts is None else np.array(counts, dtype=np.float64)
    if len(np.unique(x)) < 2 or not (
        np.isfinite(x).all() and np.isfinite(t).all() and (x >= 0).all() and (t > 0).all()
    ):
        raise InvalidInput("a link is fitted to transfers of at least two sizes, each with seconds greater than 0")
    figures = np.stack([np.ones(len(t)), many, many * x], axis=1)[:, 0 if counts is not None else 1 :]
    found, _ = nnls(figures / t[:, None], np.ones(len(t)))
    *stage, latency, per_byte = found.tolist()
    if per_byte <= 0:
        raise InvalidInput("the times of the transfers do not grow with their bytes; measure larger ones")
    error = float(np.abs(figures @ found / t - 1).max())
    bandwidth, latency, *fixed = (float(f"{x:.{DIGITS}g}") for x in (1.0 / per_byte, latency, *stage))
    return LinkFit(bandwidth, latency, fixed[0] if fixed else None, len(t), error)


def read_transfers(path: str | os.PathLike[str]) -> tuple[list[float], list[float]]:
    """Bytes and seconds of transfers, from a CSV with these two columns.

    Raises
    ------
    InvalidInput : the file cannot be read, or a line is not of that form.
    """
    where = shown(str(path), 300)
    try:
        text = read_bounded(path, LARGEST_JSON).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"cannot read {where}: {getattr(error, 'strerror', None) or error}") from error
    try:
        return [float(row["bytes"]) for row in rows], [float(row["seconds"]) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{where} needs a first line bytes,seconds and two numbers in every other") from error


def calibrate(
    models: Sequence[str | os.PathLike[str]] = (),
    *,
    dims: dict[str, int] | None = None,
    times: FloatArray | None = None,
    transfers: tuple[Sequence[float], Sequence[float]] | None = None,
    optimised: bool = False,
    seconds: float = 20.0,
    name: str = "cpu",
    on_progress: Callable[[str], None] | None = None,
) -> Calibration:
    """Fit a kind of chip and a link to this machine, or to measurements of another one.

    Parameters
    ----------
    models : ONNX files to profile; by default a suite of operations of many kinds and sizes.
    dims : values of their symbolic dimensions.
    times : (n,) seconds of the operations of the one model, measured elsewhere; NaN where there are none.
    transfers : bytes and seconds of transfers, measured elsewhere.
    optimised : profile what onnxruntime makes of the models.
    seconds : for each model.
    name : of the kind of chip.
    on_progress : is told in words what is measured.

    Raises
    ------
    InvalidInput, InvalidModelFile, StageFailed : as the functions above, and :func:`partition.pipeline.profile`.
    """
    require("calibrating", "run")
    import onnx

    with tempfile.TemporaryDirectory(prefix="mcm-partition-") as scratch:
        if not models:
            models = [Path(scratch) / "suite.onnx"]
            onnx.save(suite(), str(models[0]))
        if times is not None:
            if len(models) != 1:
                raise InvalidInput("times belong to one model; give the model that they were measured on")
            graphs, found = [Graph.from_onnx(str(models[0]), dims=dims)], [times]
        else:
            profiles = [
                profile(model, dims=dims, optimised=optimised, seconds=seconds, on_progress=on_progress)
                for model in models
            ]
            graphs, found = [p.graph for p in profiles], [p.seconds for p in profiles]
    return Calibration(
        fit_kind(graphs, found, name=name), fit_link(*(transfers or measure_link(on_progress=on_progress)))
    )
