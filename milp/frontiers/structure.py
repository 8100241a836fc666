"""Frontiers without their loads: chips that carry no numbers, and how they are joined in the chip graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Structure:
    """A frontier without its loads; chips are labelled by first appearance.

    Attributes
    ----------
    home : label of the chip of each live node.
    received : per live node and tensor of it, bit mask of the chips that have received it.
    chips : number of labelled chips.
    direct, path, never : per chip, bit masks of the chips it has an edge to, a path to, and may never have a path to.
    """

    home: tuple[int, ...]
    received: tuple[int, ...]
    chips: int
    direct: tuple[int, ...]
    path: tuple[int, ...]
    never: tuple[int, ...]


NOTHING = Structure((), (), 0, (), (), ())
"""The frontier before any node is placed."""


@dataclass(frozen=True)
class Move:
    """A structure reached: labels it kept (in its order) of those before, those closed, and transfers to add."""

    structure: Structure
    labels: tuple[int, ...]
    closed: tuple[int, ...]
    extra: tuple[tuple[int, float], ...]


def longer_path_beside(direct: list[int], path: list[int], count: int) -> bool:
    for a in range(count):
        edges = direct[a]
        if not edges:
            continue
        through = 0
        for c in range(count):
            if path[a] >> c & 1:
                through |= path[c]
        if through & edges:
            return True
    return False


def closed(
    home: list[int],
    received: list[int],
    count: int,
    direct: list[int],
    path: list[int],
    never: list[int],
    extra: list[tuple[int, float]],
    sources_ahead: bool,
    triangle: bool,
) -> Move:
    """Drop the chips that no further node can join, keeping what they forbid to the others; relabel the rest."""
    live = 0
    for h in home:
        live |= 1 << h
    closed = []
    if live and not sources_ahead:  # every node to come has a live ancestor, so chips before all of those are done
        closed = [z for z in range(count) if not live >> z & 1 and path[z] & live == live]
    gone = 0
    for z in closed:
        gone |= 1 << z
        if not triangle:
            continue
        to_z = sum(1 << b for b in range(count) if path[b] >> z & 1)
        for a in range(count):
            # An edge to z, or a ban on reaching z, becomes a ban on reaching whatever reaches z.
            if direct[a] >> z & 1 or never[a] >> z & 1:
                never[a] |= to_z & ~(1 << a)
            # z's own edges and bans become bans for whatever z reaches.
            if path[z] >> a & 1:
                never[a] |= (direct[z] | never[z]) & ~(1 << a)
    kept = [c for c in range(count) if not gone >> c & 1]
    first = {c: i for i, c in reversed(list(enumerate(home)))}
    kept.sort(key=lambda c: (first.get(c, len(home)), path[c].bit_count(), c))
    where = {c: i for i, c in enumerate(kept)}
    structure = Structure(
        tuple(where[h] for h in home),
        tuple(mapped(mask, where) for mask in received),
        len(kept),
        tuple(mapped(direct[c], where) for c in kept) if triangle else (0,) * len(kept),
        tuple(mapped(path[c], where) for c in kept),
        tuple(mapped(never[c], where) for c in kept),
    )
    return Move(structure, tuple(kept), tuple(closed), tuple(extra))


def mapped(mask: int, where: dict[int, int]) -> int:
    out = 0
    while mask:
        low = mask & -mask
        at = where.get(low.bit_length() - 1)
        if at is not None:
            out |= 1 << at
        mask ^= low
    return out
