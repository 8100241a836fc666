"""What a question can contain, in one list, and which of it a line of reasoning covers.

Every engine that proves something states its :class:`Scope` beside its code: the features that its argument was made
for, and those that it refuses, each with the reason. A feature in neither list fails
``tests/partition/instance/test_features.py``, so that no engine meets silently what it never heard of. docs/proof.md
shows all scopes as a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from partition.instance.instance import Instance


class Feature(Enum):
    """One thing that a question contains or not; the value is its name in the tables."""

    CHAIN = "topology chain"
    RING = "topology ring"
    ROUTES = "routes over links both ways"
    CROSSBAR = "topology crossbar"
    MAIN_MEMORY = "topology memory"
    POSITIONS = "positions given"
    OVERLAPPED = "overlapped transfers"
    SERIAL = "serial transfers"
    INSTANT_LINKS = "links of infinite bandwidth"
    ACYCLIC = "rule acyclic"
    ANY_ORDER = "rule acyclic off"
    NO_SKIPPING = "rule no_skipping"
    SKIPPING = "rule no_skipping off"
    TRIANGLE = "rule triangle"
    LIMITED_MEMORY = "finite SRAM"
    DYNAMIC_MEMORY = "rule dynamic_memory"
    STREAMING = "weights streamed from DRAM"
    STREAMING_IN_TURN = "streaming in turn with compute"
    REPLICAS = "operations that may be replicated"
    RELAYS = "tensors that may be relayed"
    MIXED_KINDS = "kinds in a fixed order"
    FREE_ORDER = "kinds in a free order"
    UNSUPPORTED = "operations that some kind cannot run"
    FREE_TRANSFERS = "kinds with free transfers"
    SHARED_WEIGHTS = "weights that several operations share"
    UNUSED_WEIGHTS = "weights that no operation uses"
    COMPUTED_WEIGHTS = "weights that are computed from others"
    GROUPS = "colocation groups"
    CUTS = "cuts"
    FORCED_CYCLES = "groups whose paths make cycles"
    FREE_EDGES = "edges of the backward pass that constrain nothing"
    SEVERAL_TENSORS = "several tensors from one operation"
    UNREAD_TENSORS = "tensors that nobody reads"
    PROFILED_TIMES = "profiled times"
    ZERO_TIMES = "operations that take no time"
    THROUGHPUT = "a required throughput"
    TRAFFIC = "goal traffic"
    ENERGY = "goal energy"
    LATENCY = "goal latency"
    CHIPS = "goal chips"
    MOVES = "goal moves"


GOALS = (Feature.TRAFFIC, Feature.ENERGY, Feature.LATENCY, Feature.CHIPS, Feature.MOVES)

ABSORBED = frozenset(
    {
        Feature.POSITIONS, Feature.UNUSED_WEIGHTS, Feature.GROUPS, Feature.FORCED_CYCLES, Feature.SEVERAL_TENSORS,
        Feature.UNREAD_TENSORS, Feature.PROFILED_TIMES, Feature.COMPUTED_WEIGHTS, Feature.INSTANT_LINKS,
        Feature.THROUGHPUT,
    }
)  # fmt: skip
"""What the contraction turns into nodes, times and rows like any others, before an engine sees it. A required
throughput is one more threshold, and bounds over routes are over all positions. Where chips could hold what weights are
computed from, "nothing fits" is claimed of the least weights alone."""

PERIOD_ALONE: Mapping[Feature, str] = dict.fromkeys(GOALS, "it speaks of the period alone")
"""What engines refuse that bound the period."""

PORTS_FOR_ROUTES = "it is given ports instead, a relaxation (Hardware.ports_only)"
"""Why engines for links refuse routes."""


def named(text: str) -> frozenset[Feature]:
    """Features by their names in :class:`Feature`, separated by spaces."""
    return frozenset(Feature[name] for name in text.split())


@dataclass(frozen=True)
class Scope:
    """What one engine's reasoning is about.

    Attributes
    ----------
    engine, claims : its name, and what it says that no placement contradicts.
    covers : features that the reasoning was made for.
    refuses : feature -> why the engine is not asked where it is present.
    """

    engine: str
    claims: str
    covers: frozenset[Feature]
    refuses: Mapping[Feature, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        both = self.covers & set(self.refuses)
        assert not both, f"{self.engine} covers and refuses {sorted(feature.value for feature in both)}"

    def admits(self, features: frozenset[Feature]) -> bool:
        """Whether the reasoning covers all of these; a feature it does not list is refused."""
        return features <= self.covers

    @property
    def unlisted(self) -> frozenset[Feature]:
        """Features that nobody has thought about; there must be none."""
        return frozenset(Feature) - self.covers - set(self.refuses)


FIELDS: Mapping[str, tuple[Feature, ...]] = {
    "Hardware.name": (), "Hardware.kinds": (Feature.MIXED_KINDS, Feature.FREE_ORDER),
    "Hardware.kind_of_chip": (Feature.MIXED_KINDS, Feature.FREE_ORDER), "Hardware.interconnect": (),
    "Hardware.rules": (), "Hardware.time_unit": (), "Hardware.kind_order": (Feature.FREE_ORDER,),
    "Hardware.positions": (Feature.POSITIONS,),
    "ChipKind.name": (), "ChipKind.peak_flops": (), "ChipKind.sram_bytes": (Feature.LIMITED_MEMORY,),
    "ChipKind.sram_bandwidth": (), "ChipKind.op_overhead_s": (), "ChipKind.flop_energy_j": (Feature.ENERGY,),
    "ChipKind.sram_energy_j_per_byte": (Feature.ENERGY,), "ChipKind.unsupported": (Feature.UNSUPPORTED,),
    "ChipKind.free_transfers": (Feature.FREE_TRANSFERS,), "ChipKind.dram_bandwidth": (Feature.STREAMING,),
    "Interconnect.topology": (
        Feature.CHAIN, Feature.RING, Feature.ROUTES, Feature.CROSSBAR, Feature.MAIN_MEMORY,
    ),
    "Interconnect.link_bandwidth": (Feature.INSTANT_LINKS,), "Interconnect.link_latency_s": (Feature.LATENCY,),
    "Interconnect.transfers": (Feature.OVERLAPPED, Feature.SERIAL),
    "Interconnect.link_energy_j_per_byte": (Feature.ENERGY,),
    "Interconnect.rows": (Feature.ROUTES,), "Interconnect.columns": (Feature.ROUTES,),
    "Interconnect.streaming": (Feature.STREAMING_IN_TURN,),
    "Rules.acyclic": (Feature.ACYCLIC, Feature.ANY_ORDER), "Rules.no_skipping": (Feature.NO_SKIPPING, Feature.SKIPPING),
    "Rules.triangle": (Feature.TRIANGLE,), "Rules.memory": (Feature.LIMITED_MEMORY,),
    "Rules.replication": (Feature.REPLICAS,), "Rules.relays": (Feature.RELAYS,),
    "Rules.dynamic_memory": (Feature.DYNAMIC_MEMORY,),
    "Graph.name": (), "Graph.names": (), "Graph.op_types": (Feature.UNSUPPORTED,), "Graph.flops": (Feature.ZERO_TIMES,),
    "Graph.bytes_accessed": (Feature.ZERO_TIMES,), "Graph.weights": (Feature.LIMITED_MEMORY,), "Graph.tensor_names": (),
    "Graph.tensor_bytes": (), "Graph.producer": (Feature.SEVERAL_TENSORS,), "Graph.consumer_ptr": (),
    "Graph.consumers": (Feature.UNREAD_TENSORS,), "Graph.shared_names": (),
    "Graph.shared_bytes": (Feature.SHARED_WEIGHTS,), "Graph.shared_ptr": (Feature.UNUSED_WEIGHTS,),
    "Graph.shared_users": (Feature.SHARED_WEIGHTS,), "Graph.group": (Feature.GROUPS, Feature.FORCED_CYCLES),
    "Graph.backward": (Feature.FREE_EDGES,),
    "Graph.profiled_times": (Feature.PROFILED_TIMES, Feature.UNSUPPORTED),
    "Graph.unknown_operators": (), "Graph.least": (Feature.COMPUTED_WEIGHTS,), "Graph.guessed": (), "Graph.modules": (),
    "Graph.limits": (Feature.CUTS,), "Graph.views": (Feature.ZERO_TIMES,), "Graph.shapes": (), "Graph.cut_axes": (),
    "Graph.dims": (), "Graph.results": (),
}  # fmt: skip
"""Every field that a user can set -> the features it can bring; none for names and plain figures."""


def features_of(instance: Instance) -> frozenset[Feature]:
    """What a contracted question contains; goals are the caller's to add."""
    return frozenset(feature for feature, present in _presence(instance).items() if present)


def _presence(instance: Instance) -> dict[Feature, bool]:
    hw, graph = instance.hardware, instance.graph
    link, rules, several = hw.interconnect, hw.rules, hw.chips > 1
    times = instance.problem.times[instance.problem.present]
    users = np.diff(graph.shared_ptr)
    inside = graph.group >= 0
    nodes = instance.node_of[inside]  # of a group alone, unless a cycle joins it with others
    cycles = len(np.unique(nodes)) < len(np.unique(graph.group[inside])) or bool(
        np.isin(instance.node_of[~inside], nodes).any()
    )
    named = graph.profiled_times.keys() & {hw.kinds[k].name for k in set(hw.kind_of_chip)}
    return {
        Feature.CHAIN: link.topology == "chain" and several,
        Feature.RING: link.topology == "ring" and several,
        Feature.ROUTES: hw.routed,
        Feature.CROSSBAR: link.topology == "crossbar" and several,
        Feature.MAIN_MEMORY: link.topology == "memory" and several,
        Feature.POSITIONS: bool(hw.positions),
        Feature.OVERLAPPED: not hw.serial,
        Feature.SERIAL: hw.serial,
        Feature.INSTANT_LINKS: bool(np.isinf(link.link_bandwidth)),
        Feature.ACYCLIC: rules.acyclic,
        Feature.ANY_ORDER: not rules.acyclic,
        Feature.NO_SKIPPING: rules.no_skipping,
        Feature.SKIPPING: not rules.no_skipping,
        Feature.TRIANGLE: rules.triangle,
        Feature.LIMITED_MEMORY: bool(np.isfinite(hw.room).any()),
        Feature.DYNAMIC_MEMORY: rules.dynamic_memory,
        Feature.STREAMING: hw.streams,
        Feature.STREAMING_IN_TURN: hw.streams and hw.streams_in_turn,
        Feature.REPLICAS: bool(instance.replicable.any()),
        Feature.RELAYS: hw.relays_allowed and several,
        Feature.MIXED_KINDS: not hw.identical_chips and hw.kind_order == "fixed",
        Feature.FREE_ORDER: not hw.identical_chips and hw.kind_order == "free",
        Feature.UNSUPPORTED: bool(np.isinf(times).any()),
        Feature.FREE_TRANSFERS: not bool(hw.transfers_charged.all()),
        Feature.SHARED_WEIGHTS: bool((users > 0).any()),
        Feature.UNUSED_WEIGHTS: bool((users == 0).any()),
        Feature.COMPUTED_WEIGHTS: graph.least is not None,
        Feature.GROUPS: bool(inside.any()),
        Feature.CUTS: len(instance.before) > 0,
        Feature.FORCED_CYCLES: cycles,
        Feature.FREE_EDGES: not bool(instance.reader_constrains.all()),
        Feature.SEVERAL_TENSORS: len(np.unique(graph.producer)) < graph.m,
        Feature.UNREAD_TENSORS: bool((np.diff(graph.consumer_ptr) == 0).any()),
        Feature.PROFILED_TIMES: bool(named),
        Feature.ZERO_TIMES: bool((times == 0).any()),
    }
