"""Measure a model operation by operation with onnxruntime's own profiler, on one thread."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.arguments import number, whole
from partition.arrays import FloatArray, IntArray
from partition.errors import InvalidModelFile
from partition.extras import require
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Interconnect
from partition.problem.hardware_files import REFERENCE_CPU
from partition.problem.problem import Problem
from partition.readers.traces import TraceEvent, spans_of

if TYPE_CHECKING:
    from onnx import ModelProto

    from partition.split.source import OnnxSource

SESSIONS = 3
"""Sessions of either kind, one pair after the other: how the memory of a session lies in the caches is luck."""

WARM_UP = 2
"""Runs of every session before the measured ones."""

TURN = 0.01
"""Seconds that a session has at least before it is the turn of the other: what it reads is in the caches again."""

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
    on_progress: Callable[[str], None] | None = None,
) -> Profile:
    """Run a model on random inputs and time every operation.

    Runs with the profiler, for the kernels, and runs without, for the whole, take turns, in three sessions one after
    the other. Kernels are told in elapsed time; so of the former only those count in which nothing else ran on the
    core, if there are five at least. Where kernels sum to more than the CPU time of the whole, :func:`kernel_times`
    takes off what noting them took, and the rest is scaled.

    An operation costs its kernel and an equal share of what a run takes beyond its kernels. A kernel of several
    operations (``optimised``) is split as the roofline would; one of a constant belongs to the operation that reads it.

    Parameters
    ----------
    dims : values of symbolic dimensions.
    optimised : let onnxruntime fuse operators first.
    runs : measured runs of either kind.
    seconds : stop earlier after this long, but not before five runs.
    seed : of the inputs.
    overhead : seconds of a node besides its kernel, as found on other models, instead of this model's own.
    on_progress : is told in words what is measured.

    Raises
    ------
    InvalidInput : onnxruntime is not installed, a dimension has no value, or a number does not make sense.
    InvalidModelFile : the model cannot be read or run.
    """
    _check(runs, seed, seconds)
    from partition.split.source import open_whole

    opened = open_whole(model, dims)
    with tempfile.TemporaryDirectory(prefix="mcm-partition-") as scratch:
        executed = _executed(opened, Path(scratch), optimised)
        samples = _measured(executed, Path(scratch), opened, (dims or {}, seed), runs, seconds, on_progress)
        nodes = _nodes(executed)
    kernel, spread, disturbed = kernel_times(samples, run := float(np.median(samples.plain)))
    scale, beside = _scale(kernel, run, len(nodes), overhead)
    shares = _shares(opened, nodes)
    return Profile(
        graph=opened.graph,
        seconds=shares @ (scale * kernel + beside),
        spread=shares @ (scale * spread),
        kernels=float(kernel.sum()),
        run=run,
        overhead=beside,
        disturbed=disturbed,
        nodes=len(nodes),
        runs=samples.kernels.shape[1],
        fused=int(((shares > 0) & (shares < 1)).any(axis=1).sum()),
    )


def _check(runs: int, seed: int, seconds: float) -> None:
    """InvalidInput if a number does not make sense, or onnxruntime is not installed."""
    whole("runs", runs, least=LEAST_RUNS)
    whole("seed", seed)
    number("seconds", seconds, above=0.0)
    require("profiling ONNX models", "run")


def _scale(kernel: FloatArray, run: float, nodes: int, overhead: float | None) -> tuple[float, float]:
    """Factor of the times of all kernels, and seconds that each node takes besides its kernel."""
    if overhead is not None:
        return 1.0, overhead
    told = float(kernel.sum())
    scale = run / max(run, told)  # elapsed time of kernels: something else ran meanwhile
    return scale, (run - scale * told if told < run else 0.0) / nodes


def kernel_times(samples: ProfileSamples, run: float) -> tuple[FloatArray, FloatArray, bool]:
    """(nodes,) time of each kernel, and its interquartile range; whether the core was shared all the time.

    The median of the runs in which nothing else ran. On a shared core it is the least of all runs: long kernels are
    hardly ever left alone. What the profiler takes to note a node is partly within the time that it tells. For the
    nodes of a body it is within the node that has it. So where kernels sum to more than a run, each event gives up an
    equal part, at most what noting it took.

    Parameters
    ----------
    run : CPU seconds of a whole run without the profiler.
    """
    few = (samples.disturbed <= CALM).sum() < LEAST_RUNS
    calm = samples.kernels if few else samples.kernels[:, samples.disturbed <= CALM]
    low, median, high = np.quantile(calm, [0.25, 0.5, 0.75], axis=1)
    kernel = calm.min(axis=1) if few else median
    events = 1 + samples.inner
    noting = float(np.median(samples.watched) - np.median(samples.plain)) / events.sum()
    within = np.clip((kernel.sum() - run) / events.sum(), 0.0, max(0.0, noting))
    return np.maximum(kernel - within * events, 0.0), high - low, bool(few)


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


@dataclass(frozen=True, eq=False)
class ProfileSamples:
    """What pairs of sessions showed.

    Attributes
    ----------
    kernels : (nodes, runs) elapsed seconds of the nodes in runs with the profiler.
    inner : (nodes,) nodes within each.
    watched : (runs,) CPU seconds of these runs.
    disturbed : (runs,) elapsed over CPU time of them.
    plain : (runs,) CPU seconds of the runs without the profiler.
    """

    kernels: FloatArray
    inner: IntArray
    watched: FloatArray
    disturbed: FloatArray
    plain: FloatArray


def _measured(
    path: Path,
    scratch: Path,
    opened: OnnxSource,
    drawn: tuple[Mapping[str, int], int],
    runs: int,
    seconds: float,
    on_progress: Callable[[str], None] | None,
) -> ProfileSamples:
    """Runs with the profiler and without, of all sessions.

    Parameters
    ----------
    drawn : values of symbolic dimensions, and the seed of the inputs.
    """
    outputs = list(dict.fromkeys(value.name for value in opened.proto.graph.output))
    each = -(-runs // SESSIONS)
    found = []
    for k in range(SESSIONS):
        if on_progress is not None:
            on_progress(f"times of {opened.graph.name}, session {k + 1} of {SESSIONS}")
        found.append(_session(path, scratch / f"profile{k}", outputs, drawn, each, seconds / SESSIONS))
    plain, watched, disturbed = (
        np.concatenate([getattr(s, name) for s in found]) for name in ("plain", "watched", "disturbed")
    )
    return ProfileSamples(np.concatenate([s.kernels for s in found], axis=1), found[0].inner, watched, disturbed, plain)


def _session(
    path: Path, prefix: Path, outputs: list[str], drawn: tuple[Mapping[str, int], int], runs: int, seconds: float
) -> ProfileSamples:
    """Runs of a session with the profiler and of one without, in turns, until ``runs`` were calm or time is up.

    Parameters
    ----------
    drawn : values of symbolic dimensions, and the seed of the inputs.
    """
    from partition.split.inputs import random_inputs
    from partition.split.running import open_session, run_session

    sessions = open_session(path), open_session(path, profile=str(prefix))
    feeds = random_inputs(sessions[0], *drawn)
    for session in sessions * WARM_UP:
        run_session(session, outputs, feeds, path)
    spent: tuple[list[tuple[int, int]], ...] = ([], [])
    begun = time.monotonic()
    least = -(-LEAST_RUNS // SESSIONS)
    while len(spent[1]) < least or (
        sum(elapsed <= CALM * cpu for cpu, elapsed in spent[1]) < runs and time.monotonic() - begun < seconds
    ):
        for session, row in zip(sessions, spent, strict=True):
            turn = time.monotonic()
            while not row or time.monotonic() - turn < TURN:
                cpu, elapsed = time.thread_time_ns(), time.monotonic_ns()
                run_session(session, outputs, feeds, path)
                row.append((max(1, time.thread_time_ns() - cpu), time.monotonic_ns() - elapsed))
    found: dict[str, list[TraceEvent]] = defaultdict(list)
    for span in spans_of(json.loads(Path(sessions[1].end_profiling()).read_bytes())) or []:
        found[span.name].append(span)
    rows = [found.get(node.name, []) for node in _nodes(path)]
    count = min([len(spent[1]), *(len(row) for row in rows if row)])  # its file may be full
    watched, elapsed_s = np.array(spent[1]).T / 1e9
    return ProfileSamples(
        kernels=np.array([[span.seconds for span in row[-count:]] or [0.0] * count for row in rows]),
        inner=np.array([_within(row[-1]) if row else 0 for row in rows]),
        watched=watched[:count],
        disturbed=(elapsed_s / watched)[:count],
        plain=np.array(spent[0])[:, 0] / 1e9,
    )


def _within(span: TraceEvent) -> int:
    """Events within a span, at any depth."""
    return sum(1 + _within(inner) for inner in span.inner)


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
