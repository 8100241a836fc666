"""Plays a placement out in SimGrid: ``/usr/bin/python3 -P benchmarks/simgrid_actors.py FILE`` (``python3-simgrid``).

Shares no code with the library. The file holds what ``inspect --json`` and ``solve --json`` print; transfers, their
sources and their routes are derived anew from the assignment, as docs/problem.md defines them. Chips are hosts, ports
and links are SimGrid links, on which concurrent transfers share the bandwidth fairly (our own simulator has one wait
for the other). Prints the mean time between inputs, over the middle of the stream, in the file's time unit.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

from simgrid import Actor as ActorOf
from simgrid import Comm, Engine, LinkInRoute, NetZone, Semaphore, this_actor

RATE = 1e9
"""Of hosts and links; with a predicted period of 1 s it makes a resolution of 1e-9 of the period."""


class Placed:
    """An answer, as the cost model's page has it."""

    def __init__(self, problem: dict[str, Any], answer: dict[str, Any]) -> None:
        self.hw = problem["hardware"]
        self.chips = self.hw["chips"]
        kinds = {kind["name"]: k for k, kind in enumerate(self.hw["kinds"])}
        self.kind = [kinds[name] for name in answer["kinds"]]
        self.charged = [not self.hw["kinds"][k]["free_transfers"] for k in self.kind]
        self.home = answer["assignment"]
        self.on = {name: {chip, *answer["replicas"].get(name, [])} for name, chip in self.home.items()}
        self.position = answer["positions"] or list(range(self.chips))
        self.compute = [0.0] * self.chips
        for row in problem["operations"]:
            for chip in self.on[row["name"]]:
                time = row["time"]
                self.compute[chip] += time if not isinstance(time, list) else time[self.kind[chip]]
        self.compute = [self.with_streaming(problem, c) for c in range(self.chips)]
        relays = defaultdict(list)
        for tensor, chip in answer["relays"]:
            relays[tensor].append(chip)
        bandwidth = self.hw["link_bandwidth"] or float("inf")
        self.tau: dict[str, float] = {}
        self.received: list[list[str]] = [[] for _ in range(self.chips)]
        self.sends: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.reached: dict[str, set[int]] = {}
        for row in problem["tensors"]:
            name, producer = row["name"], row["producer"]
            wanted = {chip for reader in row["consumers"] for chip in self.on[reader]} - self.on[producer]
            wanted |= set(relays[name])
            for chip in sorted(wanted):
                before = [r for r in relays[name] if self.home[producer] < r < chip]
                self.sends[name, max(before, default=self.home[producer])].append(chip)
                self.received[chip].append(name)
            if wanted:
                self.tau[name] = row["bytes"] / bandwidth
                self.reached[name] = wanted
        self.maker = {row["name"]: self.home[row["producer"]] for row in problem["tensors"]}

    def with_streaming(self, problem: dict[str, Any], chip: int) -> float:
        """Seconds that a chip works for an input: it computes, and streams the weights beyond its SRAM."""
        rate = self.hw["kinds"][self.kind[chip]].get("dram_bandwidth") or 0.0
        if not rate or not self.hw["rules"]["memory"]:
            return self.compute[chip]
        held = sum(row["weights"] for row in problem["operations"] if chip in self.on[row["name"]])
        for row in problem["shared_weights"]:
            held += row["bytes"] * any(chip in self.on[user] for user in row["users"])
        streamed = max(0.0, held - self.hw["kinds"][self.kind[chip]]["sram_bytes"]) / rate
        both = (self.compute[chip], streamed)
        return sum(both) if self.hw["streaming"] == "serial" else max(both)

    def route(self, source: int, target: int) -> list[tuple[int, int]]:
        """Ends of the links between two stages, by physical chip; empty where there are none."""
        topology, a, b = self.hw["topology"], self.position[source], self.position[target]
        if topology in ("chain", "ring", "bichain"):
            step = 1 if topology == "ring" or b > a else -1
            return self._walk(a, b, step, self.chips)
        if topology == "biring":
            ahead = (b - a) % self.chips
            return self._walk(a, b, 1 if ahead <= self.chips - ahead else -1, self.chips)
        if topology == "mesh":
            wide, path, at = self.hw["columns"], [], a
            while at % wide != b % wide:
                path.append((at, at + (1 if b % wide > at % wide else -1)))
                at = path[-1][1]
            while at != b:
                path.append((at, at + (wide if b > at else -wide)))
                at = path[-1][1]
            return path
        return []

    @staticmethod
    def _walk(a: int, b: int, step: int, chips: int) -> list[tuple[int, int]]:
        path = []
        while a != b:
            path.append((a, (a + step) % chips))
            a = (a + step) % chips
        return path


class Played:
    """The actors: one a chip, one for every tensor on every port and link."""

    def __init__(self, placed: Placed, inputs: int, unit: float) -> None:
        self.placed, self.inputs, self.unit = placed, inputs, unit
        self.zone = NetZone.create_full_zone("package")
        self.desk = self.zone.create_host("desk", RATE)
        self.chip = [self.zone.create_host(f"chip {c}", RATE) for c in range(placed.chips)]
        self.lines: dict[str, tuple[Any, Any]] = {}
        self.ready: dict[tuple[str, object], Any] = defaultdict(lambda: Semaphore(0))
        self.done = [[0.0] * inputs for _ in range(placed.chips)]

    def line(self, name: str) -> tuple[Any, Any]:
        """Two hosts with one link between them: a resource that transfers take their time on."""
        if name not in self.lines:
            a, b = self.zone.create_host(f"{name} a", RATE), self.zone.create_host(f"{name} b", RATE)
            link = self.zone.create_link(name, RATE)
            link.set_latency(0.0)
            link.seal()
            self.zone.add_route(a.netpoint, b.netpoint, None, None, [LinkInRoute(link)], True)
            self.lines[name] = a, b
        return self.lines[name]

    def carry(self, ends: tuple[Any, Any] | None, size: float, waits: Any, tells: list[Any]) -> None:
        """An actor: for every input wait, occupy the line, tell."""
        amount = round(size / self.unit * RATE)
        for _ in range(self.inputs):
            waits.acquire()
            if ends is not None and amount:
                Comm.sendto(ends[0], ends[1], amount)
            for semaphore in tells:
                semaphore.release()

    def compute(self, c: int, needs: list[Any], busy: float, tells: list[Any]) -> None:
        """An actor: for every input wait for all tensors, compute, tell whoever sends."""
        for i in range(self.inputs):
            for semaphore in needs:
                semaphore.acquire()
            if busy > 0:
                this_actor.execute(busy / self.unit * RATE)
            self.done[c][i] = Engine.clock
            for semaphore in tells:
                semaphore.release()

    def start(self) -> None:
        """Create all actors."""
        p, serial = self.placed, self.placed.hw["transfers"] == "serial"
        for c in range(p.chips):
            made = [(t, c) for t, source in p.sends if source == c]
            busy = p.compute[c]
            if serial and p.charged[c]:
                busy += sum(p.tau[t] for t in p.received[c]) + sum(p.tau[t] for t, _ in made)
            needs = [self.ready[t, ("at", c)] for t in p.received[c]]
            tells = [self.ready[t, ("made", c)] for t, _ in made]
            ActorOf.create(f"compute {c}", self.chip[c], self.compute, c, needs, busy, tells)
        legs: dict[str, set[tuple[int, int]]] = defaultdict(set)
        for (t, source), receivers in p.sends.items():
            tree: dict[int, set[tuple[int, int]]] = defaultdict(set)
            for chip in receivers:
                for leg in p.route(source, chip):
                    if leg not in legs[t]:
                        tree[leg[0]].add(leg)
                legs[t] |= set(p.route(source, chip))
            at = p.position[source]
            leaves = [self.ready[t, leg] for leg in sorted(tree[at])]
            direct = [c for c in receivers if not p.route(source, c)]
            leaves += [self.ready[t, ("port", c)] for c in direct]
            port = None if serial or not p.charged[source] else self.line(f"out {source}")
            self._actor(t, port, self.ready[t, ("made", source)], leaves)
            stage = {p.position[c]: c for c in receivers}
            for leg in sorted({leg for rows in tree.values() for leg in rows}):
                onward = [self.ready[t, following] for following in sorted(tree[leg[1]])]
                onward += [self.ready[t, ("port", stage[leg[1]])]] if leg[1] in stage else []
                self._actor(t, self.line(f"link {leg}"), self.ready[t, leg], onward)
        for c in range(p.chips):
            for t in p.received[c]:
                port = None if serial or not p.charged[c] else self.line(f"in {c}")
                self._actor(t, port, self.ready[t, ("port", c)], [self.ready[t, ("at", c)]])

    def _actor(self, tensor: str, ends: Any, waits: Any, tells: list[Any]) -> None:
        ActorOf.create(f"carry {tensor}", self.desk, self.carry, ends, self.placed.tau[tensor], waits, tells)


def main() -> None:
    """Read, play, print the period."""
    engine = Engine(["simgrid_actors", "--cfg=network/model:CM02", "--log=root.thresh:error"])
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    inputs, unit = data["inputs"], data["answer"]["period"]
    played = Played(Placed(data["problem"], data["answer"]), inputs, unit)
    played.start()
    played.zone.seal()
    engine.run()
    leave = [max(column) for column in zip(*played.done, strict=True)]
    first, last = inputs // 2, inputs - 1 - inputs // 8
    print(json.dumps({"period": (leave[last] - leave[first]) / (last - first) * unit}))


if __name__ == "__main__":
    main()
