"""Blocks of chains of ideals: no valid placement has a chip with less load than the block of its nodes is charged."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import long_skip, package, random_instance, random_training_instance
from numpy.typing import NDArray

import milp.ideals.block_data
import milp.ideals.chains
import milp.ideals.window
from milp.ideals.block_data import BlockData
from milp.ideals.blocks import Blocks
from milp.ideals.enumeration import Kept, member
from milp.ideals.leaving_out import kept_nodes
from milp.ideals.program import best_chain
from partition import Graph, GraphBuilder, Hardware, Placement, check, evaluate_placement, partition
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.problem import Problem
from partition.stopping import Stop

PLACEMENTS = 60


class Charges:
    """What the blocks between all ideals of an instance are charged."""

    def __init__(self, instance: Instance, limit: float) -> None:
        self.instance = instance
        self.kept = Kept(instance, kept_nodes(instance, limit))
        words = self.kept.enumerate(5_000, Stop()) if len(self.kept.nodes) else None
        words = np.zeros((0, 1), dtype=np.uint64) if words is None else words
        size = np.bitwise_count(words).sum(axis=1).astype(float)
        words, size = words[np.argsort(size, kind="stable")], np.sort(size)  # subsets first
        self.masks = [int.from_bytes(ideal.tobytes(), "little") for ideal in words]
        self.data = BlockData(instance, self.kept)
        self.words, self.size = words, size
        self.known: dict[tuple[int, int], NDArray[np.float64]] = {}
        self.row = {mask: i for i, mask in enumerate(self.masks)}
        self.forced = 0
        self.sums = self.data.sums(words, instance.fastest) if self.masks else ()

    def beside(self, chip: NDArray[np.int64], c: int) -> tuple[float, float]:
        """Seconds that chips ``0..c`` and those behind them are charged at least, together; 0 if nothing is kept."""
        if not self.masks or not self.instance.hardware.transfers_charged.all():
            return 0.0, 0.0
        i = self.row[sum(1 << int(i) for i in np.flatnonzero(chip[self.kept.nodes] <= c))]
        before, behind, cut = (float(each[i]) * self.instance.unit for each in self.sums)
        serial = self.instance.hardware.serial
        return (before + cut, behind + cut) if serial else (max(before, cut), max(behind, cut))

    def charged(self, chip: NDArray[np.int64], c: int) -> float:
        """Seconds that chip ``c`` is charged for its kept nodes under the chips of all nodes; 0 if it has none."""
        on = chip[self.kept.nodes]
        first, last = (sum(1 << int(i) for i in np.flatnonzero(on < limit)) for limit in (c, c + 1))
        if first == last or not self.masks:
            return 0.0
        i, j = self.row[first], self.row[last]
        if (i, j) not in self.known:
            # On tables of all ideals, and of those between the two alone: then other tensors pass over all of them.
            both = [self._loads(0, len(self.masks), i, j), self._loads(i, j + 1, i, j)]
            self.known[i, j] = np.max(both, axis=0)
        kind = self.instance.hardware.kind_of_chip[c]
        return float(self.known[i, j][kind]) * self.instance.unit

    def _loads(self, begin: int, end: int, i: int, j: int) -> NDArray[np.float64]:
        blocks = Blocks(self.data, self.words[begin:end])
        first, last = np.array([i - begin]), np.array([j - begin])
        _, loads, _ = blocks.charge(first, last, np.inf)
        assert blocks.least_load(first, last)[0] <= min(loads)[0] * (1 + 1e-12)
        if self.data.forced is not None:
            received, sent, impossible = blocks.relayed(self.data.forced, first, last)
            self.forced += bool(received[0] or sent[0] or impossible[0])
        return np.concatenate(loads)


def random_placement(rng: np.random.Generator, graph: Graph, hardware: Hardware) -> Placement:
    """Homes in order along the graph, with arbitrary replicas and relays where there may be any."""
    homes = np.zeros(graph.n, dtype=np.int64)
    used = int(rng.integers(min(2, hardware.chips), hardware.chips + 1))
    homes[graph.topological_order] = np.sort(rng.integers(0, used, graph.n))
    for v in rng.permutation(graph.n):  # as far as the order allows, anywhere
        before = homes[graph.edge_source[graph.consumers == v]]
        after = homes[graph.consumers[graph.edge_source == v]]
        homes[v] = rng.integers(before.max(initial=0), after.min(initial=used - 1) + 1)
    homes = np.unique(homes, return_inverse=True)[1]
    share = float(rng.choice([0.0, 0.3, 1.0, 1.0]))
    problem = Problem.of(graph, hardware)
    may_replicate, may_relay = np.flatnonzero(problem.replicable), np.flatnonzero(problem.relayable)
    replicas = [(v, c) for v in may_replicate for c in range(homes[v] + 1, used) if rng.random() < 0.5]
    relays = [
        (t, c)
        for t in may_relay
        for c in range(homes[graph.producer[t]] + 1, homes[graph.consumers[graph.edge_tensor == t]].max(initial=0))
        if rng.random() < share
    ]
    return Placement(homes, np.array(replicas).reshape(-1, 2), np.array(relays).reshape(-1, 2))


def line_with_skips(rng: np.random.Generator) -> Graph:
    """A line of layers, most joined to the next, with skips over some; beside it layers that hang on it by one end."""
    b = GraphBuilder("line_with_skips")
    n = int(rng.integers(4, 8))
    made: list[str] = []
    if rng.random() < 0.2:
        b.operation("in", "Input", outputs={"in": float(rng.choice([0.0, 0.5]))})
        made.append("in")
    for i in range(n):
        inputs = [name for name in made[:-1] if rng.random() < 0.25]
        inputs += [name for name in made[-1:] if rng.random() < 0.9]
        light = rng.random() < 0.3
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": float(rng.integers(1, 5))},
                    flops=float(rng.integers(0, 9)) * (1e-3 if light else 1.0), bytes_accessed=0)  # fmt: skip
        if rng.random() < 0.08:
            b.operation(f"side{i}", "Op", inputs=[f"t{i}"], outputs={f"s{i}": 1.0}, flops=1.0, bytes_accessed=0)
        else:
            made.append(f"t{i}")
    if rng.random() < 0.2:  # what flows back between two layers is beyond the rules, whatever lies between
        b.operation("w0", "Op", inputs=["t0"], outputs={"g": 1.0}, flops=0.5, bytes_accessed=0, backward=True)
        inputs = ["g", str(rng.choice(made))]
        b.operation("w1", "Op", inputs=inputs, outputs={"h": 0.0}, flops=0.5, bytes_accessed=0, backward=True)
    return b.build()


def drawn(rng: np.random.Generator, seed: int) -> tuple[Graph, Hardware]:
    """Mostly what forces relays: the triangle rule, and transfers that take time."""
    if seed % 8 == 0:
        return random_training_instance(rng)
    rules = {"acyclic": True, "triangle": True, "relays": bool(seed % 3), "no_skipping": bool(rng.random() < 0.8)}
    transfers = "serial" if rules["relays"] or rng.random() < 0.5 else "overlapped"
    if seed % 4 == 1:
        return random_instance(rng, chips=4, transfers=transfers, dynamic_memory=False, **rules)
    return line_with_skips(rng), package(4, topology=str(rng.choice(["ring", "chain"])), transfers=transfers, **rules)


def look(seed: int) -> tuple[int, int]:
    """Blocks looked at, and those with forced relays."""
    rng = np.random.default_rng(seed)
    graph, hardware = drawn(rng, seed)
    if not hardware.rules.acyclic:
        return 0, 0
    instance = contract(graph, hardware)
    looked = 0
    charges = [Charges(instance, limit) for limit in (0.0, 0.2)]
    for _ in range(PLACEMENTS):
        placement = random_placement(rng, graph, hardware)
        together = all(len(set(placement.assignment[instance.node_of == v])) == 1 for v in range(instance.nodes))
        if not together or check(graph, hardware, placement):
            continue
        cost = evaluate_placement(graph, hardware, placement)
        linked = float(cost.link.max(initial=0.0))
        chip = instance.chip_of_nodes(placement)
        for each, c in ((each, c) for each in charges for c in range(hardware.chips)):
            looked += 1
            most = max(float(cost.load[0, c]), linked)
            assert each.charged(chip, c) <= most * (1 + 1e-9) + 1e-12, (seed, c)
            if hardware.serial or hardware.links == 0:
                least = each.beside(chip, c)
                sums = float(cost.load[0, : c + 1].sum()), float(cost.load[0, c + 1 :].sum())
                assert all(a <= b * (1 + 1e-9) + 1e-12 for a, b in zip(least, sums, strict=True)), (seed, c)
    return looked, sum(each.forced for each in charges)


def test_no_block_is_charged_more_than_its_chip_carries() -> None:
    looked, forced = np.array([look(seed) for seed in (*range(20), *range(40, 51))]).sum(axis=0)
    assert looked > 5_000 and forced > 20


def around_the_middle(way: str) -> tuple[Graph, Hardware]:
    """Three layers in a line, the middle one heavy, a skip over it, and something that lets another chip relay it."""
    b = GraphBuilder(way)
    if way == "replicable":  # three of them: what is cheap is so beside the work of all chips
        b.operation("in", "Input", outputs={"in": 0.0})
    b.operation("first", "Op", outputs={"a": 1.0, "skip": 3.0}, flops=3.0, bytes_accessed=0)
    mask = ["in"] if way == "replicable" else []
    b.operation("middle", "Op", inputs=["a", *mask], outputs={"b": 1.0}, flops=10.0, bytes_accessed=0)
    b.operation("last", "Op", inputs=["b", "skip", *mask], outputs={"c": 1.0}, flops=3.0, bytes_accessed=0)
    if way == "incomparable":
        b.operation("aside", "Op", inputs=["skip"], outputs={"d": 1.0}, flops=1.0, bytes_accessed=0)
    return b.build(), package(4, transfers="serial", no_skipping=way != "empty", replication=way == "replicable")


@pytest.mark.parametrize("way", ["none", "replicable", "incomparable", "empty"])
def test_a_tensor_may_get_around_a_block_by_a_chip_apart(way: str) -> None:
    graph, hardware = around_the_middle(way)
    best, _ = brute_force(as_given(graph, hardware), limit=1_000_000)
    assert best == (12.0 if way != "none" else 16.0)
    found = partition(graph, hardware, gap=1e-9)
    assert found.status == "optimal" and found.period == pytest.approx(best)


def test_skips_over_a_line_are_relayed_by_every_chip_between() -> None:
    """A network that is a line: the program over ideals alone is exact, and needs no relays in a model to be so."""
    graph, hardware = long_skip(12, size=2.0), package(4, transfers="serial")
    instance = contract(graph, hardware)
    chain, unruly = (
        best_chain(contract(graph, package), np.inf) for package in (hardware, hardware.with_rules(triangle=False))
    )
    assert chain is not None and unruly is not None and chain.period > unruly.period
    found = partition(graph, hardware, gap=1e-9)
    assert found.period == pytest.approx(chain.period * instance.unit)


@pytest.mark.parametrize("relays", [True, False])
def test_a_node_left_out_may_carry_a_tensor_around_a_block(relays: bool) -> None:
    b = GraphBuilder("aside")
    b.operation("first", "Op", outputs={"a": 1.0, "skip": 3.0}, flops=3.0, bytes_accessed=0)
    b.operation("middle", "Op", inputs=["a"], outputs={"b": 1.0}, flops=10.0, bytes_accessed=0)
    b.operation("light", "Op", inputs=["skip"], outputs={"d": 3.0}, flops=1e-3, bytes_accessed=0)
    b.operation("last", "Op", inputs=["b", "d"], outputs={"c": 1.0}, flops=3.0, bytes_accessed=0)
    graph, hardware = b.build(), package(4, transfers="serial", relays=relays)
    placement = Placement(np.array([0, 1, 2, 3]))
    assert not check(graph, hardware, placement)
    charges = Charges(contract(graph, hardware), 0.1)
    assert len(charges.kept.nodes) == 3
    assert charges.charged(placement.assignment, 1) == pytest.approx(12.0)


@pytest.mark.parametrize("topology", ["ring", "chain", "memory"])
@pytest.mark.parametrize("window", [1, 1024])
def test_what_flows_back_is_beyond_the_rule(topology: str, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a sceptic: in a line, where all is comparable, tensors that pass over a whole window were forced."""
    monkeypatch.setattr(milp.ideals.chains, "WINDOW", window)
    n, chips = 24, 12
    b = GraphBuilder("line")
    for i in range(n):
        inputs, group = [f"t{i - 1}"] if i else [], {0: 0, n - 1: 1}.get(i)
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 0.0}, flops=1.0, bytes_accessed=0, group=group)
    b.operation("w0", "Op", inputs=["t0"], outputs={"g": 0.5}, flops=0.0, bytes_accessed=0, group=0, backward=True)
    b.operation("w1", "Op", inputs=["g"], outputs={"h": 0.0}, flops=0.0, bytes_accessed=0, group=1, backward=True)
    graph, hardware = b.build(), package(chips, topology=topology, transfers="serial")
    placement = Placement(np.array([*(np.arange(n) // 2), 0, chips - 1]))
    period = float(evaluate_placement(graph, hardware, placement).period[0])
    assert not check(graph, hardware, placement) and period == 2.5
    instance = contract(graph, hardware)
    chain = best_chain(instance, 2 * period / instance.unit)
    assert chain is not None and chain.period * instance.unit <= period * (1 + 1e-9)


def test_sums_of_ideals_are_those_of_their_nodes_in_whatever_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few ideals at a time, so that most nodes are common to all of them or to none."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        instance = contract(*random_instance(rng))
        kept = Kept(instance, ~instance.replicable)
        words = kept.enumerate(5_000, Stop())
        assert words is not None
        words = words[rng.permutation(len(words))]
        chunk = int(rng.integers(1, 9))
        for module in (milp.ideals.block_data, milp.ideals.window):
            monkeypatch.setattr(module, "CHUNK", chunk)
        data = BlockData(instance, kept)
        before, behind, cut = data.sums(words, instance.fastest)
        for i, word in enumerate(member(words)[:, : len(kept.nodes)]):
            inside = np.zeros(instance.nodes, dtype=bool)
            inside[kept.nodes[word > 0]] = True
            crossing = 0.0
            for t, (tau, source) in enumerate(zip(data.tau, data.source, strict=True)):
                readers = data.readers[1][data.readers[0] == t]
                crossing += tau * (not data.both_ways[t] and inside[source] and not inside[readers].all())
            assert before[i] == pytest.approx(instance.fastest[kept.nodes][word > 0].sum(), abs=1e-12)
            assert behind[i] == pytest.approx(instance.fastest[kept.nodes][word == 0].sum(), abs=1e-12)
            assert cut[i] == pytest.approx(crossing, abs=1e-12)
