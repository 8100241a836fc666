"""The package: chips of one or more kinds, the interconnect that joins them, and the rules it imposes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from partition.errors import InvalidHardware
from partition.problem.chip_kind import ChipKind, check_numbers
from partition.text import meant, shown

if TYPE_CHECKING:
    from partition.arrays import FloatArray, IntArray
    from partition.problem.graph import Graph

IN_LINE = ("chain", "ring")
"""Topologies with one link behind each chip, in one direction."""

ROUTED = ("bichain", "biring", "mesh")
"""Topologies with links in both directions and routes over several of them."""

TOPOLOGIES = (*IN_LINE, *ROUTED, "crossbar", "memory")
MOST_ROUTED = 256
"""Most chips of a package with routes."""

MOST_KINDS = 64
"""Most kinds of chips in a package; times are kept for every operation on every kind."""

TRANSFERS = STREAMING = ("overlapped", "serial")
KIND_ORDERS = ("fixed", "free")


@dataclass(frozen=True)
class Interconnect:
    """How tensors move between chips.

    Attributes
    ----------
    topology : ``"chain"`` (links ``c -> c + 1``), ``"ring"`` (the same plus the last back to the first;
        one-directional), ``"bichain"``, ``"biring"`` (links both ways; the shorter way round), ``"mesh"`` (links to
        the four neighbours, routed along the row first), ``"crossbar"`` (any chip to any chip: ports are all there is)
        or ``"memory"`` (through a main memory that is never the bottleneck: no links).
    link_bandwidth : bytes/s of one link, and of a chip's port for sending and for receiving.
    link_latency_s : seconds per hop; delays one input, takes no bandwidth.
    transfers : ``"overlapped"`` with compute (period = largest of compute, receive, send, link) or
        ``"serial"`` (a chip's load is compute + receive + send).
    link_energy_j_per_byte : joules per byte and hop.
    rows, columns : of a mesh, 0 otherwise.
    streaming : how weights come from DRAM. ``"overlapped"``: while a chip computes, so it works for the longer of the
        two. ``"serial"``: one after the other, so it works for the sum.
    """

    topology: str
    link_bandwidth: float
    link_latency_s: float = 0.0
    transfers: str = "overlapped"
    link_energy_j_per_byte: float = 0.0
    rows: int = 0
    columns: int = 0
    streaming: str = "overlapped"

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int | float) or not 0 <= size <= MOST_ROUTED or size % 1:
                raise InvalidHardware(
                    f"interconnect.{name} is {shown(size)}; it must be a whole number from 0 to {MOST_ROUTED}"
                )
            object.__setattr__(self, name, int(size))
        if self.topology not in TOPOLOGIES:
            raise InvalidHardware(
                f"interconnect.topology is {shown(self.topology)}; choose one of {', '.join(TOPOLOGIES)}"
            )
        if self.transfers not in TRANSFERS:
            raise InvalidHardware(
                f"interconnect.transfers is {shown(self.transfers)}; choose one of {', '.join(TRANSFERS)}"
            )
        if self.streaming not in STREAMING:
            raise InvalidHardware(
                f"interconnect.streaming is {shown(self.streaming)}; choose one of {', '.join(STREAMING)}"
            )
        check_numbers(self, "interconnect", positive=("link_bandwidth",), infinite=("link_bandwidth",))

    def link_count(self, chips: int) -> int:
        """Number of links of a package of ``chips`` chips; on a chain or ring link ``l`` leaves chip ``l``."""
        if chips < 2 or self.topology in ("memory", "crossbar"):
            return 0
        if self.topology == "mesh":
            return 2 * (self.rows * (self.columns - 1) + self.columns * (self.rows - 1))
        open_ended = self.topology in ("chain", "bichain") or (chips == 2 and self.topology == "biring")
        ends = chips - 1 if open_ended else chips
        return 2 * ends if self.topology in ROUTED else ends


@dataclass(frozen=True)
class Rules:
    """The hard rules, each a switch, and the two ways to make a model fit them.

    Attributes
    ----------
    acyclic : ``f(u) <= f(v)`` for every edge.
    no_skipping : the chips used are exactly ``0..max f``.
    triangle : the chip graph is its own transitive reduction.
    memory : resident weights fit the SRAM of their chip, or what does not is streamed (``ChipKind.dram_bandwidth``).
    replication : cheap operations whose inputs are small may run on several chips.
    relays : a tensor may be forwarded by chips between its producer and its consumer.
    dynamic_memory : weights, transfer buffers and live tensors fit the SRAM at every moment of some schedule of the
        chip. Off by default; it builds on ``memory``.
    """

    acyclic: bool = True
    no_skipping: bool = True
    triangle: bool = True
    memory: bool = True
    replication: bool = True
    relays: bool = True
    dynamic_memory: bool = False

    def __post_init__(self) -> None:
        for f in fields(self):
            if not isinstance(getattr(self, f.name), bool):
                raise InvalidHardware(f"rules.{f.name} is {shown(getattr(self, f.name))}; it must be true or false")
        if self.dynamic_memory and not self.memory:
            raise InvalidHardware("rules.dynamic_memory builds on rules.memory; switch both on, or both off")


@dataclass(frozen=True)
class Hardware:
    """A package of chips.

    Attributes
    ----------
    name : shown in results.
    kinds : the chip kinds.
    kind_of_chip : for each chip ``0..C-1`` (on routed topologies: each stage) the position of its kind in ``kinds``.
    interconnect, rules : see there.
    time_unit : ``"s"``, or the unit that profiled times of a device-placement file are given in.
    kind_order : ``"fixed"``, or ``"free"`` where chips of different kinds may stand anywhere along the pipeline:
        the solver then chooses the order, and the hardware of its result has ``kind_of_chip`` in that order.
    positions : on routed topologies the physical chip of each stage of the pipeline, a permutation; empty for the order
        in which neighbours follow one another. Where all chips are of one kind the solver chooses;
        the hardware of its result has what it chose.
    """

    name: str
    kinds: tuple[ChipKind, ...]
    kind_of_chip: tuple[int, ...]
    interconnect: Interconnect
    rules: Rules = field(default_factory=Rules)
    time_unit: str = "s"
    kind_order: str = "fixed"
    positions: tuple[int, ...] = ()

    def __repr__(self) -> str:
        kinds = ", ".join(kind.name for kind in self.kinds)
        return f"<Hardware {self.name}: {self.chips} chips of {kinds}, {self.interconnect.topology}>"

    def __post_init__(self) -> None:
        for name in ("kinds", "kind_of_chip", "positions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_places()
        if self.kind_order not in KIND_ORDERS:
            raise InvalidHardware(f"kind_order is {shown(self.kind_order)}; choose one of {', '.join(KIND_ORDERS)}")
        if not self.kind_of_chip:
            raise InvalidHardware(f"hardware {self.name!r} has no chips; give at least one")
        if any(not 0 <= k < len(self.kinds) for k in self.kind_of_chip):
            raise InvalidHardware(f"hardware {self.name!r} has a chip of a kind that is not described")
        if len(self.kinds) > MOST_KINDS:
            raise InvalidHardware(
                f"hardware {self.name!r} describes {len(self.kinds)} kinds of chips; a package has at most {MOST_KINDS}"
            )
        if self.rules.dynamic_memory and self.streams:
            raise InvalidHardware(
                f"hardware {self.name!r} has rule dynamic_memory and chips with dram_bandwidth; what a chip holds at a "
                "moment is not modelled where weights come and go, so switch one of them off"
            )
        if len({kind.name for kind in self.kinds}) != len(self.kinds):
            raise InvalidHardware(f"hardware {self.name!r} describes two chip kinds of the same name")
        if not self.rules.acyclic and self.interconnect.topology == "chain" and self.chips > 1:
            raise InvalidHardware(
                f"hardware {self.name!r}: a chain carries tensors forward only, so rule acyclic cannot be off; "
                "use topology ring or memory"
            )

    def _check_places(self) -> None:
        link, count = self.interconnect, len(self.kind_of_chip)
        if link.topology == "mesh" and link.rows * link.columns != count:
            raise InvalidHardware(
                f"hardware {self.name!r} has {count} chips, but its mesh has {link.rows} rows of {link.columns}; "
                "rows times columns must be the number of chips"
            )
        if link.topology != "mesh" and (link.rows or link.columns):
            raise InvalidHardware(f"hardware {self.name!r} gives rows or columns, which belong to topology mesh")
        if link.topology in ROUTED and count > MOST_ROUTED:
            raise InvalidHardware(
                f"hardware {self.name!r} has {count} chips; a {link.topology} has at most {MOST_ROUTED}"
            )
        whole = all(isinstance(q, int | np.integer) and not isinstance(q, bool) for q in self.positions)
        permuted = whole and link.topology in ROUTED and sorted(self.positions) == list(range(count))
        if self.positions and not permuted:
            raise InvalidHardware(
                f"positions of {self.name!r} must be a permutation of 0..{count - 1}, on one of {', '.join(ROUTED)}"
            )

    @property
    def routed(self) -> bool:
        """Whether transfers take routes over several links, so that the places of the stages matter."""
        return self.interconnect.topology in ROUTED and self.chips > 1

    @property
    def in_line(self) -> bool:
        """Whether there is one link behind each chip, which carries all that the chip sends and more."""
        return self.links > 0 and not self.routed

    @property
    def stage_positions(self) -> tuple[int, ...]:
        """Physical chip of every stage; by default neighbours follow one another (to and fro on a mesh)."""
        if self.positions or self.interconnect.topology != "mesh":
            return self.positions or tuple(range(self.chips))
        columns = self.interconnect.columns
        rows = (range(r * columns, (r + 1) * columns) for r in range(self.interconnect.rows))
        return tuple(chip for r, row in enumerate(rows) for chip in (reversed(row) if r % 2 else row))

    def ports_only(self) -> Hardware:
        """The same package if its links were never the bottleneck: a relaxation."""
        if not self.routed:
            return self
        link = replace(self.interconnect, topology="crossbar", rows=0, columns=0)
        return replace(self, interconnect=link, positions=())

    @property
    def chips(self) -> int:
        """Number of chips ``C``."""
        return len(self.kind_of_chip)

    @property
    def links(self) -> int:
        """Number of links."""
        return self.interconnect.link_count(self.chips)

    @property
    def identical_chips(self) -> bool:
        """Whether all chips are of one kind."""
        return len(set(self.kind_of_chip)) == 1

    @property
    def serial(self) -> bool:
        """Whether transfers take turns with compute."""
        return self.interconnect.transfers == "serial"

    @property
    def streams_in_turn(self) -> bool:
        """Whether streaming weights takes turns with compute."""
        return self.interconnect.streaming == "serial"

    @property
    def relays_allowed(self) -> bool:
        """Relays forward along a chain or ring: they need its links and the acyclic rule."""
        return self.rules.relays and self.rules.acyclic and self.interconnect.topology in IN_LINE

    @property
    def replication_allowed(self) -> bool:
        """Replicas sit on chips after their home: they need the acyclic rule."""
        return self.rules.replication and self.rules.acyclic

    @property
    def sram_bytes(self) -> FloatArray:
        """(C,) capacity of each chip."""
        return np.array([self.kinds[k].sram_bytes for k in self.kind_of_chip])

    @property
    def stream_bandwidth(self) -> FloatArray:
        """(C,) bytes/s at which each chip streams what its SRAM cannot hold; 0 where it does not stream.

        Without rule ``memory`` SRAM has no limit, so nothing is streamed.
        """
        if not self.rules.memory:
            return np.zeros(self.chips)
        rate = [k.dram_bandwidth if math.isfinite(k.sram_bytes) else 0.0 for k in self.kinds]
        return np.array([rate[k] for k in self.kind_of_chip])

    @property
    def streams(self) -> bool:
        """Whether some chip of the package streams weights."""
        return bool(self.stream_bandwidth.any())

    @property
    def room(self) -> FloatArray:
        """(C,) most bytes of weights that rule ``memory`` allows a chip; infinity where it streams, or the rule is off.

        Whoever proves something of memory goes by this, not by ``sram_bytes``.
        """
        limited = self.rules.memory & (self.stream_bandwidth == 0)
        return np.where(limited, self.sram_bytes, np.inf)

    @property
    def room_of_kinds(self) -> FloatArray:
        """(K,) the same of each kind; infinity for kinds of which there is no chip."""
        found = np.full(len(self.kinds), np.inf)
        found[list(self.kind_of_chip)] = self.room
        return found

    def streaming_times(self, weights: FloatArray) -> FloatArray:
        """(..., C) seconds in which chips stream what of their ``weights`` (..., C), in bytes, the SRAM cannot hold."""
        rate = self.stream_bandwidth
        over = np.maximum(weights - self.sram_bytes, 0.0)
        return np.divide(over, rate, out=np.zeros_like(over), where=rate > 0)

    def with_rules(self, **switches: bool) -> Hardware:
        """A copy with some rules switched."""
        return replace(self, rules=replace(self.rules, **switches))

    def times(self, graph: Graph, *, parts: int = 1, moved: FloatArray | None = None) -> FloatArray:
        """(K, n) seconds of each operation on each chip kind, in the order of ``kinds``.

        Roofline: ``max(flops / peak_flops, bytes_accessed / sram_bandwidth) + op_overhead_s``; operations
        that stand for inputs and constants, and views, take none; profiled times of the graph override it. Infinity
        where a kind does not support an operation.

        Parameters
        ----------
        parts : seconds of one of so many equal parts of each operation.
        moved : (n,) bytes that such a part reads and writes; ``bytes_accessed`` if None.
        """
        moved = graph.bytes_accessed if moved is None else moved
        return np.stack([_times_on(kind, graph, parts, moved) for kind in self.kinds])

    def transfer_times(self, graph: Graph) -> FloatArray:
        """(m,) seconds that one transfer of each tensor occupies a port or a link."""
        return np.asarray(graph.tensor_bytes / self.interconnect.link_bandwidth)

    @property
    def transfers_charged(self) -> FloatArray:
        """(C,) 1.0 for chips whose receives and sends take time, 0.0 for the others."""
        return np.array([0.0 if self.kinds[k].free_transfers else 1.0 for k in self.kind_of_chip])

    @property
    def transfers_add_up(self) -> bool:
        """Whether what a chip receives and sends comes on top of its compute, on every chip of the package."""
        return self.serial and bool(self.transfers_charged.all())

    def kind_array(self) -> IntArray:
        """(C,) the kind of each chip."""
        return np.array(self.kind_of_chip, dtype=np.int64)


def _times_on(kind: ChipKind, graph: Graph, parts: int, moved: FloatArray) -> FloatArray:
    """(n,) of :meth:`Hardware.times` on one kind."""
    roofline = np.where(graph.takes_no_time, 0.0, kind.roofline(graph.flops / parts, moved))
    if kind.name in graph.profiled_times:
        profiled = graph.profiled_times[kind.name] / parts
        roofline = np.where(np.isnan(profiled), roofline, profiled)
    if kind.unsupported:
        cannot = np.isin(np.array(graph.op_types), list(kind.unsupported))
        roofline = np.where(cannot, np.inf, roofline)
    return roofline


def override(hardware: Hardware, settings: Mapping[str, object]) -> Hardware:
    """A copy with single settings replaced, e.g. ``{"transfers": "serial", "triangle": False}``.

    Keys are the field names of :class:`Interconnect`, :class:`Rules` and :class:`ChipKind` (all kinds).
    """
    for key, value in settings.items():
        if key in {f.name for f in fields(Rules)}:
            hardware = replace(hardware, rules=replace(hardware.rules, **{key: value}))  # type: ignore[arg-type]
        elif key in {f.name for f in fields(Interconnect)}:
            hardware = replace(hardware, interconnect=replace(hardware.interconnect, **{key: value}))  # type: ignore[arg-type]
        elif key in {f.name for f in fields(ChipKind)} - {"name"}:
            hardware = replace(hardware, kinds=tuple(replace(kind, **{key: value}) for kind in hardware.kinds))  # type: ignore[arg-type]
        else:
            known = sorted({f.name for t in (Rules, Interconnect, ChipKind) for f in fields(t)} - {"name"})
            raise InvalidHardware(
                f"unknown hardware setting {key!r}{meant(key, known)}; choose from {', '.join(known)}"
            )
    return hardware
