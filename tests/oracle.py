"""The independent checker: rules and cost in plain Python, from what the user gave alone.

It shares no code with the library, takes no figure or flag that the library derived, and follows docs/problem.md to
the letter. ``problem`` is ``{"graph": ..., "hardware": ...}``: the graph's JSON (docs/formats.md) and the hardware's
TOML (docs/hardware.md) as parsed data, with whatever they leave out left out, and ``"wishes"`` if there are any.
``answer`` is what
``cli.py solve ... --json`` prints.
"""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

from wish_draws import Wanted

TOLERANCE = 1e-9

KIND = {
    "sram_bytes": math.inf, "sram_bandwidth": math.inf, "op_overhead_s": 0.0, "flop_energy_j": 0.0,
    "sram_energy_j_per_byte": 0.0, "unsupported": [], "free_transfers": False, "dram_bandwidth": 0.0,
}  # fmt: skip
"""What a kind of chip is where its table does not say."""

LINK = {
    "link_latency_s": 0.0, "transfers": "overlapped", "link_energy_j_per_byte": 0.0, "rows": 0, "columns": 0,
    "streaming": "overlapped",
}  # fmt: skip
"""The same of the interconnect."""

RULES = dict.fromkeys(("acyclic", "no_skipping", "triangle", "memory", "replication", "relays"), True) | {
    "dynamic_memory": False
}
"""The same of the rules."""


class Problem:
    """The user's data, indexed, and the questions docs/problem.md asks of it.

    Attributes
    ----------
    hw : the interconnect, ``kinds`` (tables with their ``name``), ``kind_of_chip``, ``kind_order``, ``positions``.
    operations, tensors : by name, with every field. shared : bytes and users of each shared weight.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        graph, hardware = data["graph"], data["hardware"]
        self.hw = _hardware(hardware)
        self.C = len(self.hw["kind_of_chip"])
        self.rules = RULES | hardware.get("rules", {})
        self.tensors = _tensors(graph.get("tensors", []))
        self.shared = [{"users": [], **weight} for weight in graph.get("shared_weights", [])]
        self.reads: dict[str, list[str]] = {row["name"]: [] for row in graph["operations"]}
        for name, tensor in self.tensors.items():
            for consumer in tensor["consumers"]:
                self.reads[consumer].append(name)
        self.operations = {row["name"]: self._operation(row) for row in graph["operations"]}
        self.reference: dict[str, int] | None = data.get("reference")
        self.wished = bool(data.get("wishes"))
        self.wanted = Wanted(data.get("wishes") or {}, list(self.operations), self.C)
        for v, group in self.wanted.joined({v: row["group"] for v, row in self.operations.items()}).items():
            self.operations[v]["group"] = group
        self.times = {v: [self._time_on(kind, row) for kind in self.hw["kinds"]] for v, row in self.operations.items()}
        self.topology = self.hw["topology"]
        self.routed = self.topology in ("bichain", "biring", "mesh") and self.C > 1
        self.positions = self.hw["positions"] or self.default_positions()
        self.links = {"chain": self.C - 1, "ring": self.C}.get(self.topology, 0) if self.C > 1 else 0
        self.replicable = replicable(self)

    @property
    def free_positions(self) -> bool:
        """Whether stages may stand anywhere: where there are routes, and all chips are of one kind."""
        return self.routed and len(set(self.hw["kind_of_chip"])) == 1

    def _operation(self, row: dict[str, Any]) -> dict[str, Any]:
        """All fields of an operation; SRAM traffic is inputs, outputs and weights once each where it is not given."""
        full = {"op_type": "Op", "flops": 0.0, "weights": 0.0, "group": None, "backward": False, "times": {}} | row
        full["source"] = full["op_type"] in ("Input", "Constant") or full.get("view", False)
        if "bytes_accessed" not in row:
            v = row["name"]
            touched = sum(self.tensors[t]["bytes"] for t in self.reads[v])
            touched += sum(t["bytes"] for t in self.tensors.values() if t["producer"] == v)
            touched += full["weights"] + sum(w["bytes"] for w in self.shared if v in w["users"])
            full["bytes_accessed"] = 0.0 if full["source"] else touched
        return full

    @staticmethod
    def _time_on(kind: dict[str, Any], row: dict[str, Any]) -> float:
        """Seconds on a kind, infinite where it cannot run the operation."""
        if row["op_type"] in kind["unsupported"]:
            return math.inf
        if kind["name"] in row["times"]:
            given = row["times"][kind["name"]]
            return math.inf if given is None else float(given)
        if row["source"]:
            return 0.0
        busy = max(row["flops"] / kind["peak_flops"], row["bytes_accessed"] / kind["sram_bandwidth"])
        return float(busy + kind["op_overhead_s"])

    def default_positions(self) -> list[int]:
        """Neighbours follow one another; to and fro on a mesh."""
        if self.topology != "mesh":
            return list(range(self.C))
        rows, columns = self.hw["rows"], self.hw["columns"]
        return [r * columns + (columns - 1 - x if r % 2 else x) for r in range(rows) for x in range(columns)]

    def route(self, a: int, b: int) -> list[tuple[int, int]]:
        """Links between two stages, as pairs of physical chips."""
        here, goal = self.positions[a], self.positions[b]
        links = []
        while here != goal:
            if self.topology == "mesh":
                width = self.hw["columns"]
                dx, dy = goal % width - here % width, goal // width - here // width
                following = here + (dx > 0) - (dx < 0) if dx else here + width * ((dy > 0) - (dy < 0))
            elif self.topology == "biring":
                up = (goal - here) % self.C
                following = (here + (1 if up <= self.C - up else -1)) % self.C
            else:
                following = here + (1 if goal > here else -1)
            links.append((here, following))
            here = following
        return links

    def hops(self, a: int, b: int) -> int:
        """Links between two stages."""
        if self.routed:
            return len(self.route(a, b))
        return (b - a) % self.C if self.links else 1

    def crossed(self, home: int, chips: set[int]) -> set[tuple[int, int]]:
        """Links that a tensor crosses on its way to several stages."""
        if self.routed:
            return {link for chip in chips for link in self.route(home, chip)}
        farthest = max(((chip - home) % self.C for chip in chips), default=0) if self.links else 0
        return {((home + step) % self.C, (home + step + 1) % self.C) for step in range(farthest)}

    def time(self, operation: str, chip: int) -> float:
        return self.times[operation][self.hw["kind_of_chip"][chip]]

    def capacity(self, chip: int) -> float:
        """Bytes of SRAM."""
        return float(self.hw["kinds"][self.hw["kind_of_chip"][chip]]["sram_bytes"])

    def dram(self, chip: int) -> float:
        """Bytes per second of weights that do not fit; 0 where all must fit, or SRAM does not matter."""
        return float(self.hw["kinds"][self.hw["kind_of_chip"][chip]]["dram_bandwidth"]) if self.rules["memory"] else 0.0

    def hard_capacity(self, chip: int) -> float:
        """Most bytes of weights by the memory rule."""
        return math.inf if not self.rules["memory"] or self.dram(chip) else self.capacity(chip)

    def stream(self, chip: int, weights: float) -> float:
        """Seconds in which a chip streams what of its weights does not fit."""
        return max(0.0, weights - self.capacity(chip)) / self.dram(chip) if self.dram(chip) else 0.0

    def work(self, compute: float, stream: float) -> float:
        """Seconds in which a chip computes and streams."""
        return compute + stream if self.hw["streaming"] == "serial" else max(compute, stream)

    def pays_for_transfers(self, chip: int) -> bool:
        return not self.hw["kinds"][self.hw["kind_of_chip"][chip]]["free_transfers"]

    def with_kinds(self, kinds: list[str]) -> Problem:
        """The same problem with the chips' kinds in the order of an answer, where that is free."""
        names = [kind["name"] for kind in self.hw["kinds"]]
        order = [names.index(kind) for kind in kinds]
        given = self.hw["kind_of_chip"]
        assert order == given or (self.hw["kind_order"] == "free" and sorted(order) == sorted(given)), "kinds"
        other = copy.copy(self)
        other.hw = self.hw | {"kind_of_chip": order}
        return other

    def tau(self, tensor: str) -> float:
        return float(self.tensors[tensor]["bytes"] / self.hw["link_bandwidth"])

    def constrains(self, producer: str, consumer: str) -> bool:
        return not (self.operations[producer]["backward"] and self.operations[consumer]["backward"])

    def must_not_go_back(self, producer: str, consumer: str) -> bool:
        return self.hw["topology"] == "chain" or (self.rules["acyclic"] and self.constrains(producer, consumer))

    def may_relay(self, tensor: str) -> bool:
        row = self.tensors[tensor]
        allowed = self.rules["relays"] and self.rules["acyclic"] and self.hw["topology"] in ("chain", "ring")
        return allowed and all(self.constrains(row["producer"], w) for w in row["consumers"])


def _hardware(data: dict[str, Any]) -> dict[str, Any]:
    """The package without its rules: what is not given filled in, a kind for every chip."""
    kinds = [KIND | table | {"name": name} for name, table in data["chip_kinds"].items()]
    names = [kind["name"] for kind in kinds]
    return {
        **LINK,
        **data["interconnect"],
        "kinds": kinds,
        "kind_of_chip": [names.index(row["kind"]) for row in data["chips"] for _ in range(row.get("count", 1))],
        "kind_order": data.get("kind_order", "fixed"),
        "positions": data.get("positions", []),
    }


def _tensors(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By name; where none is given it is the producer's, with ``:1``, ``:2`` behind it for further tensors."""
    made: dict[str, int] = {}
    found = {}
    for row in rows:
        k = made[row["producer"]] = made.get(row["producer"], -1) + 1
        name = row.get("name", f"{row['producer']}:{k}" if k else row["producer"])
        found[name] = {"consumers": [], **row, "name": name}
    return found


def _question(problem: dict[str, Any], answer: dict[str, Any]) -> Problem:
    p = Problem(problem)
    if p.routed and answer.get("positions"):
        assert sorted(answer["positions"]) == list(range(p.C)), "positions"
        assert p.free_positions or answer["positions"] == p.positions, "positions of chips that differ"
        p.positions = answer["positions"]
    return p.with_kinds(answer["kinds"]) if "kinds" in answer else p


def _instances(p: Problem, answer: dict[str, Any]) -> dict[str, set[int]]:
    return {v: {answer["assignment"][v], *answer["replicas"].get(v, [])} for v in p.operations}


def _receives(p: Problem, answer: dict[str, Any]) -> dict[tuple[str, int], tuple[int, bool]]:
    """(tensor, chip) -> (source chip, whether it counts for the triangle rule)."""
    instances = _instances(p, answer)
    relays: dict[str, set[int]] = {}
    for tensor, chip in answer["relays"]:
        relays.setdefault(tensor, set()).add(chip)
    counts: dict[tuple[str, int], bool] = {}
    for w, chips in instances.items():
        for tensor in p.reads[w]:
            u = p.tensors[tensor]["producer"]
            for chip in chips - instances[u]:
                counts[tensor, chip] = counts.get((tensor, chip), False) or p.constrains(u, w)
    for tensor, chips in relays.items():
        for chip in chips:
            counts[tensor, chip] = True
    received = {}
    for (tensor, chip), count in counts.items():
        home = answer["assignment"][p.tensors[tensor]["producer"]]
        source = max([r for r in relays.get(tensor, ()) if r < chip], default=home)
        received[tensor, chip] = (source, count)
    return received


def cost(problem: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Loads of chips and links, SRAM, and the period (infinite if a tensor cannot be routed)."""
    return cost_of(_question(problem, answer), answer)


def cost_of(p: Problem, answer: dict[str, Any]) -> dict[str, Any]:
    instances = _instances(p, answer)
    compute, receive, send, sram = ([0.0] * p.C for _ in range(4))
    link: dict[tuple[int, int], float] = {}
    for v, chips in instances.items():
        for c in chips:
            compute[c] += p.time(v, c)
            sram[c] += p.operations[v]["weights"]
    for weight in p.shared:
        for c in set().union(*(instances[v] for v in weight["users"])):
            sram[c] += weight["bytes"]
    routable = True
    sent: set[tuple[str, int]] = set()
    receivers: dict[str, set[int]] = {}
    for (tensor, chip), (source, _) in _receives(p, answer).items():
        receive[chip] += p.tau(tensor)
        if (tensor, source) not in sent:
            sent.add((tensor, source))
            send[source] += p.tau(tensor)
        home = answer["assignment"][p.tensors[tensor]["producer"]]
        if p.hw["topology"] == "chain" and chip < home:
            routable = False
        receivers.setdefault(tensor, set()).add(chip)
    if routable:
        for tensor, chips in receivers.items():
            for crossed in p.crossed(answer["assignment"][p.tensors[tensor]["producer"]], chips):
                link[crossed] = link.get(crossed, 0.0) + p.tau(tensor)
    for c in range(p.C):
        if not p.pays_for_transfers(c):
            receive[c] = send[c] = 0.0
    stream = [p.stream(c, sram[c]) for c in range(p.C)]
    work = [p.work(compute[c], stream[c]) for c in range(p.C)]
    if p.hw["transfers"] == "serial":
        loads = [a + b + c for a, b, c in zip(work, receive, send, strict=True)]
    else:
        loads = [max(x) for x in zip(work, receive, send, strict=True)]
    period = max([*loads, *link.values()]) if routable else math.inf
    in_line = [(c, (c + 1) % p.C) for c in range(p.links)]
    return {
        "compute": compute,
        "receive": receive,
        "send": send,
        "link": list(link.values()) if p.routed else [link.get(ends, 0.0) for ends in in_line],
        "sram": sram,
        "stream": stream,
        "work": work,
        "period": period,
    }


def latency(problem: dict[str, Any], answer: dict[str, Any]) -> float:
    """Seconds from one input to its output; everything added up where the chip graph has a cycle."""
    return latency_of(_question(problem, answer), answer)


def latency_of(p: Problem, answer: dict[str, Any]) -> float:
    parts = cost_of(p, answer)
    if math.isinf(parts["period"]):
        return math.inf
    busy: list[float] = [sum(terms) for terms in zip(parts["work"], parts["receive"], parts["send"], strict=True)]
    edges = {(source, chip) for (_, chip), (source, _) in _receives(p, answer).items()}
    delay: dict[tuple[int, int], float] = {(a, b): p.hops(a, b) * p.hw["link_latency_s"] for a, b in edges}

    finish, waiting = list(busy), {c: sum(b == c for _, b in edges) for c in range(p.C)}
    ready = [c for c, before in waiting.items() if not before]
    for a in ready:  # grows on the way
        for _, b in [edge for edge in edges if edge[0] == a]:
            finish[b] = max(finish[b], finish[a] + delay[a, b] + busy[b])
            waiting[b] -= 1
            if not waiting[b]:
                ready.append(b)
    return max(finish) if len(ready) == p.C else sum(busy) + sum(delay.values())


def energy(problem: dict[str, Any], answer: dict[str, Any]) -> float:
    """Joules per input."""
    return energy_of(_question(problem, answer), answer)


def energy_of(p: Problem, answer: dict[str, Any]) -> float:
    total = 0.0
    for v, chips in _instances(p, answer).items():
        row = p.operations[v]
        for c in chips:
            kind = p.hw["kinds"][p.hw["kind_of_chip"][c]]
            total += row["flops"] * kind["flop_energy_j"] + row["bytes_accessed"] * kind["sram_energy_j_per_byte"]
    if p.topology != "memory":
        total += traffic_of(p, answer) * p.hw["link_energy_j_per_byte"]
    return total


def traffic(problem: dict[str, Any], answer: dict[str, Any]) -> float:
    """Bytes times links crossed; bytes received where there are no links."""
    return traffic_of(_question(problem, answer), answer)


def traffic_of(p: Problem, answer: dict[str, Any]) -> float:
    receivers: dict[str, set[int]] = {}
    for tensor, chip in _receives(p, answer):
        receivers.setdefault(tensor, set()).add(chip)
    total = 0.0
    for tensor, chips in receivers.items():
        home = answer["assignment"][p.tensors[tensor]["producer"]]
        direct = p.topology in ("memory", "crossbar") or p.C == 1
        total += p.tensors[tensor]["bytes"] * (len(chips) if direct else len(p.crossed(home, chips)))
    return total


def goal_value(problem: dict[str, Any], answer: dict[str, Any], goal: str) -> float:
    """The value of one goal of an answer."""
    return value_of(_question(problem, answer), answer, goal)


def value_of(p: Problem, answer: dict[str, Any], goal: str) -> float:
    if goal == "period":
        return float(cost_of(p, answer)["period"])
    if goal == "moves":
        assert p.reference is not None, "moves from where?"
        return float(sum(answer["assignment"][v] != c for v, c in p.reference.items()))
    if goal == "chips":
        return float(max(answer["assignment"].values()) + 1)
    return {"traffic": traffic_of, "energy": energy_of, "latency": latency_of}[goal](p, answer)


def replicable(p: Problem) -> set[str]:
    """Operations that may run on several chips (``inspect`` prints flags of its own)."""
    if not (p.rules["replication"] and p.rules["acyclic"]) or p.C == 1:
        return set()
    chips = [p.hw["kind_of_chip"].index(kind) for kind in sorted(set(p.hw["kind_of_chip"]))]  # one of every kind
    slowest = {v: max(p.time(v, c) for c in chips) for v in p.operations}
    time_limit = 0.01 * sum(min(p.time(v, c) for c in chips) for v in p.operations) / p.C
    sram_limit = 0.01 * min(p.capacity(c) for c in chips)
    memory = {v: row["weights"] for v, row in p.operations.items()}
    for tensor in p.tensors.values():
        if p.operations[tensor["producer"]]["op_type"] == "Input":
            memory[tensor["producer"]] += tensor["bytes"]
    shared = {v for weight in p.shared for v in weight["users"]}
    readers: dict[str, set[str]] = {v: set() for v in p.operations}
    for tensor in p.tensors.values():
        readers[tensor["producer"]] |= set(tensor["consumers"])

    family: dict[str, set[str]] = {}
    order = topological(p)
    for v in order:
        row, producers = p.operations[v], {p.tensors[t]["producer"] for t in p.reads[v]}
        if v in p.wanted.allowed:
            continue
        if v in shared or row["backward"] or row["group"] is not None or not producers <= family.keys():
            continue
        own = {v}.union(*(family[u] for u in producers))
        if len(own) <= 64 and sum(slowest[u] for u in own) <= time_limit and sum(memory[u] for u in own) <= sram_limit:
            family[v] = own
    wanted: set[str] = set()
    for v in reversed(order):
        if v in family and (len(readers[v]) > 1 or (len(readers[v]) == 1 and readers[v] <= wanted)):
            wanted.add(v)
    return wanted


def topological(p: Problem) -> list[str]:
    """Operations, every producer before its consumers."""
    waiting = {v: len({p.tensors[t]["producer"] for t in tensors}) for v, tensors in p.reads.items()}
    after: dict[str, set[str]] = {v: set() for v in p.operations}
    for tensor in p.tensors.values():
        after[tensor["producer"]] |= set(tensor["consumers"])
    order = [v for v, before in waiting.items() if not before]
    for v in order:  # grows on the way
        for w in after[v]:
            waiting[w] -= 1
            if not waiting[w]:
                order.append(w)
    assert len(order) == len(p.operations), "the graph has a cycle"
    return order


def violations(problem: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Names of the broken rules, each with what breaks it."""
    return broken_rules(_question(problem, answer), answer)


def broken_rules(p: Problem, answer: dict[str, Any]) -> list[str]:
    f = answer["assignment"]
    if set(f) != set(p.operations) or not set(answer["replicas"]) <= set(f):
        return ["assignment: not for these operations"]
    if not {tensor for tensor, _ in answer["relays"]} <= set(p.tensors):
        return ["relays: a tensor that does not exist"]
    copies = [c for chips in answer["replicas"].values() for c in chips]
    if any(not 0 <= chip < p.C for chip in [*f.values(), *copies, *(c for _, c in answer["relays"])]):
        return ["assignment: a chip that does not exist"]
    found = []
    for name, tensor in p.tensors.items():
        u = tensor["producer"]
        for w in tensor["consumers"]:
            if p.must_not_go_back(u, w) and f[u] > f[w]:
                found.append(f"acyclic: {name} from chip {f[u]} to {f[w]}")
    groups: dict[Any, set[int]] = {}
    for v, row in p.operations.items():
        if row["group"] is not None:
            groups.setdefault(row["group"], set()).add(f[v])
    found += [f"colocation: group {g} on {sorted(chips)}" for g, chips in groups.items() if len(chips) > 1]
    found += [
        f"support: {v} on {c}" for v, chips in _instances(p, answer).items() for c in chips if math.isinf(p.time(v, c))
    ]
    found += p.wanted.broken(answer)
    if p.rules["no_skipping"] and set(f.values()) != set(range(max(f.values()) + 1)):
        found.append("no_skipping")
    if p.rules["memory"]:
        sram = cost_of(p, answer)["sram"]
        for c in range(p.C):
            if sram[c] > p.hard_capacity(c) * (1 + TOLERANCE):
                found.append(f"memory: chip {c}")
    if p.rules["dynamic_memory"]:
        found += [f"dynamic_memory: {problem}" for problem in schedule_faults(p, answer)]
    for v, chips in answer["replicas"].items():
        allowed = p.rules["replication"] and p.rules["acyclic"] and v in p.replicable
        found += [f"replication: {v} on {c}" for c in chips if not allowed or c <= f[v]]
    for tensor, c in answer["relays"]:
        u = p.tensors[tensor]["producer"]
        if not p.may_relay(tensor) or c <= f[u] or c in answer["replicas"].get(u, []):
            found.append(f"relays: {tensor} on {c}")
    if p.rules["triangle"]:
        counted = {(source, chip) for (_, chip), (source, counts) in _receives(p, answer).items() if counts}
        found += triangles(p.C, counted)
    return found


def schedule_faults(p: Problem, answer: dict[str, Any]) -> list[str]:
    """What is wrong with the schedules of an answer: not the chip's operations, out of order, or too much held."""
    found = []
    instances = _instances(p, answer)
    for c in range(p.C):
        (row,) = [row for row in answer["schedules"] if row["chip"] == c]
        here = {v for v, chips in instances.items() if c in chips}
        if sorted(row["order"]) != sorted(here):
            found.append(f"the schedule of chip {c} is not of its operations")
            continue
        place = {v: i for i, v in enumerate(row["order"])}
        for w in row["order"]:
            producers = {p.tensors[t]["producer"] for t in p.reads[w]} & here
            found += [f"{w} runs before {u} on chip {c}" for u in producers if place[u] > place[w]]
        peak = peak_of(p, answer, c, row["order"])
        if not math.isclose(peak, row["peak"], rel_tol=1e-9, abs_tol=1e-9):
            found.append(f"chip {c} holds {peak} bytes, said to be {row['peak']}")
        if peak > p.capacity(c) * (1 + TOLERANCE):
            found.append(f"chip {c} holds {peak} bytes")
    return found


def peak_of(p: Problem, answer: dict[str, Any], c: int, order: list[str]) -> float:
    """Most bytes that chip ``c`` holds at once when it runs its operations in ``order``."""
    received = _receives(p, answer)
    arriving = {t for t, chip in received if chip == c}
    leaving = {t for (t, _), (source, _) in received.items() if source == c}
    resident = cost_of(p, answer)["sram"][c]
    overlapped = p.hw["transfers"] != "serial"
    if overlapped:
        resident += sum(2 * p.tensors[t]["bytes"] for t in arriving | leaving)
    place = {v: i for i, v in enumerate(order)}
    steps = [0.0] * (len(order) + 3)  # before, each operation, after: what is added and what is freed then
    for name, tensor in p.tensors.items():
        users = [place[v] + 1 for v in (tensor["producer"], *tensor["consumers"]) if v in place]
        if overlapped and name in arriving | leaving:
            continue
        if not users and name not in arriving:
            continue
        first = 0 if name in arriving else min(users)
        last = len(order) + 1 if name in leaving else max(users, default=0)
        steps[first] += tensor["bytes"]
        steps[last + 1] -= tensor["bytes"]
    return float(resident + max(itertools.accumulate(steps)))


def triangles(chips: int, edges: set[tuple[int, int]]) -> list[str]:
    """Direct edges ``a -> b`` beside a walk from ``a`` to ``b`` through a third chip."""
    direct: dict[int, set[int]] = {c: set() for c in range(chips)}
    for a, b in edges:
        direct[a].add(b)

    def reachable(start: int) -> set[int]:
        seen: set[int] = set()
        stack = list(direct[start])
        while stack:
            c = stack.pop()
            if c not in seen:
                seen.add(c)
                stack.extend(direct[c])
        return seen

    reach = {c: reachable(c) for c in direct}
    return [
        f"triangle: {a} -> {b} beside {k}"
        for a, ends in direct.items()
        for b in ends
        for k in direct
        if k not in (a, b) and k in reach[a] and b in reach[k]
    ]


def certify(
    problem: dict[str, Any], answer: dict[str, Any], *, gap_asked: float = 1e-4, throughput: float | None = None
) -> None:
    """AssertionError unless the answer is valid and every figure in it is what docs/problem.md says.

    That takes in the figures of each chip and link, the goals and the history. A false proof is beyond this check,
    unless a placement in the answer's own history or the work per chip refutes it; brute force is there for that.
    """
    assert answer["status"] in ("optimal", "feasible", "infeasible"), f"status {answer['status']!r}"
    if answer["status"] == "infeasible":
        assert answer["period"] is None and not answer["assignment"], "infeasible, yet with an assignment"
        assert answer["reason"], "infeasible without a reason"
        return
    broken = violations(problem, answer)
    assert not broken, f"broken rules: {broken[:3]}"
    parts = cost(problem, answer)
    period = parts["period"]
    assert _same(period, answer["period"]), f"period {period} != {answer['period']}"
    assert 0 <= answer["bound"] <= answer["period"], "the bound exceeds the period"
    gap = (answer["period"] - answer["bound"]) / answer["period"] if answer["period"] else 0.0
    if [row["goal"] for row in answer["goals"]] not in ([], ["period"]):
        gap = max(row["gap"] for row in answer["goals"])
    assert math.isclose(gap, answer["gap"], abs_tol=1e-12), f"gap {gap} != {answer['gap']}"
    p = Problem(problem)
    trivial = sum(min(p.time(v, c) for c in range(p.C)) for v in p.operations)
    assert answer["period"] >= trivial / p.C * (1 - 1e-9), "below the work per chip"
    if throughput is not None:
        assert period * throughput <= 1 + 1e-8, f"period {period} is too long for a throughput of {throughput}"
    _check_figures(problem, answer, parts)
    _check_history(answer)
    for row in answer["goals"]:
        if row["goal"] == "moves" and "reference" not in problem:
            continue  # the answer does not say from where
        value = goal_value(problem, answer, row["goal"])
        assert _same(value, row["value"]), f"{row['goal']} is {value}, said to be {row['value']}"
        assert row["bound"] <= row["value"], f"the bound of {row['goal']} exceeds its value"
        missing = (row["value"] - row["bound"]) / row["value"] if row["value"] else 0.0
        if answer["status"] == "optimal":
            assert missing <= gap_asked * (1 + 1e-9), f"optimal with a gap of {missing} in {row['goal']}"
        if row["goal"] == "period" and row is answer["goals"][0]:
            assert row["bound"] == answer["bound"], "two bounds of the period"


def _same(a: float, b: float, among: float = 0.0) -> bool:
    """``among``: the figure may be the difference of sums as large as this."""
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=max(1e-15, 1e-12 * among))


def check_description(problem: dict[str, Any], described: dict[str, Any]) -> None:
    """AssertionError unless what ``inspect --json`` derives (times, what may be replicated or relayed) is true."""
    p = Problem(problem)
    used = sorted(set(p.hw["kind_of_chip"]))
    for row in described["operations"]:
        v, times = row["name"], row["time"] if isinstance(row["time"], list) else [row["time"]]
        assert row["replicable"] == (v in p.replicable), f"the flag replicable of {v}"
        assert row["input"] == (row["op_type"] == "Input"), f"the flag input of {v}"
        for k in used:
            told = math.inf if times[k] is None else times[k]
            assert _same(told, p.times[v][k]), f"the time of {v} on kind {k} is {p.times[v][k]}, not {told}"
        assert _same(row["bytes_accessed"], p.operations[v]["bytes_accessed"]), f"the bytes accessed by {v}"
    for row in described["tensors"]:
        assert row["relayable"] == p.may_relay(row["name"]), f"the flag relayable of {row['name']}"


def _check_figures(problem: dict[str, Any], answer: dict[str, Any], parts: dict[str, Any]) -> None:
    if answer["period"] and math.isfinite(1 / answer["period"]):
        assert _same(answer["throughput"] * answer["period"], 1.0), "the throughput is not 1 / period"
    for name, own in (("latency", latency), ("energy", energy), ("traffic", traffic)):
        found = own(problem, answer)
        assert answer[name] is not None and _same(answer[name], found), f"{name} {found} != {answer[name]}"
    used = {c for chips in _instances(Problem(problem), answer).values() for c in chips}
    for time, told in ((parts["period"], answer["bubbles"]), *_batches(answer)):
        idle = 1 - sum(parts["compute"]) / (len(used) * time) if time else 0.0
        assert math.isclose(told, max(0.0, idle), abs_tol=1e-9), f"bubbles {told}, not {idle}"
    assert [row["chip"] for row in answer["per_chip"]] == list(range(Problem(problem).C)), "chips listed"
    largest = {name: max(parts[name], default=0.0) for name in ("compute", "receive", "send", "stream", "sram", "link")}
    for name in ("compute", "receive", "send", "stream", "sram"):
        for c, row in enumerate(answer["per_chip"]):
            assert _same(row[name], parts[name][c], largest[name]), (
                f"{name} of chip {c} is {parts[name][c]}, not {row[name]}"
            )
    here, there = sorted(parts["link"]), sorted(answer["per_link"])
    here = [0.0] * (len(there) - len(here)) + here  # where there are routes, links without load are not among ours
    nothing = 1e-9 * answer["period"]  # a load that is less is told as none
    agree = len(here) == len(there) and all(
        _same(a, b, largest["link"]) or (b == 0.0 and a <= nothing) for a, b in zip(here, there, strict=True)
    )
    assert agree, f"links {here} != {there}"


def _batches(answer: dict[str, Any]) -> list[tuple[float, float]]:
    """Time of one input of the batch that an answer tells of, and its bubbles."""
    batch = answer["batch"]
    if batch is None:
        return []
    time = answer["period"] * (batch["inputs"] - 1) + answer["latency"]
    assert _same(batch["time"], time), f"a batch takes {time}, not {batch['time']}"
    return [(time / batch["inputs"], batch["bubbles"])]


def _check_history(answer: dict[str, Any]) -> None:
    """Bounds proved on the way hold for the placement found in the end."""
    for row in answer["history"]:
        assert row["bound"] is None or row["bound"] <= answer["period"] * (1 + 1e-9), (
            f"the bound {row['bound']} of phase {row['phase']!r} is refuted by the answer's own period"
        )
