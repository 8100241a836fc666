"""Measure a model operation by operation with onnxruntime's own profiler, on one thread."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.arguments import number, whole
from partition.arrays import FloatArray
from partition.errors import InvalidModelFile
from partition.extras import require
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Interconnect
from partition.problem.hardware_files import REFERENCE_CPU
from partition.problem.problem import Problem
from partition.readers.traces import spans_of

if TYPE_CHECKING:
    from onnx import ModelProto

    from partition.split.source import OnnxSource

WARM_UP = 3
"""Runs before the measured ones."""

LEAST_RUNS = 5
"""Runs that are measured however long they take."""

CALM = 1.05
"""Elapsed over CPU time of a run up to which nothing else counts as having run on the core meanwhile."""


@dataclass(frozen=True, eq=False)
class Profile:
    """Measured times of a model's operations.

    Attributes
    ----------
    graph : the model.
    seconds : (n,) medians; what onnxruntime takes besides its kernels is shared among the nodes.
    spread : (n,) interquartile range of the kernels of each operation.
    kernels : medians of all kernels together, in elapsed time.
    run : median CPU time of a whole run without the profiler.
    overhead : seconds that a node costs besides its kernel: (run - kernels) / nodes.
    disturbed : something else ran on the core all the time, so that kernels are the least of all runs.
    nodes : that onnxruntime executes: fewer than operations where it fuses, more where it computes constants.
    runs : measured ones.
    fused : operations that share a kernel with others, whose time is split as the roofline would.
    """

    graph: Graph
    seconds: FloatArray
    spread: FloatArray
    kernels: float
    run: float
    overhead: float
    disturbed: bool
    nodes: int
    runs: int
    fused: int

    @property
    def unsettled(self) -> bool:
        """Whether kernels sum to over 5% more than the CPU time of a run: some were never left alone."""
        return self.kernels > 1.05 * self.run

    def to_csv(self) -> str:
        """What ``--times`` reads: operation, seconds, spread."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["operation", "seconds", "spread"])
        for v in np.flatnonzero(~self.graph.is_source).tolist():
            writer.writerow([self.graph.names[v], f"{self.seconds[v]:.9g}", f"{self.spread[v]:.3g}"])
        return text.getvalue()

    def summary(self) -> str:
        """In one sentence."""
        relative = float(self.spread.sum() / max(self.kernels, 1e-12))
        fused = f", {self.fused} operations in kernels of several" if self.fused else ""
        return (
            f"{self.graph.name}: {1e3 * self.run:.3f} ms a run (median of {self.runs}, CPU time), "
            f"{1e3 * self.kernels:.3f} ms of it in {self.nodes} kernels, {1e6 * self.overhead:.2f} us beside each"
            f"{fused}; spread {100 * relative:.1f}%"
            + (" (other work ran on the core: kernels are the least of all runs)" if self.disturbed else "")
            + ("; kernels sum to more than a run: more --seconds tells them apart" if self.unsettled else "")
        )


def profile(
    model: str | os.PathLike[str],
    *,
    dims: Mapping[str, int] | None = None,
    optimised: bool = False,
    runs: int = 20,
    seconds: float = 20.0,
    seed: int = 0,
    overhead: float | None = None,
) -> Profile:
    """Run a model on random inputs and time every operation.

    Runs with the profiler, for the kernels, and runs without, for the whole, take turns. Kernels are told in elapsed
    time; so of the former only those count in which nothing else ran on the core, if there are five at least. Kernels
    that still sum to more than the CPU time of the whole are scaled to it.

    An operation costs its kernel and an equal share of what a run takes beyond its kernels. A kernel that computes
    several operations (``optimised``) is split among them as the roofline of the reference CPU would. One that computes
    a constant belongs to the operation that reads it.

    Parameters
    ----------
    dims : values of symbolic dimensions. optimised : let onnxruntime fuse operators first.
    runs : measured runs of either kind. seconds : stop earlier after this long, but not before five runs.
    seed : of the inputs.
    overhead : seconds of a node besides its kernel, as found on other models, instead of this model's own.

    Raises
    ------
    InvalidInput : onnxruntime is not installed, a dimension has no value, or a number does not make sense.
    InvalidModelFile : the model cannot be read or run.
    """
    whole("runs", runs, least=LEAST_RUNS)
    whole("seed", seed)
    number("seconds", seconds, above=0.0)
    require("profiling ONNX models", "run")
    from partition.split.source import open_whole

    opened = open_whole(model, dims)
    with tempfile.TemporaryDirectory(prefix="mcm-partition-") as scratch:
        executed = _executed(opened, Path(scratch), optimised)
        samples, whole_runs, disturbed = _measured(executed, Path(scratch), opened, dims or {}, runs, seconds, seed)
        nodes = _nodes(executed)
    kernel, spread = _kernel_times(samples, disturbed)
    run, told = float(np.median(whole_runs)), float(kernel.sum())
    scale = run / max(run, told) if overhead is None else 1.0  # elapsed time of kernels: something else ran meanwhile
    beside = (run - scale * told if told < run else 0.0) / len(nodes) if overhead is None else overhead
    shares = _shares(opened, nodes)
    return Profile(
        graph=opened.graph,
        seconds=shares @ (scale * kernel + beside),
        spread=shares @ (scale * spread),
        kernels=told,
        run=run,
        overhead=beside,
        disturbed=disturbed,
        nodes=len(nodes),
        runs=samples.shape[1],
        fused=int(((shares > 0) & (shares < 1)).any(axis=1).sum()),
    )


def _kernel_times(samples: FloatArray, disturbed: bool) -> tuple[FloatArray, FloatArray]:
    """(nodes,) time of each kernel, and its interquartile range.

    The median of the runs in which nothing else ran. On a shared core it is the least of all runs: long kernels are
    hardly ever left alone.
    """
    low, median, high = np.quantile(samples, [0.25, 0.5, 0.75], axis=1)
    return samples.min(axis=1) if disturbed else median, high - low


def _executed(opened: OnnxSource, scratch: Path, optimised: bool) -> Path:
    """The model as onnxruntime executes it, every node under a name of its own."""
    import onnx

    from partition.split.parts import LARGE, SMALL

    proto = opened.proto
    proto.ir_version = max(proto.ir_version, 4)  # before, weights had to be inputs as well
    if optimised:
        proto = _fused(proto, scratch)
    names = [node.name for node in proto.graph.node]
    for i, node in enumerate(proto.graph.node):
        node.name = f"node {i}"
    path = scratch / "executed.onnx"
    apart = proto.ByteSize() >= LARGE
    onnx.save_model(
        proto, str(path), save_as_external_data=apart, location="executed.data" if apart else None, size_threshold=SMALL
    )
    for node, name in zip(proto.graph.node, names, strict=True):
        node.name = name
    return path


def _fused(proto: ModelProto, scratch: Path) -> ModelProto:
    """The model after onnxruntime's own optimisations."""
    import onnx
    import onnxruntime as ort

    from partition.split.parts import LARGE, SMALL

    given, target, apart = scratch / "given.onnx", scratch / "fused.onnx", proto.ByteSize() >= LARGE
    onnx.save_model(
        proto, str(given), save_as_external_data=apart, location="given.data" if apart else None, size_threshold=SMALL
    )
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.optimized_model_filepath = str(target)
    if apart:
        key = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{key}_file_name", "fused.data")
        options.add_session_config_entry(f"{key}_min_size_in_bytes", str(SMALL))
    try:
        ort.InferenceSession(str(given), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions share no base class
        reason = " ".join(str(error).split())[:300]
        raise InvalidModelFile(f"onnxruntime cannot optimise {proto.graph.name!r}: {reason}") from error
    return onnx.load_model(str(target))


def _nodes(path: Path) -> list[Any]:
    import onnx

    model = onnx.load_model(str(path), load_external_data=False)
    return [node for node in model.graph.node if node.op_type != "Constant"]  # they become weights


def _measured(
    path: Path, scratch: Path, opened: OnnxSource, dims: Mapping[str, int], runs: int, seconds: float, seed: int
) -> tuple[FloatArray, FloatArray, bool]:
    """(nodes, runs) seconds of kernels; (runs,) CPU seconds without the profiler; whether the core was shared."""
    from partition.split.inputs import random_inputs
    from partition.split.running import open_session, run_session

    plain, watched = open_session(path), open_session(path, profile=str(scratch / "profile"))
    feeds = random_inputs(plain, dims, seed)
    outputs = list(dict.fromkeys(value.name for value in opened.proto.graph.output))
    for _ in range(WARM_UP):
        run_session(plain, outputs, feeds, path)
        run_session(watched, outputs, feeds, path)
    spent: list[float] = []
    disturbed: list[float] = []
    begun = time.monotonic()
    while len(spent) < LEAST_RUNS or (
        sum(ratio <= CALM for ratio in disturbed) < runs and time.monotonic() - begun < seconds
    ):
        before = time.thread_time_ns()
        run_session(plain, outputs, feeds, path)
        spent.append((time.thread_time_ns() - before) / 1e9)
        before, elapsed = time.thread_time_ns(), time.monotonic_ns()
        run_session(watched, outputs, feeds, path)
        disturbed.append((time.monotonic_ns() - elapsed) / max(1, time.thread_time_ns() - before))
    found: dict[str, list[float]] = defaultdict(list)
    for span in spans_of(json.loads(Path(watched.end_profiling()).read_bytes())) or []:
        found[span.name].append(span.seconds)
    wanted = [node.name for node in _nodes(path)]
    count = min([len(spent), *(len(found[name]) for name in wanted if name in found)])  # its file may be full
    ratios = np.array(disturbed[:count])
    calm = ratios <= CALM if (ratios <= CALM).sum() >= LEAST_RUNS else np.ones(count, bool)
    samples = {name: np.array(found.get(name, [0.0] * count)[-count:]) for name in wanted}
    return np.array([samples[name][calm] for name in wanted]), np.array(spent), not (ratios[calm] <= CALM).all()


def _shares(opened: OnnxSource, nodes: list[Any]) -> FloatArray:
    """(n, nodes) share of every executed node that belongs to each operation; every column sums to 1.

    A node computes the operations between the tensors it reads and those it makes. One that makes none of the model's
    tensors (a change of layout, a constant) belongs to the node that reads what it makes.
    """
    graph = opened.graph
    available = {tensor for node in nodes for tensor in node.output}
    alone = Hardware("cpu", (REFERENCE_CPU,), (0,), Interconnect("memory", 1.0))
    weight = Problem.of(graph, alone).times[0]
    owner = np.full(graph.n, -1)
    for j, node in enumerate(nodes):
        stack = [tensor for tensor in node.output if tensor in opened.maker]
        while stack:
            i = opened.maker.get(stack.pop())
            v = None if i is None else opened.operation[i]
            if i is None or v is None or owner[v] >= 0:
                continue
            owner[v] = j
            stack += [tensor for tensor in opened.reads[i] if tensor not in available]
    computes: list[list[int]] = [[] for _ in nodes]
    for v in np.flatnonzero(owner >= 0).tolist():
        computes[owner[v]].append(v)
    reader: dict[str, int] = {}
    for j in reversed(range(len(nodes))):
        reader.update((tensor, j) for tensor in nodes[j].input if tensor)
    shares = np.zeros((graph.n, len(nodes)))
    everything = np.flatnonzero(~graph.is_source).tolist()
    for j in reversed(range(len(nodes))):
        behind = [reader[tensor] for tensor in nodes[j].output if tensor in reader]
        if computes[j] or not behind:
            chosen = computes[j] or everything
            total = weight[chosen].sum()  # 0 where all of them are views
            shares[chosen, j] = weight[chosen] / total if total > 0 else 1 / len(chosen)
        else:
            shares[:, j] = shares[:, min(behind)]
    return shares
