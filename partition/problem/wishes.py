"""What a user wants of a placement beyond the rules: wishes, as given by names, and what they come to on a graph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from os import PathLike
from typing import Any

import numpy as np

from partition.arguments import whole
from partition.arrays import IntArray
from partition.errors import InvalidInput
from partition.files import read_toml
from partition.problem.graph import Graph
from partition.problem.modules import modules_of
from partition.text import meant, shown

Names = str | Iterable[str]
"""A name, a pattern (``"encoder.layers.3.*"``), or several of them."""

Pins = Mapping[str, int] | Iterable[tuple[str, int]]
Forbidden = Mapping[str, int | Iterable[int]] | Iterable[tuple[str, int | Iterable[int]]]


@dataclass(frozen=True, eq=False)
class Wish:
    """One wish on one graph: docs/problem.md says what each kind means.

    Attributes
    ----------
    kind : ``pin``, ``forbid``, ``together``, ``cut``, ``granularity`` or ``max_stages``.
    text : the wish in words.
    groups : operations that it speaks of: one set; of a cut, those before and those behind; of a granularity, a set
        for each module.
    chips : that it names; of ``max_stages``, those that stay empty.
    """

    kind: str
    text: str
    groups: tuple[IntArray, ...]
    chips: tuple[int, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """All wishes of a question, as given; ``bool()`` tells whether there are any.

    Attributes
    ----------
    pins : (pattern, chip) pairs.
    forbid : (pattern, chips) pairs.
    together : sets of patterns.
    cuts : (before, behind) pairs of patterns.
    granularity : ``"layer"``, ``"module:2"`` or None.
    max_stages : or None.
    """

    pins: tuple[tuple[str, int], ...] = ()
    forbid: tuple[tuple[str, tuple[int, ...]], ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    cuts: tuple[tuple[str, str], ...] = ()
    granularity: str | None = None
    max_stages: int | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) not in ((), None) for f in fields(self))

    @staticmethod
    def of(
        pins: Pins | None = None,
        forbid: Forbidden | None = None,
        together: Iterable[Names] = (),
        cuts: Iterable[Sequence[str]] = (),
        granularity: str | None = None,
        max_stages: int | None = None,
    ) -> Wishes:
        """What the arguments of ``partition`` say.

        Raises
        ------
        InvalidInput : one of them is not of its form.
        """
        return Wishes(
            pins=tuple((name, whole(f"the chip of pin {shown(name)}", chip)) for name, chip in _pairs("pins", pins)),
            forbid=tuple((name, _chips(name, chips)) for name, chips in _pairs("forbid", forbid)),
            together=tuple(_names("together", entry) for entry in _listed("together", together)),
            cuts=tuple(_cut(entry) for entry in _listed("cuts", cuts)),
            granularity=_granularity(granularity),
            max_stages=None if max_stages is None else whole("max_stages", max_stages, least=1),
        )

    @staticmethod
    def from_mapping(data: Mapping[str, Any], where: str) -> Wishes:
        """The table ``[wishes]`` of a file, or what :meth:`to_dict` gave.

        Raises
        ------
        InvalidInput : it has other keys, or values that are not of their form.
        """
        known = [f.name for f in fields(Wishes)]
        other = [name for name in data if name not in known]
        if other:
            raise InvalidInput(f"{where} has {shown(other[0])}, which is no wish; choose of {', '.join(known)}")
        return Wishes.of(**{name: value for name, value in data.items() if value is not None})

    @staticmethod
    def from_toml(path: str | PathLike[str]) -> Wishes:
        """The table ``[wishes]`` of a TOML file.

        Raises
        ------
        InvalidInput : the file cannot be read or has no such table.
        """
        try:
            data = read_toml(path)
        except (OSError, ValueError) as error:
            raise InvalidInput(f"cannot read {str(path)!r}: {error}") from error
        table = data.get("wishes")
        if not isinstance(table, Mapping):
            raise InvalidInput(f"{str(path)!r} has no table [wishes]; put pins, forbid, together and so on into one")
        return Wishes.from_mapping(table, f"[wishes] of {str(path)!r}")

    def joined(self, other: Wishes) -> Wishes:
        """These and the others; where both have a granularity or a number of stages, the other's."""
        return Wishes(
            (*self.pins, *other.pins),
            (*self.forbid, *other.forbid),
            (*self.together, *other.together),
            (*self.cuts, *other.cuts),
            other.granularity or self.granularity,
            self.max_stages if other.max_stages is None else other.max_stages,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, which :meth:`from_mapping` reads."""
        return {
            "pins": [list(pair) for pair in self.pins],
            "forbid": [[name, list(chips)] for name, chips in self.forbid],
            "together": [list(names) for names in self.together],
            "cuts": [list(pair) for pair in self.cuts],
            "granularity": self.granularity,
            "max_stages": self.max_stages,
        }

    @property
    def tying(self) -> Wishes:
        """Those among them that keep operations together."""
        return Wishes(together=self.together, granularity=self.granularity)

    def on(self, graph: Graph, chips: int) -> tuple[Wish, ...]:
        """Every wish with its names looked up.

        Raises
        ------
        InvalidInput : a pattern matches no operation, or the package lacks a chip.
        """
        found = []
        for name, chip in self.pins:
            _inside(name, (chip,), chips)
            found.append(Wish("pin", f"{name!r} is on chip {chip}", (_matched(graph, name),), (chip,)))
        for name, barred in self.forbid:
            _inside(name, barred, chips)
            where = f"chip {barred[0]}" if len(barred) == 1 else f"chips {', '.join(map(str, barred))}"
            found.append(Wish("forbid", f"{name!r} is not on {where}", (_matched(graph, name),), barred))
        for names in self.together:
            every = np.unique(np.concatenate([_matched(graph, name) for name in names]))
            found.append(Wish("together", f"{', '.join(map(repr, names))} share a chip", (every,)))
        for before, behind in self.cuts:
            sides = _matched(graph, before), _matched(graph, behind)
            found.append(Wish("cut", f"a cut between {before!r} and {behind!r}", sides))
        if self.granularity is not None:
            found.append(Wish("granularity", f"granularity {self.granularity}", modules_of(graph, self.granularity)))
        if self.max_stages is not None:
            empty = tuple(range(self.max_stages, chips))
            found.append(Wish("max_stages", f"at most {self.max_stages} stages", (), empty))
        return tuple(found)


def _pairs(what: str, given: Any) -> list[tuple[str, Any]]:
    """(name, value) of a mapping or of pairs."""
    if given is None:
        return []
    rows = list(given.items()) if isinstance(given, Mapping) else _listed(what, given)
    for row in rows:
        if isinstance(row, str) or not isinstance(row, Sequence) or len(row) != 2 or not isinstance(row[0], str):
            raise InvalidInput(f"{what} has {shown(row)}; give operation (or pattern) -> chip")
    return [(row[0], row[1]) for row in rows]


def _listed(what: str, given: Any) -> list[Any]:
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise InvalidInput(f"{what} is {shown(given)}; give a list")
    return list(given)


def _names(what: str, entry: Any) -> tuple[str, ...]:
    names = (entry,) if isinstance(entry, str) else tuple(_listed(what, entry))
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f"{what} has {shown(entry)}; give names or patterns of operations")
    return names


def _cut(entry: Any) -> tuple[str, str]:
    names = _names("cuts", entry)
    if isinstance(entry, str) or len(names) != 2:
        raise InvalidInput(f"cuts has {shown(entry)}; give two names: what is before the cut, and what is behind it")
    return names[0], names[1]


def _chips(name: str, given: Any) -> tuple[int, ...]:
    listed = [given] if isinstance(given, int | np.integer) else _listed(f"the chips forbidden to {shown(name)}", given)
    chips = {whole(f"a chip forbidden to {shown(name)}", chip) for chip in listed}
    if not chips:
        raise InvalidInput(f"forbid names no chip for {shown(name)}; give one or several")
    return tuple(sorted(chips))


def _granularity(given: Any) -> str | None:
    if given is None or given == "layer":
        return given  # type: ignore[no-any-return]
    head, _, depth = given.partition(":") if isinstance(given, str) else ("", "", "")
    if head != "module" or not depth.isdecimal() or int(depth) < 1:
        raise InvalidInput(f"granularity is {shown(given)}; give 'layer', or 'module:2' for modules two levels deep")
    return str(given)


def _inside(name: str, named: tuple[int, ...], chips: int) -> None:
    if max(named) >= chips:
        raise InvalidInput(f"a wish about {shown(name)} names chip {max(named)}; the package has chips 0..{chips - 1}")


def _plain(name: str) -> str:
    """With one kind of separator, and none at the beginning: ``/encoder/layers.3/Add`` as ``encoder.layers.3.Add``."""
    return name.replace("/", ".").lstrip(".")


PART = re.compile(r"#(\d+|join( .*)?)$")
"""What stands behind the name of an operation in the names of its parts, and of what joins them."""


def _matched(graph: Graph, name: str) -> IntArray:
    """The operation of that name, or those that the pattern matches; if none, those in whose module it does.

    An operation in parts is matched by the name that it has as a whole: all of its parts are, and their joins.
    """
    if name in graph.index:
        return np.array([graph.index[name]], dtype=np.int64)
    pattern = _plain(name)
    wholes = [PART.sub("", full) for full in graph.names]
    parts = [v for v, full in enumerate(wholes) if full == name]
    if parts:
        return np.array(parts, dtype=np.int64)
    paths = [_plain(full) for full in graph.names]
    plain = [_plain(full) if full not in graph.index else path for full, path in zip(wholes, paths, strict=True)]
    found = [v for v, path in enumerate(paths) if fnmatchcase(path, pattern) or fnmatchcase(plain[v], pattern)]
    if not found and graph.modules:
        full = [f"{_plain(module)}.{path}" for module, path in zip(graph.modules, paths, strict=True)]
        found = [v for v, path in enumerate(full) if fnmatchcase(path, pattern)]
    if not found:
        hint = meant(name, graph.names) or f"; {graph.names[0]!r} is one of its names"
        raise InvalidInput(f"a wish names {shown(name)}, and no operation of {graph.name!r} is called so{hint}")
    return np.array(found, dtype=np.int64)
