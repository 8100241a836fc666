"""The options that say what is wished of a placement."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from partition.problem.wishes import Wishes

MOST_DIGITS = 6
"""Of the number of a chip, so that no range fills the memory."""


def _parse_pins(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, int]]:
    pairs = _parse_chips(_, __, values)
    for name, chips in pairs:
        if len(chips) != 1:
            raise click.BadParameter(f"{name!r} is pinned to {len(chips)} chips; give one")
    return [(name, chips[0]) for name, chips in pairs]


def _parse_chips(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, list[int]]]:
    pairs = []
    for value in values:
        name, equals, chips = value.rpartition("=")
        ends = [part.split("-") for part in chips.split(",")]
        if not equals or not name or not all(len(e) <= 2 and all(end.isdecimal() for end in e) for e in ends):
            raise click.BadParameter(f"{value!r} is not of the form NAME=CHIPS, such as encoder/*=0,2-4")
        if any(len(end) > MOST_DIGITS for e in ends for end in e):
            raise click.BadParameter(f"{value!r} names a chip that no package has")
        pairs.append((name, [chip for e in ends for chip in range(int(e[0]), int(e[-1]) + 1)]))
        if not pairs[-1][1]:
            raise click.BadParameter(f"{value!r} names no chip; the first of a range is its smallest")
    return pairs


def wish_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options and hand them over as ``wishes``."""

    @wraps(command)
    def wrapped(*args: Any, wish_file: str | None, **kwargs: Any) -> None:
        from partition.problem.wishes import Wishes

        names = ("pins", "forbid", "together", "cuts", "granularity", "max_stages")
        given = {name: kwargs.pop(name) for name in names}
        given["together"] = [entry.split(",") for entry in given["together"]]
        wishes: Wishes = Wishes.from_toml(wish_file) if wish_file is not None else Wishes()
        command(*args, wishes=wishes.joined(Wishes.of(**given)), **kwargs)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


_OPTIONS = (
    click.option("--pin", "pins", multiple=True, callback=_parse_pins, metavar="NAME=CHIP",
                 help="This chip runs the operation, or all that a pattern matches; repeatable."),
    click.option("--forbid", "forbid", multiple=True, callback=_parse_chips, metavar="NAME=CHIPS",
                 help="These chips (0,2-4) do not run it; repeatable."),
    click.option("--together", multiple=True, metavar="NAMES",
                 help="Names or patterns, with commas between, that share a chip; repeatable."),
    click.option("--cut", "cuts", multiple=True, nargs=2, metavar="BEFORE BEHIND",
                 help="A boundary between chips lies between these two; repeatable."),
    click.option("--granularity", metavar="layer|module:N", help="Keep layers, or modules N levels deep, whole."),
    click.option("--max-stages", type=int, help="Use only the first so many chips."),
    click.option("--wishes", "wish_file", type=click.Path(), metavar="FILE",
                 help="TOML file with these wishes in a table [wishes]."),
)  # fmt: skip
