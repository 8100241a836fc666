"""The processes of a pipeline: started with the memory they share, heard while they run, and ended in any case."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.errors import InvalidInput, StageFailed
from partition.pipeline import channel
from partition.pipeline.layout import Layout
from partition.pipeline.plan import StreamPlan
from partition.pipeline.stage import GONE, LOADING, RUNNING, SENDING, WAITING, StageSpec, progress_table
from partition.split.manifest import Manifest

TICK = 0.2
"""Seconds between two looks at the progress."""

GRACE = 1.0
"""Seconds in which the other stages are expected to end after one did, so that the first cause is told."""

LOADING_TIME = 60.0
"""Seconds that a stage may load its part in any case."""

Watch = Callable[[Sequence[int], int], object]
"""Is told inputs done by every stage, and inputs of the whole stream."""


@dataclass
class Processes:
    """The processes of a pipeline; a context manager that leaves none behind."""

    layout: Layout
    plan: StreamPlan
    manifest: Manifest
    scratch: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    sockets: list[Connection] = field(default_factory=list)
    reports: dict[int, dict[str, Any]] = field(default_factory=dict)
    ready: set[int] = field(default_factory=set)
    handles: list[int] = field(default_factory=list)
    progress: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    def __enter__(self) -> Processes:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for socket in self.sockets:
            socket.close()
        for process in self.processes:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for handle in self.handles:
            os.close(handle)
        self.handles.clear()
        self.progress = self.progress.copy()  # the shared table is given back

    # --- starting ---------------------------------------------------------------------------------------------

    def _start(self) -> None:
        rows = len(self.layout.parts)
        progress = self._owned(channel.shared_memory(16 * rows))
        self.progress = progress_table(progress, rows)
        inlets: list[list[Any]] = [[] for _ in range(rows)]
        outlets: list[list[Any]] = [[] for _ in range(rows)]
        for stream in self.layout.streams:
            memory = self._owned(channel.shared_memory(stream.slots * stream.slot_bytes))
            ends = []
            for reader in stream.readers:
                noticed, noticing = map(self._owned, os.pipe())
                freed, freeing = map(self._owned, os.pipe())
                ring = channel.Ring(stream.tensor, memory, stream.slots, stream.slot_bytes)
                inlets[reader].append((ring, noticed, freeing))
                ends.append((noticing, freed))
            ring = channel.Ring(stream.sent, memory, stream.slots, stream.slot_bytes)
            outlets[stream.source].append((ring, tuple(ends)))
        for s in range(rows):
            self._spawn(self._spec(s, tuple(inlets[s]), tuple(outlets[s]), progress))
        for handle in self.handles:  # the stages hold them now: when one ends, the others notice
            os.close(handle)
        self.handles.clear()

    def _owned(self, handle: int) -> int:
        self.handles.append(handle)
        return handle

    def _spec(self, s: int, inlets: tuple[Any, ...], outlets: tuple[Any, ...], progress: int) -> StageSpec:
        plan, layout = self.plan, self.layout
        wanted = {port.tensor for port in layout.host[s]}
        return StageSpec(
            file=str(plan.folder / layout.parts[s].file),
            core=layout.cores[s],
            optimised=plan.optimised,
            dims=dict(self.manifest.dims),
            host=layout.host[s],
            values=tuple({name: np.asarray(v) for name, v in row.items() if name in wanted} for row in plan.values),
            seed=plan.seed,
            distinct=8,
            inlets=inlets,
            outlets=outlets,
            delivers=tuple(name for name, _ in layout.outputs[s]),
            keep=plan.keep,
            inputs=plan.total,
            record=(plan.alone, plan.alone + plan.record),
            progress=progress,
            row=s,
            rows=len(layout.parts),
            scratch=self.scratch,
        )

    def _spawn(self, spec: StageSpec) -> None:
        ours, theirs = Pipe()
        self.sockets.append(ours)
        handles = [spec.progress, theirs.fileno()]
        handles += [h for ring, *ends in spec.inlets for h in (ring.memory, *ends)]
        handles += [h for ring, readers in spec.outlets for h in (ring.memory, *(e for pair in readers for e in pair))]
        root = str(Path(__file__).resolve().parents[2])
        inherited = os.environ.get("PYTHONPATH")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = root + (os.pathsep + inherited if inherited else "")
        program = f"import os; from partition.pipeline.stage import main; os._exit(main({theirs.fileno()}))"
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-c", program],
                pass_fds=sorted(set(handles)),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C in a terminal is for this process, which ends the stages in order
            )
        )
        theirs.close()
        with contextlib.suppress(OSError):  # it died at once: told when its socket is read
            ours.send(spec)

    # --- running ----------------------------------------------------------------------------------------------

    def stream(self, watch: Watch | None) -> list[dict[str, Any]]:
        """Let all inputs through; what each stage reports at the end."""
        stages = range(len(self.layout.parts))
        self._until(lambda: len(self.ready) == len(stages), watch, TICK)
        for i in range(self.plan.alone):
            self._allow(1)
            self._until(functools.partial(self._all_beyond, i), None, 1e-3)
        self._allow(self.plan.total - self.plan.alone)
        self._until(lambda: len(self.reports) == len(stages), watch, TICK)
        if watch is not None:
            watch(self.progress[:, 0].tolist(), self.plan.total)
        return [self.reports[s] for s in stages]

    def _all_beyond(self, done: int) -> bool:
        return bool((self.progress[:, 0] > done).all())

    def _allow(self, count: int) -> None:
        for s in self.layout.sources:
            try:
                self.sockets[s].send(count)
            except OSError:
                self._fail({s})

    def _until(self, over: Callable[[], bool], watch: Watch | None, tick: float) -> None:
        """Hear the stages until ``over``, notice any that ends or hangs."""
        seen, since, patience = self.progress.copy(), time.monotonic(), self.plan.patience
        while not over():
            listening = {socket: s for s, socket in enumerate(self.sockets) if s not in self.reports}
            for socket in wait(list(listening), timeout=tick):
                self._hear(listening[socket])  # type: ignore[index]
            if not np.array_equal(seen, self.progress):
                seen, since = self.progress.copy(), time.monotonic()
            elif time.monotonic() - since > (patience if LOADING not in seen[:, 1] else max(patience, LOADING_TIME)):
                self._hanging(time.monotonic() - since)
            if watch is not None:
                watch(self.progress[:, 0].tolist(), self.plan.total)

    def _hear(self, s: int) -> None:
        try:
            told = self.sockets[s].recv()
        except (EOFError, OSError):
            self._fail({s})
            return
        if "ready" in told:
            self.ready.add(s)
        elif "refused" in told:
            raise InvalidInput(told["refused"])
        elif "error" in told:
            raise self._failed(s, told)
        else:
            self.reports[s] = told

    def _name(self, s: int) -> str:
        return f"{self.layout.parts[s].file} (chip {self.layout.parts[s].chip})"

    def _failed(self, s: int, told: Mapping[str, Any]) -> StageFailed:
        """What a stage says of its end, and what to do about it where its inputs may be the cause."""
        drawn = (
            "" if self.plan.values else "; inputs were drawn, which may not suit the model: give --values values.npz"
        )
        return StageFailed(f"stage {self._name(s)} failed: {told['error']}{drawn}")

    def _fail(self, ended: set[int]) -> None:
        """Some stage has ended; find out which was the first cause."""
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            for s in range(len(self.sockets)):
                if s not in ended and s not in self.reports and self.sockets[s].poll():
                    try:
                        told = self.sockets[s].recv()
                    except (EOFError, OSError):
                        ended.add(s)
                        continue
                    if "refused" in told:
                        raise InvalidInput(told["refused"])
                    if "error" in told:
                        raise self._failed(s, told)
            codes = {s: self.processes[s].poll() for s in ended}
            for s, code in codes.items():
                if code not in (None, 0, GONE):
                    raise StageFailed(f"stage {self._name(s)} {_ending(code)}")
            time.sleep(0.01)
        raise StageFailed(f"stage {self._name(min(ended))} ended before it was done")

    def _hanging(self, seconds: float) -> None:
        waited = f"for {seconds:.0f} s"
        for s in self._blamed():
            doing = "loads" if self.progress[s, 1] == LOADING else "has made no progress with"
            what = "its part" if doing == "loads" else f"input {int(self.progress[s, 0])}"
            raise StageFailed(f"stage {self._name(s)} {doing} {what} {waited}; more --patience waits longer")
        raise StageFailed(f"the stages have waited for one another {waited}")

    def _blamed(self) -> list[int]:
        """Stages that could go on, but do not; those that compute or load first."""
        done, state = self.progress[:, 0].tolist(), self.progress[:, 1].tolist()
        readers = [[r for x in self.layout.streams if x.source == s for r in x.readers] for s in range(len(done))]
        blamed = [s for s in range(len(done)) if state[s] in (LOADING, RUNNING)]
        for s, upstream in enumerate(self.layout.upstream):
            waits = state[s] == WAITING and any(done[u] <= done[s] for u in upstream)
            blocked = state[s] == SENDING and any(done[r] < done[s] for r in readers[s])
            if not (waits or blocked or s in blamed or s in self.reports):
                blamed.append(s)
        return blamed


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    why = "; the system does so when memory runs out" if -code == signal.SIGKILL else ""
    return f"was ended by {name}{why}"
