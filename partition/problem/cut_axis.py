"""The axes along which an operation can be computed in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd
from numbers import Integral

PartCount = int | str
"""How many parts, or that with the word of the axis: ``4``, ``"4:rows"``."""


@dataclass(frozen=True)
class ReadWindow:
    """What a part of the output reads along an axis of the input, as for a convolution.

    Output element ``o`` reads input elements ``o * stride - before`` up to that plus ``span``, those outside left out.

    Attributes
    ----------
    stride, span, before : in elements of the input.
    scale : output elements that one step of ``stride`` makes; above 1 for an operator that enlarges.
    extent : elements of the input.
    """

    stride: int
    span: int
    before: int
    extent: int
    scale: int = 1

    def reads(self, low: int, high: int) -> tuple[int, int]:
        """The elements of the input that output elements ``low`` up to ``high`` read."""
        first = low // self.scale * self.stride - self.before
        last = (high - 1) // self.scale * self.stride - self.before + self.span
        return max(first, 0), min(last, self.extent)

    def beyond(self, low: int, high: int) -> tuple[int, int]:
        """How many elements before and behind the input that window reaches over; where a step makes one element."""
        first, last = low * self.stride - self.before, (high - 1) * self.stride - self.before + self.span
        return max(0, -first), max(0, last - self.extent)


@dataclass(frozen=True)
class HandedState:
    """What a part hands to the next, as the state of a recurrent layer: a result of the one, an operand of the other.

    Attributes
    ----------
    result, operand : their positions.
    bytes : of it.
    name : of the result that the last part makes; ``""`` where nobody wants it.
    initial : name of the operand of the first part; ``""`` where it has none.
    """

    result: int
    operand: int
    bytes: float
    name: str = ""
    initial: str = ""


@dataclass(frozen=True)
class CutAxis:
    """One axis along which an operation can be computed in parts.

    The axis has ``extent`` units; part ``i`` computes some of them. A tensor or weight that is not named is read whole
    by every part.

    Attributes
    ----------
    extent : units; 0 where nobody knows how many.
    reads : tensor that is cut with the axis -> (its axis, elements of a unit).
    makes : result -> (its axis, elements of a unit). If empty, every part makes a summand of each result.
    weights : weight that is cut -> (its axis, elements of a unit).
    held : bytes of those weights.
    blocks : equal blocks, one after the other, in each weight's axis: a unit is one piece of every block.
    once : operands that only the first part reads: what is added to a sum.
    counts : attributes that count units, such as the groups of a convolution.
    carries : what each part hands to the next, so that parts run one after the other.
    turned : the last part comes first then.
    window : what a part reads of the first tensor, where parts overlap there; (tensor, its axis, window).
    picks : of weights that a part holds whole it reads its own rows alone, as a lookup does.
    word : what a unit is, for a sentence.
    """

    extent: int
    reads: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    makes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    weights: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    held: float = 0.0
    blocks: int = 1
    once: frozenset[str] = frozenset()
    counts: tuple[str, ...] = ()
    carries: tuple[HandedState, ...] = ()
    turned: bool = False
    window: tuple[str, int, ReadWindow] | None = None
    picks: bool = False
    word: str = "elements"

    @property
    def sums(self) -> bool:
        """Whether parts make summands of the results."""
        return not (self.makes or self.carries)

    def order(self, parts: int) -> range:
        """Parts in the order in which they can be computed."""
        return range(parts)[::-1] if self.turned else range(parts)

    def before(self, part: int, parts: int) -> int | None:
        """The part of which one takes what is handed on; None for the first."""
        first = part == self.order(parts)[0]
        return None if first or not self.carries else part + 1 if self.turned else part - 1

    def starting(self) -> frozenset[str]:
        """Operands that the first part reads alone: states to start from."""
        return frozenset(carried.initial for carried in self.carries if carried.initial)

    def handed(self) -> frozenset[str]:
        """Results that the last part makes alone: states at the end."""
        return frozenset(carried.name for carried in self.carries if carried.name)


DIRECTIONS = "directions"
"""The word of the axis of an operator that runs a sequence both ways: one part runs it forward, one backward."""


def common_units(*extents: int) -> int:
    """The most units that all axes can be cut in together; 0 where nobody knows."""
    return gcd(*extents)


def bounds(units: int, parts: int) -> list[int]:
    """Where parts begin and end, as even as whole units allow; ``parts + 1`` numbers."""
    return [round(units * i / parts) for i in range(parts + 1)]


def split_parts(asked: PartCount) -> tuple[int, str]:
    """Number of parts, and the word of the axis or ``""``.

    Raises
    ------
    ValueError : the number is no whole number from 1 on.
    """
    count, _, word = asked.partition(":") if isinstance(asked, str) else (asked, "", "")
    if isinstance(count, str):
        parts = int(count) if count.isdecimal() else 0
    else:
        parts = int(count) if isinstance(count, Integral) and not isinstance(count, bool) else 0
    if parts < 1:
        raise ValueError(f"{asked!r} is no number of parts")
    return parts, word


def joined_parts(parts: int, word: str) -> PartCount:
    """The inverse of :func:`split_parts`."""
    return f"{parts}:{word}" if word else parts
