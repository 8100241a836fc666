"""The simulation itself, on SimPy: chips, ports and links are resources, every tensor of every input a process."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Generator
from typing import Any

import numpy as np

from partition.arguments import MOST_INPUTS, whole
from partition.errors import InvalidInput
from partition.extras import require
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.scoring.cost import evaluate_placement
from partition.simulate.outcome import Simulation, Span
from partition.simulate.tasks import ChipTask, Hop, InputTasks, plan

Steps = Generator[Any, Any, None]


def simulate(
    graph: Graph,
    hardware: Hardware,
    placement: Placement,
    *,
    inputs: int = 100,
    buffers: float = math.inf,
    record: int = 0,
) -> Simulation:
    """Play out a stream of inputs that are all there from the start.

    A chip runs a task once the tensors it needs have arrived, for the earliest input first. A tensor leaves through the
    sender's port, crosses one link after the other and enters through the receiver's port. It occupies each for its
    transfer time. With serial transfers, ports and compute of a chip are one resource.

    Parameters
    ----------
    inputs : length of the stream.
    buffers : for how many inputs a chip can hold a tensor that it receives, and one
        that it sends, at the same time; a sender waits while a receiver is full.
    record : inputs, from the first, of which all spans are kept.

    Raises
    ------
    InvalidInput : simpy is not installed, or a number does not make sense.
    InvalidAssignment : a tensor cannot be routed.
    """
    require("simulating", "simulate")
    import simpy

    whole("inputs", inputs, least=4, most=MOST_INPUTS)
    whole("record", record)
    if buffers != math.inf:
        whole("buffers", int(buffers) if isinstance(buffers, float) and buffers.is_integer() else buffers, least=1)
    alone = _Package(simpy, graph, hardware, placement, 1, buffers, 0)
    alone.play()
    stream = _Package(simpy, graph, hardware, placement, inputs, buffers, record)
    stream.play()
    return stream.told(latency_alone=float(alone.ended[0] - min(alone.begun[0], alone.ended[0])))


class _Package:
    """Resources, and the processes that use them."""

    def __init__(
        self,
        simpy: Any,
        graph: Graph,
        hardware: Hardware,
        placement: Placement,
        inputs: int,
        buffers: float,
        record: int,
    ) -> None:
        self.simpy, self.graph, self.hw, self.inputs, self.buffers = simpy, graph, hardware, inputs, buffers
        self.record = record
        self.plan: InputTasks = plan(graph, hardware, placement)
        self.predicted = float(evaluate_placement(graph, hardware, placement).period[0])
        self.env = simpy.Environment()
        chips, charged = range(hardware.chips), hardware.transfers_charged
        self.charged = [bool(c) for c in charged]
        self.chip = [simpy.PriorityResource(self.env) for _ in chips]
        ports = self.chip if hardware.serial else None
        self.into = ports or [simpy.PriorityResource(self.env) for _ in chips]
        self.out = ports or [simpy.PriorityResource(self.env) for _ in chips]
        self.link = [simpy.PriorityResource(self.env) for _ in range(hardware.links)]
        self.arrived: dict[tuple[int, int, int], Any] = defaultdict(self.env.event)  # (tensor, chip, input)
        self.done: dict[tuple[int, int], Any] = defaultdict(self.env.event)  # (task, input)
        self.made: dict[tuple[int, int, int], Any] = defaultdict(self.env.event)  # (tensor, source, input)
        self.room: dict[tuple[str, int, int], Any] = {}
        self.readers: dict[tuple[int, int], int] = defaultdict(int)  # (tensor, chip) -> tasks and relays there
        self.left: dict[tuple[int, int, int], int] = {}
        self.spans: list[Span] = []
        self.used: dict[tuple[str, int], list[tuple[int, float, float]]] = defaultdict(list)  # input, begin, end
        self.begun, self.ended = np.full(inputs, np.inf), np.zeros(inputs)

    def play(self) -> None:
        """Let all inputs through.

        Raises
        ------
        InvalidInput : the chips wait for one another.
        """
        for task in self.plan.tasks:
            for tensor in task.needs:
                self.readers[tensor, task.chip] += 1
        for hop in self.plan.hops:
            if hop.relayed:
                self.readers[hop.tensor, hop.source] += 1
        for number, task in enumerate(self.plan.tasks):
            self.env.process(self._computing(number, task))
        for hop in self.plan.hops:
            self.env.process(self._sending(hop))
        self.env.run()
        if self.ended.min() <= 0 and self.predicted > 0:
            raise InvalidInput("the simulated package came to a standstill: the chips wait for one another")

    def told(self, latency_alone: float) -> Simulation:
        """The figures of a stream that has been played."""
        period, begin, end = self._steady()
        share = {where: _within(rows, begin, end) / (end - begin) for where, rows in self.used.items() if end > begin}
        return Simulation(
            predicted=self.predicted,
            period=period,
            latencies=self.ended - np.minimum(self.begun, self.ended),
            latency_alone=latency_alone,
            chip_busy=np.array([share.get(("chip", c), 0.0) for c in range(self.hw.chips)]),
            link_busy=np.array([share.get(("link", link), 0.0) for link in range(self.hw.links)]),
            inputs=self.inputs,
            measured=_measured(self.inputs),
            buffers=self.buffers,
            time_unit=self.hw.time_unit,
            spans=tuple(self.spans),
        )

    def _steady(self) -> tuple[float, float, float]:
        """The period while the pipeline is full, and from when to when that was measured.

        It is the time that the busiest resource takes for the work of one input, pauses included: from when it is done
        with one input to when it is done with a later one, over the work it did meanwhile in inputs. So it is never
        less than its load.
        """
        resources: dict[tuple[str, int], list[tuple[int, float, float]]] = defaultdict(list)
        for (kind, number), rows in self.used.items():
            resources["chip" if self.hw.serial and kind != "link" else kind, number] += rows
        loads = {where: _within(rows, 0.0, np.inf) / self.inputs for where, rows in resources.items()}
        if not loads or max(loads.values()) <= 0:
            return 0.0, 0.0, 0.0
        busiest = max(loads, key=lambda where: loads[where])
        done = np.zeros(self.inputs)
        for i, _, until in resources[busiest]:
            done[i] = max(done[i], until)
        first, last = _measured(self.inputs)
        begin, end = float(done[first]), float(done[last])
        work = _within(resources[busiest], begin, end) / loads[busiest]
        return max((end - begin) / work, self.predicted), begin, end  # but for rounding it is no less

    # --- processes ------------------------------------------------------------------------------------------

    def _computing(self, number: int, task: ChipTask) -> Steps:
        """One task, input by input."""
        for i in range(self.inputs):
            waits = [self.arrived[t, task.chip, i] for t in task.needs] + [self.done[j, i] for j in task.after]
            if waits:
                yield self.env.all_of(waits)
            for tensor in task.makes:
                yield from self._take("sent", tensor, task.chip)
            yield from self._hold(self.chip[task.chip], ("chip", task.chip), "compute", i, task.seconds)
            for tensor in task.needs:
                self._read(tensor, task.chip, i)
            for tensor in task.makes:
                self.made[tensor, task.chip, i].succeed()
            self.done[number, i].succeed()
            yield self.env.timeout(0)  # what this input asks for next goes before the next input

    def _sending(self, hop: Hop) -> Steps:
        """One tensor from one source, input by input."""
        tau, name = self.plan.tau[hop.tensor], self.graph.tensor_names[hop.tensor]
        for i in range(self.inputs):
            key = hop.tensor, hop.source, i
            yield (self.arrived if hop.relayed else self.made)[key]
            for chip in hop.receivers:
                yield from self._take("received", hop.tensor, chip)
            paid = tau if self.charged[hop.source] else 0.0
            yield from self._hold(self.out[hop.source], ("send", hop.source), name, i, paid)
            if hop.relayed:
                self._read(hop.tensor, hop.source, i)
            else:
                self._give("sent", hop.tensor, hop.source)
            for leg in hop.legs:
                self.env.process(self._travelling(hop, leg, i))

    def _travelling(self, hop: Hop, leg: tuple[tuple[int, int], ...], i: int) -> Steps:
        """Along the links of one branch, a copy left with every receiver on the way."""
        tau, name = self.plan.tau[hop.tensor], self.graph.tensor_names[hop.tensor]
        for link, chip in leg:
            if link >= 0:
                yield from self._hold(self.link[link], ("link", link), name, i, tau)
            if self.hw.interconnect.link_latency_s:
                yield self.env.timeout(self.hw.interconnect.link_latency_s)
            if chip >= 0:
                self.env.process(self._receiving(hop.tensor, chip, i))

    def _receiving(self, tensor: int, chip: int, i: int) -> Steps:
        paid = self.plan.tau[tensor] if self.charged[chip] else 0.0
        yield from self._hold(self.into[chip], ("receive", chip), self.graph.tensor_names[tensor], i, paid)
        self.arrived[tensor, chip, i].succeed()

    # --- resources ------------------------------------------------------------------------------------------

    def _hold(self, resource: Any, where: tuple[str, int], what: str, i: int, seconds: float) -> Steps:
        """Occupy a resource; earlier inputs go first."""
        with resource.request(priority=i) as turn:
            yield turn
            begin = self.env.now
            yield self.env.timeout(seconds)
        end = self.env.now
        self.begun[i] = min(self.begun[i], begin)
        self.ended[i] = max(self.ended[i], end)
        self.used[where].append((i, begin, end))
        if i < self.record and seconds:
            self.spans.append(Span(where, what, i, begin, end))

    def _take(self, kind: str, tensor: int, chip: int) -> Steps:
        """Wait for a free buffer."""
        if self.buffers == math.inf:
            return
        key = kind, tensor, chip
        if key not in self.room:
            self.room[key] = self.simpy.Container(self.env, init=int(self.buffers), capacity=int(self.buffers))
        yield self.room[key].get(1)

    def _give(self, kind: str, tensor: int, chip: int) -> None:
        if self.buffers != math.inf:
            self.room[kind, tensor, chip].put(1)

    def _read(self, tensor: int, chip: int, i: int) -> None:
        """A reader is done with a received tensor; the last one frees its buffer."""
        left = self.left.get((tensor, chip, i), self.readers[tensor, chip]) - 1
        self.left[tensor, chip, i] = left
        if not left:
            del self.left[tensor, chip, i]
            self._give("received", tensor, chip)


def _measured(inputs: int) -> tuple[int, int]:
    """First and last input between which figures are measured: half fill the pipeline, an eighth empties it."""
    first = inputs // 2
    return first, max(first + 1, inputs - 1 - inputs // 8)


def _within(rows: list[tuple[int, float, float]], begin: float, end: float) -> float:
    """Time in use between two moments."""
    table = np.array(rows)
    return float(np.clip(np.minimum(table[:, 2], end) - np.maximum(table[:, 1], begin), 0.0, None).sum())
