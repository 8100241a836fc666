"""A soak: random instances through the public API in one process, and whether anything grows or goes wrong.

``benchmarks/soak.py`` runs it, for an hour or for two minutes.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import gc
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import psutil
from checked import as_given
from exhaustive import brute_force
from instances import answer_of
from oracle import certify
from questions import Question, draw

from partition import NoSolutionInTime, load_hardware, load_model, partition

MODELS = (
    "unet", "resnet50", "mobilenet", "gpt:layers=2", "gpt:layers=2,training=adam", "vit:layers=3", "towers:tables=4",
    "dlrm:tables=6", "rnn:seq=4",
)  # fmt: skip
MODEL_EVERY = 18
"""A built-in model follows after so many random questions: it takes longer than all of them together."""

PACKAGES = ("ring4", "chain8", "ring8:transfers=serial", "mesh2x2", "ring4:relays=off")
OBJECTIVES = ("period", "period", "period", "period,traffic", "chips")


@dataclass(frozen=True)
class Sample:
    """Resources at one moment: seconds since the start, MiB resident, threads, open files."""

    seconds: float
    rss: float
    threads: int
    files: int


@dataclass
class Record:
    """What a soak saw.

    Attributes
    ----------
    statuses : answers by topology and status. proved : answers held against a known optimum.
    """

    statuses: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    samples: list[Sample] = field(default_factory=list)
    proved: int = 0

    @property
    def solves(self) -> int:
        """Calls of the public API."""
        return self.statuses.total()

    def settled(self) -> list[Sample]:
        """The samples after the first third, in which caches fill and modules load."""
        return self.samples[len(self.samples) // 3 :]

    def growth(self) -> float:
        """MiB per 1000 solves after the first third, by least squares."""
        samples = self.settled()
        if len(samples) < 3:
            return 0.0
        per_sample = float(np.polyfit(np.arange(len(samples)), [s.rss for s in samples], 1)[0])
        return per_sample * len(self.samples) / max(self.solves, 1) * 1000


def _give_back() -> None:
    """Free what nothing refers to, and give the system the pages that the C library keeps free: neither is a leak."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def soak(seconds: float, *, seed: int = 0, every: float = 2.0) -> Record:
    """Solve random instances for so long; AssertionError at the first wrong answer."""
    record, process, begun = Record(), psutil.Process(), time.perf_counter()
    number, sampled = 0, -every
    while time.perf_counter() - begun < seconds:
        if time.perf_counter() - begun - sampled >= every:
            sampled = time.perf_counter() - begun
            _give_back()
            record.samples.append(
                Sample(sampled, process.memory_info().rss / 2**20, threading.active_count(), process.num_fds())
            )
        rng = np.random.default_rng([seed, number])
        try:
            if number % MODEL_EVERY:
                _small(record, draw(rng))
            else:
                _model(record, rng)
        except Exception as error:
            raise AssertionError(f"instance {number} of seed {seed}: {type(error).__name__}: {error}") from error
        number += 1
    return record


def _small(record: Record, question: Question) -> None:
    graph, hardware = question.read()
    problem, name = question.problem, str(question.drawn["topology"])
    try:
        best, _ = brute_force(problem, limit=2_000)
    except OverflowError:
        best = float("nan")  # not known
    try:
        result = partition(graph, hardware, time_limit=3 if hardware.routed else 20, **question.wishes)
    except NoSolutionInTime:  # not wrong; a machine may be busy or sleep
        record.statuses[name, "none in time"] += 1
        return
    certify(problem, answer_of(result))
    record.statuses[name, result.status] += 1
    if best is None:
        assert result.status == "infeasible"
    elif best == best:
        assert result.status != "infeasible" and result.bound <= best * (1 + 1e-9) <= result.period * (1 + 2e-9)
    record.proved += best is None or best == best


def _model(record: Record, rng: np.random.Generator) -> None:
    graph = load_model(str(rng.choice(MODELS))).graph
    hardware = load_hardware(str(rng.choice(PACKAGES)))
    objective, policy = "period", "none"
    if hardware.interconnect.topology in ("chain", "ring"):
        objective, policy = str(rng.choice(OBJECTIVES)), str(rng.choice(["none", "pretrained"]))
    total = float(hardware.times(graph).min(axis=0).sum())
    throughput = float(rng.uniform(0.2, 1.2)) * hardware.chips / total
    try:
        result = partition(
            graph, hardware, time_limit=float(rng.uniform(0.5, 2.0)), seed=int(rng.integers(0, 100)), policy=policy,
            objective=objective, throughput=throughput if objective == "chips" else None,
        )  # fmt: skip
    except NoSolutionInTime:
        record.statuses["built-in model", "none in time"] += 1
        return
    certify(as_given(graph, hardware), answer_of(result))
    record.statuses["built-in model", result.status] += 1


def table(record: Record) -> str:
    """The record in lines."""
    lines = [f"{name:<24} {status:<12} {count:6d}" for (name, status), count in sorted(record.statuses.items())]
    lines += ["", f"{'seconds':>8} {'RSS MiB':>8} {'threads':>8} {'files':>6}"]
    step = max(1, len(record.samples) // 12)
    lines += [f"{s.seconds:8.0f} {s.rss:8.1f} {s.threads:8d} {s.files:6d}" for s in record.samples[::step]]
    lines.append(
        f"{record.solves} solves, {record.proved} held against brute force, memory after the first third grows by "
        f"{record.growth():+.2f} MiB per 1000 solves"
    )
    return "\n".join(lines)


MOST_GROWTH = 20.0
"""MiB of memory between the middle third and the last that still count as noise."""


def grown(record: Record) -> list[str]:
    """What has grown between the second third of the time and the last."""
    third = len(record.samples) // 3
    before, after = record.samples[third : 2 * third], record.samples[2 * third :]
    problems = []
    for name, allowed in (("rss", MOST_GROWTH), ("threads", 0.0), ("files", 0.0)):
        first, last = (float(np.median([getattr(s, name) for s in part])) for part in (before, after))
        if last > first + allowed:
            problems.append(f"{name} grew from {first:g} to {last:g}")
    return problems
