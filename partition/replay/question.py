"""The question of a proof, read from the graph and the hardware in its file, in fractions."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from partition.errors import InvalidInput

SHARE, MOST_ANCESTORS = Fraction(1, 100), 64
"""What docs/problem.md allows a replica: of a chip's part of the time and of its SRAM, and how many ancestors."""

NEAR = Fraction(1, 10**9)
"""Relative difference from a limit that rounding may have decided either way."""

FITS = (1 + NEAR) * (1 + Fraction(1, 10**12))
"""Times its SRAM: what a chip may hold, as weights may have been added up with rounding, in whatever order."""

SOURCES = ("Input", "Constant")

RULES = frozenset({"acyclic", "no_skipping", "triangle", "memory", "dynamic_memory", "replication", "relays"})
IN_LINE, ROUTED = ("chain", "ring"), ("bichain", "biring", "mesh")
TOPOLOGIES = frozenset({*IN_LINE, *ROUTED, "crossbar", "memory"})
"""What is judged here. A proof about another rule or topology is refused, as a placement could break it unseen."""

MOST_CHIPS, MOST_TOML, MOST_DOTS = 4096, 2**19, 100
"""Chips of a package, characters of its text, and dots in a line of it, beyond which a file is refused unread."""

MOST_ORDERS = 30
"""Orders of the kinds that a claim about all of them is proved for one by one."""


@dataclass(frozen=True)
class SentTensor:
    """What one operation makes and others read; ``time`` is that of one transfer."""

    name: str
    producer: int
    size: Fraction
    time: Fraction
    readers: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ReplayQuestion:
    """A graph on a package as docs/problem.md speaks of them; operations, kinds and chips by number.

    Attributes
    ----------
    names, types : of the operations.
    times : per kind, the time of each operation; None where the kind cannot run it.
    weights, least : bytes of private weights, and the least that can stand for them.
    shared, least_shared : (bytes, users) of each weight that several operations may use.
    group : of each operation, None where it has none.
    backward : whether it is of the backward pass.
    kinds : names.
    of_chip : kind of each chip.
    free_order : whether the kinds may stand in any order.
    sram : bytes of each kind, None for no limit.
    pays : whether a kind pays for transfers.
    dram : bytes per second at which each kind streams weights that do not fit; None where it does not.
    joules : per kind, the energy of each operation.
    topology, serial, rules, positions : as in the file.
    in_turn : whether streaming takes turns with compute.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    times: tuple[tuple[Fraction | None, ...], ...]
    weights: tuple[Fraction, ...]
    least: tuple[Fraction, ...]
    shared: tuple[tuple[Fraction, tuple[int, ...]], ...]
    least_shared: tuple[tuple[Fraction, tuple[int, ...]], ...]
    group: tuple[Any, ...]
    backward: tuple[bool, ...]
    tensors: tuple[SentTensor, ...]
    joules: tuple[tuple[Fraction, ...], ...]
    kinds: tuple[str, ...]
    of_chip: tuple[int, ...]
    free_order: bool
    sram: tuple[Fraction | None, ...]
    dram: tuple[Fraction | None, ...]
    pays: tuple[bool, ...]
    topology: str
    serial: bool
    in_turn: bool
    rules: Mapping[str, bool]
    link: Mapping[str, Any]
    positions: tuple[int, ...] = field(default=())

    @property
    def chips(self) -> int:
        """Number of chips."""
        return len(self.of_chip)

    @property
    def routed(self) -> bool:
        """Whether transfers take routes over links in both directions."""
        return self.topology in ROUTED and self.chips > 1

    @property
    def in_line(self) -> bool:
        """Whether one link lies behind each chip."""
        return self.topology in IN_LINE and self.chips > 1

    def room(self, kind: int) -> Fraction | None:
        """Most bytes of weights that a chip of a kind may hold, whatever its load; None for no limit."""
        return self.sram[kind] if self.rules["memory"] and self.dram[kind] is None else None

    def streaming(self, kind: int) -> tuple[Fraction, Fraction] | None:
        """Bytes that a chip of a kind holds, and bytes per second at which it streams the rest; None if it does not."""
        size, rate = self.sram[kind], self.dram[kind]
        return (size, rate) if self.rules["memory"] and size is not None and rate is not None else None

    def work(self, kind: int, compute: Fraction, weights: Fraction) -> Fraction:
        """Time in which a chip of a kind computes, and streams what of its weights does not fit."""
        streaming = self.streaming(kind)
        if streaming is None:
            return compute
        size, rate = streaming
        stream = max(Fraction(0), weights - size) / rate
        return compute + stream if self.in_turn else max(compute, stream)

    @cached_property
    def streams(self) -> bool:
        """Whether some chip streams weights."""
        return any(self.streaming(k) is not None for k in self.of_chip)

    @cached_property
    def longest(self) -> Fraction:
        """A period that every placement keeps, however much it computes, streams and moves."""
        zero, present = Fraction(0), set(self.of_chip)
        able = ([time for k in present if (time := self.times[k][v]) is not None] for v in range(len(self.names)))
        total = sum((max(times, default=zero) for times in able), zero)
        total += 2 * sum((tensor.time for tensor in self.tensors), zero)
        if self.streams:
            held = sum(self.weights, zero) + sum((size for size, _ in self.shared), zero)
            total += held / min(rate for k in present if (rate := self.dram[k]) is not None)
        return 2 * total or Fraction(1)

    @cached_property
    def orders(self) -> tuple[tuple[int, ...], ...] | None:
        """The kinds of the chips in every order that matters, each once; None for more than :data:`MOST_ORDERS`."""
        if not self.free_order:
            return (self.of_chip,)
        order = sorted(self.of_chip)
        found = [tuple(order)]
        while rises := [i for i in range(len(order) - 1) if order[i] < order[i + 1]]:  # the next in dictionary order
            at = rises[-1]
            other = max(i for i in range(at + 1, len(order)) if order[i] > order[at])
            order[at], order[other] = order[other], order[at]
            order[at + 1 :] = reversed(order[at + 1 :])
            found.append(tuple(order))
            if len(found) > MOST_ORDERS:
                return None
        return tuple(found)

    def constrains(self, producer: int, reader: int) -> bool:
        """Whether an edge counts for the order and for the triangle rule."""
        return not (self.backward[producer] and self.backward[reader])

    def not_back(self, producer: int, reader: int) -> bool:
        """Whether the reader's home may not lie before the producer's."""
        return self.topology == "chain" or (self.rules["acyclic"] and self.constrains(producer, reader))

    def may_relay(self, tensor: SentTensor) -> bool:
        """Whether chips may forward a tensor."""
        allowed = self.rules["relays"] and self.rules["acyclic"] and self.topology in IN_LINE
        return allowed and all(self.constrains(tensor.producer, w) for w in tensor.readers)

    @cached_property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """The tensors that each operation reads."""
        found: list[list[int]] = [[] for _ in self.names]
        for t, tensor in enumerate(self.tensors):
            for w in tensor.readers:
                found[w].append(t)
        return tuple(map(tuple, found))

    @cached_property
    def replicable(self) -> frozenset[int]:
        """Operations that may run on several chips; those at the very limit are among them."""
        if not (self.rules["replication"] and self.rules["acyclic"]) or self.chips == 1:
            return frozenset()
        present = sorted(set(self.of_chip))
        slowest = [_most(self.times[k][v] for k in present) for v in range(len(self.names))]
        fastest = [_least(self.times[k][v] for k in present) for v in range(len(self.names))]
        capacities = [size for k in present if (size := self.sram[k]) is not None]
        room = SHARE * min(capacities) * (1 + NEAR) if capacities else None
        if any(time is None for time in fastest):
            return frozenset()
        limit = SHARE * sum(time for time in fastest if time is not None) / self.chips * (1 + NEAR)
        held = list(self.weights)
        for tensor in self.tensors:
            if self.types[tensor.producer] == "Input":
                held[tensor.producer] += tensor.size
        barred = {v for _, users in self.shared for v in users}
        barred |= {v for v in range(len(self.names)) if self.backward[v] or self.group[v] is not None}
        closed = self._closed(slowest, held, barred, limit, room)
        return frozenset(self._wanted(closed))

    def _closed(
        self,
        slowest: list[Fraction | None],
        held: list[Fraction],
        barred: set[int],
        limit: Fraction,
        room: Fraction | None,
    ) -> set[int]:
        """Operations that are cheap together with all their ancestors."""
        ancestors: dict[int, frozenset[int]] = {}
        for v in self.order:
            producers = {self.tensors[t].producer for t in self.reads[v]}
            if v in barred or not producers <= ancestors.keys():
                continue
            inside = frozenset({v}).union(*(ancestors[u] for u in producers))
            times = [slowest[u] for u in inside]
            if len(inside) > MOST_ANCESTORS or any(time is None for time in times):
                continue
            cheap = sum(time for time in times if time is not None) <= limit
            if cheap and (room is None or sum(held[u] for u in inside) <= room):
                ancestors[v] = inside
        return set(ancestors)

    def _wanted(self, closed: set[int]) -> set[int]:
        """Those on which more than one operation depends."""
        readers: list[set[int]] = [set() for _ in self.names]
        for tensor in self.tensors:
            readers[tensor.producer] |= set(tensor.readers)
        kept: set[int] = set()
        for v in reversed(self.order):
            if v in closed and (len(readers[v]) > 1 or (len(readers[v]) == 1 and readers[v] <= kept)):
                kept.add(v)
        return kept

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The operations, producers first.

        Raises
        ------
        InvalidInput : the graph has a cycle.
        """
        waiting = [len({self.tensors[t].producer for t in reads}) for reads in self.reads]
        readers: list[set[int]] = [set() for _ in self.names]
        for tensor in self.tensors:
            readers[tensor.producer] |= set(tensor.readers)
        ready = [v for v, count in enumerate(waiting) if not count]
        for v in ready:  # grows on the way
            for w in sorted(readers[v]):
                waiting[w] -= 1
                if not waiting[w]:
                    ready.append(w)
        if len(ready) < len(self.names):
            raise InvalidInput("the graph of the proof has a cycle; the file is damaged")
        return tuple(ready)


def _most(times: Iterable[Fraction | None]) -> Fraction | None:
    found = list(times)
    return None if any(time is None for time in found) else max(time for time in found if time is not None)


def _least(times: Iterable[Fraction | None]) -> Fraction | None:
    return min((time for time in times if time is not None), default=None)


def read_question(graph: Mapping[str, Any], hardware: str) -> ReplayQuestion:
    """The question of a file.

    Raises
    ------
    InvalidInput : a field is missing, or is not what it must be.
    """
    try:
        if len(hardware) > MOST_TOML or any(line.count(".") > MOST_DOTS for line in hardware.split("\n")):
            raise InvalidInput("the package in the proof is longer than a person writes; the file is damaged")
        return _read(graph, tomllib.loads(hardware))
    except InvalidInput:
        raise
    except (
        RecursionError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        ZeroDivisionError,
        OverflowError,
    ) as error:
        raise InvalidInput(f"the question in the proof cannot be read ({error!r}); write the proof again") from error


def _read(graph: Mapping[str, Any], hardware: Mapping[str, Any]) -> ReplayQuestion:
    rows = graph["operations"]
    names = [str(row["name"]) for row in rows]
    number = {name: v for v, name in enumerate(names)}
    tables, link = hardware["chip_kinds"], hardware["interconnect"]
    kinds = list(tables)
    unknown = sorted({*hardware["rules"]} - RULES) + sorted({str(link["topology"])} - TOPOLOGIES)
    if unknown:
        raise InvalidInput(
            f"the package in the proof has {unknown[0]!r}, which replay does not know; use a newer version"
        )
    if not 1 <= sum(int(row["count"]) for row in hardware["chips"]) <= MOST_CHIPS:
        raise InvalidInput(f"the package in the proof does not have 1 to {MOST_CHIPS} chips; the file is damaged")
    bandwidth = float(link["link_bandwidth"])
    tensors = tuple(
        SentTensor(
            str(row["name"]),
            number[row["producer"]],
            exact(row["bytes"]),
            Fraction(0) if math.isinf(bandwidth) else exact(row["bytes"]) / exact(bandwidth),
            tuple(number[name] for name in row["consumers"]),
        )
        for row in graph["tensors"]
    )
    weights = tuple(exact(row["weights"]) for row in rows)
    shared = _shared(graph["shared_weights"], number)
    computed = "least_shared_weights" in graph
    return ReplayQuestion(
        names=tuple(names),
        types=tuple(str(row["op_type"]) for row in rows),
        times=tuple(tuple(_time(name, tables[name], row) for row in rows) for name in kinds),
        weights=weights,
        least=tuple(exact(row.get("least_weights", 0.0)) for row in rows) if computed else weights,
        shared=shared,
        least_shared=_shared(graph["least_shared_weights"], number) if computed else shared,
        group=tuple(row.get("group") for row in rows),
        backward=tuple(bool(row.get("backward", False)) for row in rows),
        tensors=tensors,
        joules=tuple(tuple(_joules(tables[name], row) for row in rows) for name in kinds),
        kinds=tuple(kinds),
        of_chip=tuple(kinds.index(row["kind"]) for row in hardware["chips"] for _ in range(row["count"])),
        free_order=hardware["kind_order"] == "free" and len({row["kind"] for row in hardware["chips"]}) > 1,
        sram=tuple(_finite(tables[name]["sram_bytes"]) for name in kinds),
        dram=tuple(exact(tables[name].get("dram_bandwidth", 0.0)) or None for name in kinds),
        pays=tuple(not tables[name]["free_transfers"] for name in kinds),
        topology=str(link["topology"]),
        serial=link["transfers"] == "serial",
        in_turn=link.get("streaming") == "serial",
        rules={name: bool(value) for name, value in hardware["rules"].items()},
        link=link,
        positions=tuple(hardware.get("positions", ())),
    )


def _joules(kind: Mapping[str, Any], row: Mapping[str, Any]) -> Fraction:
    """Energy of an operation on a kind of chip."""
    compute, memory = exact(kind.get("flop_energy_j", 0.0)), exact(kind.get("sram_energy_j_per_byte", 0.0))
    return exact(row["flops"]) * compute + exact(row["bytes_accessed"]) * memory


def exact(value: Any) -> Fraction:
    """A figure of a file, as the double that it is."""
    number = float(value)
    if not (math.isfinite(number) and number >= 0.0):
        raise InvalidInput(f"the proof has the figure {value!r} where an amount must be; the file is damaged")
    return Fraction(number)


def _finite(value: Any) -> Fraction | None:
    return None if math.isinf(float(value)) else exact(value)


def _shared(rows: list[Mapping[str, Any]], number: Mapping[str, int]) -> tuple[tuple[Fraction, tuple[int, ...]], ...]:
    return tuple((exact(row["bytes"]), tuple(number[name] for name in row["users"])) for row in rows)


def _time(kind: str, table: Mapping[str, Any], row: Mapping[str, Any]) -> Fraction | None:
    """Seconds of an operation on a kind: profiled, else by the roofline; None where it cannot run there."""
    if row["op_type"] in table["unsupported"]:
        return None
    given = row.get("times", {})
    if kind in given:
        return None if given[kind] is None else exact(given[kind])
    if row["op_type"] in SOURCES or row.get("view", False):
        return Fraction(0)
    moved = Fraction(0)
    if not math.isinf(float(table["sram_bandwidth"])):
        moved = exact(row["bytes_accessed"]) / exact(table["sram_bandwidth"])
    return max(exact(row["flops"]) / exact(table["peak_flops"]), moved) + exact(table["op_overhead_s"])
