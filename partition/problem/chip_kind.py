"""One kind of chip: its figures, and how long operations take on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from partition.errors import InvalidHardware
from partition.problem.graph import LARGEST
from partition.text import shown

if TYPE_CHECKING:
    from partition.arrays import FloatArray

MEMORY_SLACK = 1e-9
"""Relative rounding allowance when weights are compared with SRAM."""

ROUNDED = 1e-12
"""Relative rounding error of a sum of weights, many times over: a difference of two is lowered by so much of both."""

TOO_MUCH = (1 + MEMORY_SLACK) * (1 + ROUNDED)
"""Times its SRAM: what is more is too much for a chip, in whatever order the weights are added up."""


@dataclass(frozen=True)
class ChipKind:
    """One kind of chip. Times come from a roofline unless the graph brings profiled ones.

    Attributes
    ----------
    peak_flops : FLOP/s.
    sram_bytes : capacity for resident weights; ``inf`` for no limit.
    sram_bandwidth : bytes/s between SRAM and the arithmetic units.
    op_overhead_s : fixed seconds to issue one operation.
    flop_energy_j, sram_energy_j_per_byte : joules per FLOP and per byte accessed.
    unsupported : operator kinds that it cannot run, ``Input`` too if it is listed; profiled times of infinity say the
        same of single operations.
    free_transfers : receiving and sending takes no time of its own (a CPU beside the main memory, say).
    dram_bandwidth : bytes/s at which weights beyond the SRAM come from DRAM in every period; 0 where they cannot, so
        that all must fit.
    """

    name: str
    peak_flops: float
    sram_bytes: float = float("inf")
    sram_bandwidth: float = float("inf")
    op_overhead_s: float = 0.0
    flop_energy_j: float = 0.0
    sram_energy_j_per_byte: float = 0.0
    unsupported: tuple[str, ...] = ()
    free_transfers: bool = False
    dram_bandwidth: float = 0.0

    def __post_init__(self) -> None:
        where = f"chip_kinds.{self.name}"
        if not isinstance(self.unsupported, list | tuple) or not all(isinstance(k, str) for k in self.unsupported):
            raise InvalidHardware(
                f"{where}.unsupported is {shown(self.unsupported)}; it must be a list of operator kinds"
            )
        if not isinstance(self.free_transfers, bool):
            raise InvalidHardware(f"{where}.free_transfers is {shown(self.free_transfers)}; it must be true or false")
        object.__setattr__(self, "unsupported", tuple(self.unsupported))
        check_numbers(
            self,
            where,
            positive=("peak_flops", "sram_bandwidth"),
            infinite=("peak_flops", "sram_bytes", "sram_bandwidth"),
        )
        if 0 < self.dram_bandwidth < 1 / LARGEST:
            raise InvalidHardware(
                f"{where}.dram_bandwidth is {shown(self.dram_bandwidth)}; it must be 0 or from {1 / LARGEST:g} to "
                f"{LARGEST:g}"
            )

    def roofline(self, flops: FloatArray | float, bytes_accessed: FloatArray | float) -> FloatArray:
        """Seconds of operations of so many floating point operations and bytes of SRAM traffic, in any shape."""
        needs = np.maximum(flops / self.peak_flops, bytes_accessed / self.sram_bandwidth)
        return np.asarray(needs + self.op_overhead_s)


@dataclass(frozen=True)
class RunFigures:
    """What a hardware file says for ``run`` alone; the cost model does not look at it.

    Attributes
    ----------
    stage_s : seconds that a stage takes for every input besides its operations and transfers.
    """

    stage_s: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "run", positive=(), infinite=())


def check_numbers(owner: object, path: str, *, positive: tuple[str, ...], infinite: tuple[str, ...]) -> None:
    """Every field of type float is a number in its range.

    Raises
    ------
    InvalidHardware : one is not; it names the field.
    """
    for f in fields(owner):  # type: ignore[arg-type]
        value = getattr(owner, f.name)
        if f.type != "float":
            continue
        where = f"{path}.{f.name}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidHardware(f"{where} is {shown(value)}; it must be a number")
        least = 1 / LARGEST if f.name in positive else 0.0
        if not (least <= value <= LARGEST or (value == math.inf and f.name in infinite)):
            wanted = "positive" if f.name in positive else "zero or more"
            limits = f"from {least:g} to {LARGEST:g}" + (", or inf" if f.name in infinite else "")
            raise InvalidHardware(
                f"{where} is {shown(value)}; it must be {wanted}"
                + ("" if f.name in infinite else " and finite")
                + (f" ({limits})" if 0 < value < math.inf else "")
            )
