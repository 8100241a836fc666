"""The stream of inputs that goes through a pipeline, as it is planned before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class StreamPlan:
    """The stream: ``alone`` inputs one by one, then ``record`` traced, ``warm_up`` to fill, ``measured`` to measure."""

    folder: Path
    alone: int
    record: int
    warm_up: int
    measured: int
    optimised: bool
    values: tuple[Mapping[str, NDArray[Any]], ...]
    seed: int
    keep: int
    patience: float

    @property
    def skipped(self) -> int:
        """Inputs before the measured ones."""
        return self.alone + self.record + self.warm_up

    @property
    def total(self) -> int:
        """All inputs."""
        return self.skipped + self.measured
