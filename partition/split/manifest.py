"""The manifest of a split model: which part runs where, and what moves between the parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from partition.errors import InvalidInput

FILE = "manifest.json"
VERSION = 1


@dataclass(frozen=True)
class Port:
    """An input or output of a part.

    Attributes
    ----------
    tensor : name in the whole model. name : of the part's own input or output, another one where a chip hands on a
        tensor it did not make.
    bytes : per input of the pipeline.
    chips : where it comes from or goes to; empty for the host.
    host : an input the host delivers, or an output it wants.
    """

    tensor: str
    name: str
    bytes: float
    chips: tuple[int, ...]
    host: bool


@dataclass(frozen=True)
class Part:
    """The model of one chip. ``replicas`` are operations that also run elsewhere, ``relays`` tensors handed on."""

    chip: int
    file: str
    operations: int
    weight_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    replicas: tuple[str, ...]
    relays: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """All parts in an order in which they can run.

    Attributes
    ----------
    fingerprint : of the graph that was partitioned. dims : values of the symbolic dimensions.
    inputs, outputs : of the whole model.
    """

    model: str
    fingerprint: str
    dims: Mapping[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parts: tuple[Part, ...]

    def to_json(self) -> str:
        """As text."""
        return json.dumps({"format": "mcm-partition parts", "version": VERSION, **asdict(self)}, indent=1)

    @staticmethod
    def read(folder: Path) -> Manifest:
        """From the folder that :func:`~partition.split.split_model` wrote.

        Raises
        ------
        InvalidInput : there is none, or it is not of this version.
        """
        path = folder / FILE
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if data["version"] != VERSION:
                raise InvalidInput(f"{str(path)!r} is of version {data['version']!r}, not {VERSION}; split again")
            parts = tuple(
                Part(**{**row, "inputs": _ports(row["inputs"]), "outputs": _ports(row["outputs"]),
                        "replicas": tuple(row["replicas"]), "relays": tuple(row["relays"])})
                for row in data["parts"]
            )  # fmt: skip
            names = ("model", "fingerprint", "dims")
            return Manifest(
                **{name: data[name] for name in names},
                inputs=tuple(data["inputs"]),
                outputs=tuple(data["outputs"]),
                parts=parts,
            )
        except OSError as error:
            raise InvalidInput(
                f"cannot read {str(path)!r} ({error.strerror}); give a folder that split wrote"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"{str(path)!r} is not a manifest of split ({error}); split again") from error


def _ports(rows: list[dict[str, Any]]) -> tuple[Port, ...]:
    return tuple(Port(**{**row, "chips": tuple(row["chips"])}) for row in rows)
