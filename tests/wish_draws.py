"""Random wishes for random questions, as a user would write them; and what the independent checker makes of them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

KINDS = ("pins", "forbid", "together", "cuts", "granularity", "max_stages")

STYLES = ("none", "none", "none", *KINDS, "several", "several")


def draw_wishes(rng: np.random.Generator, style: str, names: list[str], chips: int) -> dict[str, Any]:
    """Wishes of one kind or of several, of which some can be kept and some not; empty for ``none``."""
    if style == "none":
        return {}
    chosen = [style] if style != "several" else [k for k in KINDS if rng.random() < 0.4]
    found: dict[str, Any] = {}
    for kind in chosen:
        if kind == "pins":
            found[kind] = [[_pattern(rng, names), _early(rng, chips)] for _ in range(int(rng.integers(1, 3)))]
        elif kind == "forbid":
            some = [c for c in range(chips) if rng.random() < 0.4] or [int(rng.integers(0, chips))]
            found[kind] = [[_pattern(rng, names, wide=0.4), some] for _ in range(int(rng.integers(1, 3)))]
        elif kind == "together":
            found[kind] = [[_pattern(rng, names) for _ in range(int(rng.integers(1, 4)))]]
        elif kind == "cuts":
            ends = sorted(rng.integers(0, len(names), 2).tolist(), reverse=rng.random() < 0.2)
            found[kind] = [[names[ends[0]], names[ends[1]] if rng.random() < 0.8 else _pattern(rng, names)]]
        elif kind == "granularity":
            found[kind] = str(rng.choice(["layer", "module:1", "module:2"]))
        else:
            found[kind] = int(rng.integers(1, chips + 1))
    return found


def _early(rng: np.random.Generator, chips: int) -> int:
    return int(min(rng.integers(0, chips, 2)))


def _pattern(rng: np.random.Generator, names: list[str], wide: float = 0.15) -> str:
    """A name, or the names of a module."""
    name = str(rng.choice(names))
    return f"{name.rpartition('/')[0]}/*" if "/" in name and rng.random() < wide else name


def in_modules(graph: dict[str, Any]) -> None:
    """Give every operation a name with the path of a module: neighbours share modules."""
    new = {row["name"]: f"m{i % 2}/{i // 3}/{row['name']}" for i, row in enumerate(graph["operations"])}
    for row in graph["operations"]:
        row["name"] = new[row["name"]]
    for tensor in graph["tensors"]:
        tensor["producer"] = new[tensor["producer"]]
        tensor["consumers"] = [new[name] for name in tensor.get("consumers", [])]
    for weight in graph.get("shared_weights", []):
        if "users" in weight:
            weight["users"] = [new[name] for name in weight["users"]]


# --- the independent reading, from docs/problem.md ------------------------------------------------------------


class Wanted:
    """What wishes say of names: it shares no code with the library.

    Attributes
    ----------
    allowed : name -> chips, of the operations that pins and forbidden chips speak of.
    stages : chips from this one on are not used.
    sets : of operations that share a chip. cuts : pairs of sets.
    """

    def __init__(self, wishes: dict[str, Any], names: list[str], chips: int) -> None:
        everything = set(range(chips))
        self.stages = wishes.get("max_stages") or chips
        self.allowed: dict[str, set[int]] = {}
        for pattern, chip in wishes.get("pins", []):
            for name in _match(pattern, names):
                self.allowed[name] = self.allowed.get(name, everything) & {chip}
        for pattern, barred in wishes.get("forbid", []):
            for name in _match(pattern, names):
                self.allowed[name] = self.allowed.get(name, everything) - set(barred)
        self.sets = [set().union(*(_match(p, names) for p in entry)) for entry in wishes.get("together", [])]
        self.sets += _modules(wishes.get("granularity"), names)
        self.cuts = [(_match(a, names), _match(b, names)) for a, b in wishes.get("cuts", [])]

    def permits(self, name: str, chip: int) -> bool:
        """Whether an instance of the operation may be on the chip."""
        return chip < self.stages and (name not in self.allowed or chip in self.allowed[name])

    def broken(self, answer: dict[str, Any]) -> list[str]:
        """The wishes that an answer does not keep."""
        home = answer["assignment"]
        found = [f"wish: {v} on {c}" for v, c in home.items() if not self.permits(v, c)]
        found += [
            f"wish: {v} on {c}" for v, chips in answer["replicas"].items() for c in chips if not self.permits(v, c)
        ]
        found += [f"wish: relay of {t} on {c}" for t, c in answer["relays"] if c >= self.stages]
        found += [f"wish: apart {sorted(some)}" for some in self.sets if len({home[v] for v in some}) > 1]
        cut = [f"wish: no cut from {u} to {w}" for a, b in self.cuts for u in a for w in b if home[u] >= home[w]]
        return found + cut

    def joined(self, groups: dict[str, Any]) -> dict[str, Any]:
        """Groups of operations, given with None for those without, where sets that overlap are one."""
        label: dict[str, Any] = {v: ("given", g) for v, g in groups.items() if g is not None}
        for i, some in enumerate(self.sets):
            if len(some) < 2:
                continue
            old = {label[v] for v in some if v in label}
            for v in [*label, *some]:
                if v in some or label[v] in old:
                    label[v] = ("wish", i)
        return {v: label.get(v) for v in groups}


def _match(pattern: str, names: list[str]) -> set[str]:
    plain, whole = re.sub("[/.]", ".", pattern), {name: re.sub("#([0-9]+|join( .*)?)$", "", name) for name in names}
    if pattern in {*names, *whole.values()}:
        return {pattern} if pattern in names else {name for name in names if whole[name] == pattern}
    spelled = {name: [re.sub("[/.]", ".", own) for own in (name, whole[name])] for name in names}
    return {name for name in names if any(fnmatchcase(own, plain) for own in spelled[name])}


def _modules(granularity: str | None, names: list[str]) -> list[set[str]]:
    found: dict[tuple[str, ...], set[str]] = {}
    for name in names if granularity else ():
        path = [part for part in re.split("[/.]+", name) if part][:-1]
        if granularity == "layer":
            numbers = [i for i, part in enumerate(path) if part.isdigit()]
            depth = numbers[0] + 1 if numbers else 0
        else:
            depth = int(str(granularity).split(":")[1])
        if 0 < depth <= len(path):
            found.setdefault(tuple(path[:depth]), set()).add(name)
    return list(found.values())
