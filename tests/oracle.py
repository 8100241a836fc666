"""The independent checker: rules, cost and brute force in plain Python, from exported JSON alone.

It shares no code with the library and follows docs/problem.md to the letter. ``problem`` is what
``cli.py inspect MODEL --hw HW --json`` prints, ``answer`` what ``cli.py solve ... --json`` prints.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

TOLERANCE = 1e-9


class _Problem:
    """The data of ``inspect --json``, indexed."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.hw = data["hardware"]
        self.C = self.hw["chips"]
        self.rules = self.hw["rules"]
        self.operations = {row["name"]: row for row in data["operations"]}
        self.tensors = {row["name"]: row for row in data["tensors"]}
        self.shared = data["shared_weights"]
        self.reads: dict[str, list[str]] = {name: [] for name in self.operations}
        for name, tensor in self.tensors.items():
            for consumer in tensor["consumers"]:
                self.reads[consumer].append(name)
        self.links = 0
        if self.C > 1:
            self.links = {"chain": self.C - 1, "ring": self.C, "memory": 0}[self.hw["topology"]]

    def time(self, operation: str, chip: int) -> float:
        time = self.operations[operation]["time"]
        return time[self.hw["kind_of_chip"][chip]] if isinstance(time, list) else time

    def tau(self, tensor: str) -> float:
        bandwidth = self.hw["link_bandwidth"]
        return 0.0 if bandwidth is None else self.tensors[tensor]["bytes"] / bandwidth

    def constrains(self, producer: str, consumer: str) -> bool:
        return not (self.operations[producer]["backward"] and self.operations[consumer]["backward"])

    def may_relay(self, tensor: str) -> bool:
        row = self.tensors[tensor]
        allowed = self.rules["relays"] and self.rules["acyclic"] and self.hw["topology"] != "memory"
        return allowed and all(self.constrains(row["producer"], w) for w in row["consumers"])


def _instances(p: _Problem, answer: dict[str, Any]) -> dict[str, set[int]]:
    return {v: {answer["assignment"][v], *answer["replicas"].get(v, [])} for v in p.operations}


def _receives(p: _Problem, answer: dict[str, Any]) -> dict[tuple[str, int], tuple[int, bool]]:
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
    return _cost(_Problem(problem), answer)


def _cost(p: _Problem, answer: dict[str, Any]) -> dict[str, Any]:
    instances = _instances(p, answer)
    compute, receive, send, sram = ([0.0] * p.C for _ in range(4))
    link = [0.0] * p.links
    for v, chips in instances.items():
        for c in chips:
            compute[c] += p.time(v, c)
            sram[c] += p.operations[v]["weights"]
    for weight in p.shared:
        for c in set().union(*(instances[v] for v in weight["users"])):
            sram[c] += weight["bytes"]
    routable = True
    sent: set[tuple[str, int]] = set()
    farthest: dict[str, int] = {}
    for (tensor, chip), (source, _) in _receives(p, answer).items():
        receive[chip] += p.tau(tensor)
        if (tensor, source) not in sent:
            sent.add((tensor, source))
            send[source] += p.tau(tensor)
        home = answer["assignment"][p.tensors[tensor]["producer"]]
        if p.hw["topology"] == "chain" and chip < home:
            routable = False
        farthest[tensor] = max(farthest.get(tensor, 0), (chip - home) % p.C)
    if p.links and routable:
        for tensor, hops in farthest.items():
            home = answer["assignment"][p.tensors[tensor]["producer"]]
            for step in range(hops):
                link[(home + step) % p.C] += p.tau(tensor)
    if p.hw["transfers"] == "serial":
        loads = [a + b + c for a, b, c in zip(compute, receive, send, strict=True)]
    else:
        loads = [max(x) for x in zip(compute, receive, send, strict=True)]
    period = max(loads + link) if routable else math.inf
    return {"compute": compute, "receive": receive, "send": send, "link": link, "sram": sram, "period": period}


def violations(problem: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Names of the broken rules, each with what breaks it."""
    return _violations(_Problem(problem), answer)


def _violations(p: _Problem, answer: dict[str, Any]) -> list[str]:
    f = answer["assignment"]
    found = []
    if set(f) != set(p.operations):
        return ["assignment: not for these operations"]
    if any(not 0 <= chip < p.C for chip in f.values()):
        return ["assignment: a chip that does not exist"]
    chain = p.hw["topology"] == "chain"
    for name, tensor in p.tensors.items():
        u = tensor["producer"]
        for w in tensor["consumers"]:
            bound = chain or (p.rules["acyclic"] and p.constrains(u, w))
            if bound and f[u] > f[w]:
                found.append(f"acyclic: {name} from chip {f[u]} to {f[w]}")
    groups: dict[Any, set[int]] = {}
    for v, row in p.operations.items():
        if row["group"] is not None:
            groups.setdefault(row["group"], set()).add(f[v])
    found += [f"colocation: group {g} on {sorted(chips)}" for g, chips in groups.items() if len(chips) > 1]
    if p.rules["no_skipping"] and set(f.values()) != set(range(max(f.values()) + 1)):
        found.append("no_skipping")
    if p.rules["memory"]:
        sram = _cost(p, answer)["sram"]
        for c, capacity in enumerate(p.hw["sram_bytes"]):
            if capacity is not None and sram[c] > capacity * (1 + TOLERANCE):
                found.append(f"memory: chip {c}")
    for v, chips in answer["replicas"].items():
        allowed = p.rules["replication"] and p.rules["acyclic"] and p.operations[v]["replicable"]
        found += [f"replication: {v} on {c}" for c in chips if not allowed or c <= f[v]]
    for tensor, c in answer["relays"]:
        u = p.tensors[tensor]["producer"]
        if not p.may_relay(tensor) or c <= f[u] or c in answer["replicas"].get(u, []):
            found.append(f"relays: {tensor} on {c}")
    if p.rules["triangle"]:
        found += _triangles(p, answer)
    return found


def _triangles(p: _Problem, answer: dict[str, Any]) -> list[str]:
    direct: dict[int, set[int]] = {c: set() for c in range(p.C)}
    for (_, chip), (source, counts) in _receives(p, answer).items():
        if counts:
            direct[source].add(chip)

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


def certify(problem: dict[str, Any], answer: dict[str, Any]) -> None:
    """AssertionError unless the answer is valid and its period, bound, gap and status agree with one another."""
    if answer["status"] == "infeasible":
        assert answer["period"] is None and not answer["assignment"], "infeasible, yet with an assignment"
        return
    broken = violations(problem, answer)
    assert not broken, f"broken rules: {broken[:3]}"
    period = cost(problem, answer)["period"]
    assert math.isclose(period, answer["period"], rel_tol=1e-9, abs_tol=1e-15), f"period {period} != {answer['period']}"
    assert answer["bound"] <= answer["period"], "the bound exceeds the period"
    gap = (answer["period"] - answer["bound"]) / answer["period"] if answer["period"] else 0.0
    assert math.isclose(gap, answer["gap"], abs_tol=1e-12), f"gap {gap} != {answer['gap']}"
    trivial = sum(min(row["time"]) if isinstance(row["time"], list) else row["time"] for row in problem["operations"])
    assert answer["period"] >= trivial / problem["hardware"]["chips"] * (1 - 1e-9), "below the work per chip"
    assert answer["status"] in ("optimal", "feasible")


def brute_force(problem: dict[str, Any], *, limit: int = 400_000) -> tuple[float | None, dict[str, Any] | None]:
    """The least period and a placement that has it; (None, None) if no placement is valid.

    Enumerates all assignments, replicas and relays.

    Raises
    ------
    OverflowError : more than ``limit`` placements would have to be tried.
    """
    p = _Problem(problem)
    best: tuple[float | None, dict[str, Any] | None] = (None, None)
    tried = 0
    for assignment in _assignments(p):
        for answer in _with_copies(p, assignment):
            tried += 1
            if tried > limit:
                raise OverflowError(f"more than {limit} placements")
            period = _cost(p, answer)["period"]
            if (best[0] is None or period < best[0]) and math.isfinite(period) and not _violations(p, answer):
                best = period, answer
    return best


def _assignments(p: _Problem) -> Any:
    """All maps of operations to chips, less those that break the acyclic rule along the way."""
    names = list(p.operations)
    chain = p.hw["topology"] == "chain"
    bound: dict[str, list[tuple[str, bool]]] = {v: [] for v in names}
    place = {v: i for i, v in enumerate(names)}
    for tensor in p.tensors.values():
        u = tensor["producer"]
        for w in tensor["consumers"]:
            if chain or (p.rules["acyclic"] and p.constrains(u, w)):
                later = u if place[u] > place[w] else w
                bound[later].append((w if later == u else u, later == u))
    chips: dict[str, int] = {}

    def extend(i: int) -> Any:
        if i == len(names):
            yield dict(chips)
            return
        v = names[i]
        for c in range(p.C):
            if all(c <= chips[o] if v_is_producer else chips[o] <= c for o, v_is_producer in bound[v]):
                chips[v] = c
                yield from extend(i + 1)
        chips.pop(v, None)

    return extend(0)


def _with_copies(p: _Problem, f: dict[str, int]) -> Any:
    """All sets of replicas and relays that can be of use with one assignment."""
    copies = []
    if p.rules["replication"] and p.rules["acyclic"]:
        copies = [(v, c) for v, row in p.operations.items() if row["replicable"] for c in range(f[v] + 1, p.C)]
    for replicas in _subsets(copies):
        held: dict[str, list[int]] = {}
        for v, c in replicas:
            held.setdefault(v, []).append(c)
        bare = {"assignment": f, "replicas": held, "relays": []}
        last: dict[str, int] = {}
        for tensor, chip in _receives(p, bare):
            last[tensor] = max(last.get(tensor, -1), chip)
        hops = [
            (t, c)
            for t, end in last.items()
            if p.rules["triangle"] and p.may_relay(t)
            for c in range(f[p.tensors[t]["producer"]] + 1, end)
            if c not in held.get(p.tensors[t]["producer"], [])
        ]
        for relays in _subsets(hops):
            yield {**bare, "relays": [list(pair) for pair in relays]}


def _subsets(items: list[Any]) -> Any:
    return itertools.chain.from_iterable(itertools.combinations(items, k) for k in range(len(items) + 1))
