"""One stage of a running pipeline, a process of its own: ``python -m partition.pipeline.stage DESCRIPTOR``.

The process is told what to do through the socket of that descriptor, and ends when the other end of it is closed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import select
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.errors import InvalidInput, InvalidModelFile
from partition.pipeline.channel import Inlet, Outlet, PeerGone, Ring, packed

GONE = 75
"""Exit code of a stage that ended because another one did."""

LOADING, WAITING, RUNNING, SENDING, DONE = range(5)
"""What a stage is doing, as the second number of its row of the progress table says."""

COLUMNS = ("begin", "ready", "run", "sent", "blocked", "cpu_run", "cpu")
"""What is noted of every input, in nanoseconds: when the stage began to wait for it, had all its tensors, had run, had
sent everything (on the monotonic clock); how long it waited for free slots; CPU time of the run, and of all."""


@dataclass(frozen=True)
class HostInput:
    """An input of the whole model that a stage reads.

    Attributes
    ----------
    name : in the part.
    tensor : in the whole model.
    """

    name: str
    tensor: str


@dataclass(frozen=True)
class StageSpec:
    """What a stage is to do.

    Attributes
    ----------
    file : its ONNX model.
    core : to which it is pinned, None for any.
    optimised : let onnxruntime fuse operators.
    dims : values of symbolic dimensions.
    host : inputs that it makes up itself.
    values : those of them that are given, one array for each distinct input.
    seed, distinct : of the inputs made up, and how many different ones take turns.
    inlets : (ring, notices, freed slots).
    outlets : (ring, for each reader notices and freed slots).
    delivers : names of outputs that the host wants.
    keep : of how many inputs, from the first, to return them.
    inputs : length of the whole stream.
    record : first and last input of which operations are traced, last excluded.
    progress : descriptor of the table of progress.
    row, rows : the stage's, and how many there are.
    scratch : folder for onnxruntime's profile.
    """

    file: str
    core: int | None
    optimised: bool
    dims: Mapping[str, int]
    host: tuple[HostInput, ...]
    values: tuple[Mapping[str, NDArray[Any]], ...]
    seed: int
    distinct: int
    inlets: tuple[tuple[Ring, int, int], ...]
    outlets: tuple[tuple[Ring, tuple[tuple[int, int], ...]], ...]
    delivers: tuple[str, ...]
    keep: int
    inputs: int
    record: tuple[int, int]
    progress: int
    row: int
    rows: int
    scratch: str


def progress_table(handle: int, rows: int) -> NDArray[np.int64]:
    """(rows, 2) inputs done and what is being done, shared by all processes."""
    import mmap

    return np.frombuffer(mmap.mmap(handle, rows * 16), np.int64).reshape(rows, 2)


def drawn_inputs(session: Any, host: tuple[HostInput, ...], spec: StageSpec) -> list[dict[str, NDArray[Any]]]:
    """Values of the host's inputs, ``distinct`` different ones; the same in every stage that reads the same tensor."""
    from partition.split.inputs import checked_inputs, random_inputs

    declared = {value.name: value for value in session.get_inputs()}
    if spec.values:
        ports = SimpleNamespace(get_inputs=lambda: [declared[port.name] for port in host])
        return [
            checked_inputs(ports, {port.name: values[port.tensor] for port in host}) if host else {}
            for values in spec.values
        ]
    pool: list[dict[str, NDArray[Any]]] = []
    for k in range(spec.distinct if host else 1):
        drawn: dict[str, NDArray[Any]] = {}
        for port in host:
            one = SimpleNamespace(get_inputs=lambda name=port.name: [declared[name]])
            seed = int(np.random.SeedSequence([spec.seed, k, *port.tensor.encode()]).generate_state(1)[0])
            drawn |= random_inputs(one, spec.dims, seed)
        pool.append(drawn)
    return pool


class Stage:
    """The loop over the inputs."""

    def __init__(self, spec: StageSpec, commands: queue.SimpleQueue[int]) -> None:
        from partition.split.running import open_session

        self.spec, self.commands = spec, commands
        self.progress = progress_table(spec.progress, spec.rows)
        traced = spec.record[1] > spec.record[0]
        prefix = str(Path(spec.scratch) / f"stage{spec.row}") if traced else None
        self.session = open_session(Path(spec.file), spec.optimised, profile=prefix)
        self.profile_begin = time.monotonic_ns() - time.time_ns()
        self.profiling = traced
        self.inlets = [Inlet(*ends) for ends in spec.inlets]
        self.outlets = [Outlet(ring, readers) for ring, readers in spec.outlets]
        self.pool = drawn_inputs(self.session, spec.host, spec)
        self.notes = np.zeros((spec.inputs, len(COLUMNS)), np.int64)
        self.outputs = list(dict.fromkeys([o.ring.tensor for o in self.outlets] + list(spec.delivers)))
        self.kept: list[dict[str, Any]] = []
        self.operations: bytes = b""
        self.allowed = 0 if not spec.inlets else spec.inputs

    def work(self) -> None:
        """All inputs, in order."""
        for i in range(self.spec.inputs):
            self._set(i, WAITING)
            self._one(i)
            if self.profiling and i + 1 == self.spec.record[1]:
                self._end_profile()
        self._set(self.spec.inputs, DONE)

    def _set(self, done: int, state: int) -> None:
        self.progress[self.spec.row] = done, state

    def _one(self, i: int) -> None:
        notes, clock, cpu = self.notes[i], time.monotonic_ns, time.thread_time_ns
        while self.allowed <= i:  # a source waits until it may go on
            self.allowed += self.commands.get()
        before = cpu()
        notes[0] = clock()
        feeds: dict[str, Any] = dict(self.pool[i % len(self.pool)])
        self._receive(feeds, i)
        notes[1], started = clock(), cpu()
        self._set(i, RUNNING)
        results = self._run(feeds)
        notes[2], ran = clock(), cpu()
        self._set(i, SENDING)
        del feeds
        for inlet in self.inlets:
            inlet.release()
        for outlet in self.outlets:
            outlet.blocked_ns = 0
            outlet.send(i, results[outlet.ring.tensor])
        if i < self.spec.keep:
            self.kept.append({name: _kept(results[name], name) for name in self.spec.delivers})
        notes[3], notes[4] = clock(), sum(outlet.blocked_ns for outlet in self.outlets)
        notes[5], notes[6] = ran - started, cpu() - before

    def _receive(self, feeds: dict[str, Any], i: int) -> None:
        waiting = {inlet.filled: inlet for inlet in self.inlets}
        poll = select.poll()
        for filled in waiting:
            poll.register(filled, select.POLLIN)
        while waiting:
            for filled, _ in poll.poll():
                inlet = waiting[filled]
                if inlet.take():
                    assert inlet.index == i, (inlet.ring.tensor, inlet.index, i)
                    feeds[inlet.ring.tensor] = inlet.value
                    poll.unregister(filled)
                    del waiting[filled]

    def _run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        from partition.split.running import run_session

        return dict(
            zip(
                self.outputs,
                run_session(self.session, self.outputs, feeds, Path(self.spec.file)),
                strict=True,
            )
        )

    def _end_profile(self) -> None:
        self.profiling = False
        self.profile_begin += self.session.get_profiling_start_time_ns()
        self.operations = Path(self.session.end_profiling()).read_bytes()

    def report(self) -> dict[str, Any]:
        """What the parent wants to know at the end."""
        return {
            "notes": self.notes,
            "kept": self.kept,
            "operations": self.operations,
            "profile_begin": self.profile_begin,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def _kept(value: Any, name: str) -> Any:
    """A value of its own to return; of a type that numpy lacks, its bytes."""
    if isinstance(value, np.ndarray | np.generic):
        return np.array(value)
    return packed(value, name)[0].copy() if hasattr(value, "data_ptr") else value


def main(descriptor: int) -> int:
    """Be the stage that the other end of the socket describes; the exit code."""
    connection = Connection(descriptor)
    spec: StageSpec = connection.recv()
    commands: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, commands), daemon=True).start()
    if spec.core is not None:
        with contextlib.suppress(OSError):  # the system may have taken the core away
            os.sched_setaffinity(0, {spec.core})
    try:
        stage = Stage(spec, commands)
        stage.progress[spec.row] = 0, WAITING
        connection.send({"ready": True})
        stage.work()
        connection.send(stage.report())
    except PeerGone:
        return GONE
    except InvalidInput as error:  # of the caller's values, unless it is a part that does not load or run
        connection.send({"error" if isinstance(error, InvalidModelFile) else "refused": str(error)})
        return 1
    except MemoryError:
        connection.send({"error": "it ran out of memory"})
        return 1
    except Exception as error:
        connection.send({"error": f"{error}" or type(error).__name__})
        return 1
    return 0


def _listen(connection: Connection, commands: queue.SimpleQueue[int]) -> None:
    """Pass on how many more inputs may enter; end the process when nobody is there any more."""
    try:
        while True:
            commands.put(connection.recv())
    except (EOFError, OSError):
        os._exit(GONE)


if __name__ == "__main__":
    code = main(int(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)
