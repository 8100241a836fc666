"""The placement of a proof against every rule, and its period, in fractions: a twin of the library's own checker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from partition.errors import InvalidInput
from partition.replay.question import FITS, ReplayQuestion
from partition.replay.routes import Link, crossed, places, stages_may_move


@dataclass(frozen=True, eq=False)
class Placed:
    """A placement: the home of each operation, its replicas, and the relays.

    Attributes
    ----------
    kind : of each chip, in the order of the answer.
    where : physical chip of each stage.
    """

    question: ReplayQuestion
    home: tuple[int, ...]
    replicas: frozenset[tuple[int, int]]
    relays: frozenset[tuple[int, int]]
    kind: tuple[int, ...]
    where: tuple[int, ...]
    schedules: Mapping[int, tuple[int, ...]]

    @cached_property
    def instances(self) -> list[set[int]]:
        """Per operation, the chips that run it."""
        found = [{chip} for chip in self.home]
        for v, chip in self.replicas:
            found[v].add(chip)
        return found

    @cached_property
    def received(self) -> dict[tuple[int, int], tuple[int, bool]]:
        """(tensor, chip) -> (the chip it comes from, whether it counts for the triangle rule)."""
        q, counts = self.question, dict.fromkeys(self.relays, True)
        for t, tensor in enumerate(q.tensors):
            for w in tensor.readers:
                for chip in self.instances[w] - self.instances[tensor.producer]:
                    counts[t, chip] = counts.get((t, chip), False) or q.constrains(tensor.producer, w)
        relays: dict[int, list[int]] = {}
        for t, chip in self.relays:
            relays.setdefault(t, []).append(chip)
        return {
            (t, chip): (
                max((r for r in relays.get(t, ()) if r < chip), default=self.home[q.tensors[t].producer]),
                count,
            )
            for (t, chip), count in counts.items()
        }

    @cached_property
    def held(self) -> list[Fraction]:
        """Bytes of weights on each chip."""
        q = self.question
        found = [Fraction(0)] * q.chips
        for v, chips in enumerate(self.instances):
            for chip in chips:
                found[chip] += q.weights[v]
        for size, users in q.shared:
            for chip in set().union(*(self.instances[v] for v in users)):
                found[chip] += size
        return found

    @cached_property
    def spent(self) -> list[tuple[Fraction, Fraction, Fraction]]:
        """Per chip, the time in which it computes and streams, receives, and sends."""
        q = self.question
        compute, receive, send = ([Fraction(0)] * q.chips for _ in range(3))
        for v, chips in enumerate(self.instances):
            for chip in chips:
                time = q.times[self.kind[chip]][v]
                compute[chip] += time if time is not None else 0
        sent = set()
        for (t, chip), (source, _) in self.received.items():
            receive[chip] += q.tensors[t].time
            if (t, source) not in sent:
                sent.add((t, source))
                send[source] += q.tensors[t].time
        for chip in range(q.chips):
            if not q.pays[self.kind[chip]]:
                receive[chip] = send[chip] = Fraction(0)
        compute = [q.work(*each) for each in zip(self.kind, compute, self.held, strict=True)]
        return list(zip(compute, receive, send, strict=True))

    @cached_property
    def receivers(self) -> dict[int, set[int]]:
        """Per tensor, the chips that receive it."""
        found: dict[int, set[int]] = {}
        for t, chip in self.received:
            found.setdefault(t, set()).add(chip)
        return found

    def period(self) -> Fraction | None:
        """The largest load; None where a tensor would have to go back on a chain."""
        q = self.question
        loads = [c + r + s if q.serial else max(c, r, s) for c, r, s in self.spent]
        links: dict[Link, Fraction] = {}
        for t, chips in self.receivers.items():
            home = self.home[q.tensors[t].producer]
            if q.topology == "chain" and q.chips > 1 and min(chips) < home:
                return None
            for link in self.crossed(home, chips):
                links[link] = links.get(link, Fraction(0)) + q.tensors[t].time
        return max([*loads, *links.values()])

    def crossed(self, home: int, chips: set[int]) -> set[Link]:
        """The links that a tensor crosses on its way to these chips."""
        return crossed(self.question, self.where, home, chips)

    def broken(self) -> list[str]:
        """Every rule that does not hold, in words."""
        q = self.question
        found = []
        for tensor in q.tensors:
            for w in tensor.readers:
                if q.not_back(tensor.producer, w) and self.home[tensor.producer] > self.home[w]:
                    found.append(f"acyclic: {q.names[tensor.producer]} before {q.names[w]}")
        groups: dict[Any, int] = {}
        for v, group in enumerate(q.group):
            if group is not None and groups.setdefault(group, self.home[v]) != self.home[v]:
                found.append(f"colocation: group of {q.names[v]}")
        for v, chips in enumerate(self.instances):
            if any(q.times[self.kind[chip]][v] is None for chip in chips):
                found.append(f"support: {q.names[v]}")
        if q.rules["no_skipping"] and set(self.home) != set(range(max(self.home) + 1)):
            found.append("no skipping")
        return [*found, *self._copies(), *self._room(), *(self._triangles() if q.rules["triangle"] else [])]

    def _copies(self) -> list[str]:
        q = self.question
        found = [
            f"replication: {q.names[v]} on chip {chip}"
            for v, chip in self.replicas
            if v not in q.replicable or chip <= self.home[v]
        ]
        for t, chip in self.relays:
            tensor = q.tensors[t]
            behind = chip > self.home[tensor.producer] and chip not in self.instances[tensor.producer]
            if not (q.may_relay(tensor) and behind):
                found.append(f"relays: {tensor.name} on chip {chip}")
        return found

    def _room(self) -> list[str]:
        q, found = self.question, []
        for chip in range(q.chips):
            room = q.room(self.kind[chip])
            if room is None:
                continue
            if self.held[chip] > room * FITS:
                found.append(f"memory: chip {chip}")
            if q.rules["dynamic_memory"] and not self._schedule_fits(chip, room * FITS):
                found.append(f"dynamic memory: chip {chip}")
        return found

    def _schedule_fits(self, chip: int, room: Fraction) -> bool:
        """Whether the schedule told of a chip is one of its operations, in order, and holds no more than there is."""
        q = self.question
        order = self.schedules.get(chip, ())
        place = {v: i for i, v in enumerate(order)}
        here = {v for v, chips in enumerate(self.instances) if chip in chips}
        if len(order) != len(place) or set(place) != here:
            return False
        arriving = {t for t, c in self.received if c == chip}
        leaving = {t for (t, _), (source, _) in self.received.items() if source == chip}
        base = self.held[chip]
        steps = [Fraction(0)] * (len(order) + 3)
        for t, tensor in enumerate(q.tensors):
            users = [place[v] for v in (tensor.producer, *tensor.readers) if v in place]
            if tensor.producer in place and any(
                place.get(w, len(order)) < place[tensor.producer] for w in tensor.readers
            ):
                return False
            if not q.serial and t in arriving | leaving:
                base += 2 * tensor.size
            elif users or t in arriving:
                first = 0 if t in arriving else 1 + min(users)
                last = len(order) + 1 if t in leaving else 1 + max(users, default=-1)
                steps[first] += tensor.size
                steps[last + 1] -= tensor.size
        held, most = base, base
        for step in steps:
            held += step
            most = max(most, held)
        return most <= room

    def _triangles(self) -> list[str]:
        """Direct edges beside a walk through a third chip."""
        chips = range(self.question.chips)
        direct: list[set[int]] = [set() for _ in chips]
        for (_, b), (a, counts) in self.received.items():
            if counts:
                direct[a].add(b)
        reach: list[set[int]] = []
        for a in chips:
            seen, ahead = set(direct[a]), list(direct[a])
            while ahead:
                new = direct[ahead.pop()] - seen
                seen |= new
                ahead += new
            reach.append(seen)
        return [
            f"triangle: {a} -> {b} beside {c}"
            for a in chips
            for b in direct[a]
            for c in reach[a]
            if c not in (a, b) and b in reach[c]
        ]


def read_placement(question: ReplayQuestion, answer: Mapping[str, Any]) -> Placed:
    """The placement of an answer.

    Raises
    ------
    InvalidInput : it is not one of this question.
    """
    number = {name: v for v, name in enumerate(question.names)}
    tensor = {each.name: t for t, each in enumerate(question.tensors)}
    try:
        kind = tuple(question.kinds.index(name) for name in answer["kinds"])
        where = tuple(answer["positions"]) or places(question)
        placed = Placed(
            question=question,
            home=tuple(int(answer["assignment"][name]) for name in question.names),
            replicas=frozenset((number[name], int(c)) for name, chips in answer["replicas"].items() for c in chips),
            relays=frozenset((tensor[name], int(c)) for name, c in answer["relays"]),
            kind=kind,
            where=where,
            schedules={int(row["chip"]): tuple(number[v] for v in row["order"]) for row in answer["schedules"]},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"the placement in the proof cannot be read ({error!r}); write the proof again") from error
    used = {*placed.home, *(c for _, c in placed.replicas), *(c for _, c in placed.relays)}
    orders = sorted(kind) == sorted(question.of_chip) if question.free_order else kind == question.of_chip
    stands = sorted(where) == list(range(question.chips)) and (stages_may_move(question) or where == places(question))
    if not (used <= set(range(question.chips)) and orders and stands):
        raise InvalidInput(
            "the placement in the proof names chips or places that the package does not have; the file is damaged"
        )
    return placed
