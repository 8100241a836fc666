"""What a sweep returns: a row for every design, as a table, CSV, JSON, and those that no other design beats."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal

from partition.amounts import gap_text, time_text
from partition.errors import InvalidInput
from partition.files import write_atomically
from partition.problem.hardware import Hardware
from partition.results.description import finite
from partition.results.result import Result
from partition.text import printable, shown

How = Literal["searched", "derived", "counted", "remembered", "left"]

COSTS = ("chips", "sram_bytes", "link_bandwidth")
"""What a design costs, unless something else is asked for."""


def settings_of(hardware: Hardware) -> dict[str, Any]:
    """The figures of a package that a row shows: chips, largest SRAM of a chip, bandwidth of a link."""
    link = hardware.interconnect.link_bandwidth
    return {"chips": hardware.chips, "sram_bytes": float(hardware.sram_bytes.max()), "link_bandwidth": link}


@dataclass(frozen=True, eq=False)
class SweepRow:
    """One design.

    Attributes
    ----------
    settings : name -> value of what the sweep varies, and chips, SRAM of a chip and bandwidth of a link.
    status : of its result; ``none`` where no valid placement is known and none is excluded.
    period, bound : in the hardware's time unit; None where there is no placement, and the bound where nothing fits.
    seconds : of its own search; 0 without one.
    how : ``searched``; ``derived`` from other designs; ``counted``, as weights or operations that no chip
        supports show that nothing fits; ``remembered`` from an earlier sweep; ``left`` where the sweep was interrupted.
    bound_of, placement_of : the packages that the bound and the placement come from; empty for its own.
    result : the answer, as of :func:`partition.partition`; None where the status is ``none``.
    """

    hardware: Hardware
    settings: Mapping[str, Any]
    status: str
    period: float | None
    bound: float | None
    seconds: float
    how: How
    bound_of: str = ""
    placement_of: str = ""
    result: Result | None = field(default=None, repr=False)

    @property
    def gap(self) -> float | None:
        """(period - bound) / period; None where there is no placement."""
        if self.period is None or self.bound is None:
            return None
        return max(0.0, self.period - self.bound) / self.period if self.period > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON; numbers that do not exist are None."""
        return {
            "hardware": self.hardware.name,
            **{name: finite(value) for name, value in self.settings.items()},
            "status": self.status,
            "period": self.period,
            "bound": self.bound,
            "gap": self.gap,
            "time_unit": self.hardware.time_unit,
            "seconds": self.seconds,
            "how": self.how,
            "bound_of": self.bound_of,
            "placement_of": self.placement_of,
        }


@dataclass(frozen=True, eq=False)
class SweepResult:
    """The designs of a sweep in the order in which they were asked.

    Attributes
    ----------
    rows : one for every design.
    seconds : of the whole on the wall.
    searches : of designs.
    gap : at which a design counts as settled.
    interrupted : the caller ended it; the rows have what was known by then.
    """

    model: str
    rows: tuple[SweepRow, ...]
    seconds: float
    searches: int
    gap: float
    interrupted: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[SweepRow]:
        return iter(self.rows)

    def __getitem__(self, at: int) -> SweepRow:
        return self.rows[at]

    def __repr__(self) -> str:
        return f"<SweepResult {self.verdict()}>"

    def verdict(self) -> str:
        """The sweep in one sentence."""
        count = {name: sum(row.status == name for row in self.rows) for name in ("optimal", "infeasible")}
        rest = len(self.rows) - sum(count.values())
        ended = " (interrupted)" if self.interrupted else ""
        return printable(
            f"{self.model} on {len(self.rows)} designs: {count['optimal']} proved optimal, {count['infeasible']} "
            f"infeasible, {rest} open; {self.searches} searches, {self.seconds:.1f} s{ended}"
        )

    __str__ = verdict

    def pareto(self, costs: Sequence[str] = COSTS) -> tuple[SweepRow, ...]:
        """Rows with a placement that no other beats: as cheap in every cost, and in one of them or in time better.

        A period that is longer by no more than the gap counts as the same, so that rounding makes no designs.

        Raises
        ------
        InvalidInput : a cost is no number of every row.
        """
        placed = [row for row in self.rows if row.period is not None]
        points = [tuple(_cost(row, name) for name in costs) for row in placed]
        kept = []
        for i, row in enumerate(placed):
            others = ((points[j], other) for j, other in enumerate(placed) if j != i)
            if not any(self._beats(point, other, points[i], row) for point, other in others):
                kept.append(row)
        return tuple(kept)

    def _beats(self, cost: Sequence[float], row: SweepRow, other_cost: Sequence[float], other: SweepRow) -> bool:
        assert row.period is not None and other.period is not None
        if any(a > b for a, b in zip(cost, other_cost, strict=True)):
            return False
        if tuple(cost) == tuple(other_cost):
            return row.period < other.period
        return row.period <= other.period * (1 + self.gap)

    def to_dict(self) -> dict[str, Any]:
        """The command line's JSON object."""
        return {
            "model": self.model,
            "seconds": self.seconds,
            "searches": self.searches,
            "gap": self.gap,
            "interrupted": self.interrupted,
            "rows": [row.to_dict() for row in self.rows],
        }

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """:meth:`to_dict` as text, also written to ``path`` if given (atomically)."""
        text = json.dumps(self.to_dict(), allow_nan=False)
        if path is not None:
            write_atomically(path, text + "\n")
        return text

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """A line for every design, the first one with the names; also written to ``path`` if given (atomically)."""
        told = [row.to_dict() for row in self.rows]
        out = io.StringIO()
        names = list(dict.fromkeys(name for each in told for name in each))
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(told)
        if path is not None:
            write_atomically(path, out.getvalue())
        return out.getvalue()

    def to_table(self) -> str:
        """A line for every design and the verdict, as plain text."""
        lines = [" ".join(cells).rstrip() for cells in _aligned([self._head(), *map(self._cells, self.rows)])]
        return "\n".join([*lines, "", self.verdict()])

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self._head())
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in self._cells(row))}</tr>" for row in self.rows
        )
        said = f"<p><b>{html.escape(self.verdict())}</b></p>"
        return f"{said}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _names(self) -> list[str]:
        """Settings that are not alike in all rows."""
        names = dict.fromkeys(name for row in self.rows for name in row.settings)
        varied = [name for name in names if len({str(row.settings.get(name)) for row in self.rows}) > 1]
        several = len({row.hardware.name for row in self.rows}) > 1 and not varied
        return (["hardware"] if several else []) + varied

    def _head(self) -> list[str]:
        return [*self._names(), "status", "period", "bound", "gap", "how"]

    def _cells(self, row: SweepRow) -> list[str]:
        unit = row.hardware.time_unit
        settings = [
            row.hardware.name if name == "hardware" else _cell(row.settings.get(name)) for name in self._names()
        ]
        times = ["-" if x is None else time_text(x, unit) for x in (row.period, row.bound)]
        gap = "-" if row.gap is None else gap_text(row.gap)
        return [printable(cell) for cell in (*settings, row.status, *times, gap, row.how)]


def _cost(row: SweepRow, name: str) -> float:
    value = row.settings.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        known = ", ".join(name for name, each in row.settings.items() if isinstance(each, int | float))
        raise InvalidInput(f"{shown(name)} is no cost of the designs; choose from {known}")
    return float(value)


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)


def _aligned(rows: list[list[str]]) -> Iterator[list[str]]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
