"""The manifest of a split model: which part runs where, and what moves between the parts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from partition.errors import InvalidInput
from partition.readers.json_fields import parse_file
from partition.text import shown

FILE = "manifest.json"
FORMAT = "mcm-partition parts"
VERSION = 1
_PART = re.compile(r"chip_[0-9]{1,9}\.onnx")


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
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1)

    @staticmethod
    def read(folder: Path) -> Manifest:
        """From the folder that :func:`~partition.split.split_model` wrote.

        Raises
        ------
        InvalidInput : there is none, or it is not of this version.
        """
        path = folder / FILE
        if not path.is_file():
            raise InvalidInput(f"there is no {str(path)!r}; give a folder that split wrote")
        data = parse_file(path)
        if data.get("format") != FORMAT:
            raise InvalidInput(f"{str(path)!r} is not a manifest of split; give a folder that split wrote")
        if data.get("version") != VERSION:
            raise InvalidInput(f"{str(path)!r} is of version {shown(data.get('version'))}, not {VERSION}; split again")
        try:
            parts = tuple(
                Part(**{**row, "inputs": _ports(row["inputs"]), "outputs": _ports(row["outputs"]),
                        "replicas": _texts(row["replicas"]), "relays": _texts(row["relays"])})
                for row in data["parts"]
            )  # fmt: skip
            for part in parts:
                if not _PART.fullmatch(part.file):  # it is opened: no way out of the folder
                    raise ValueError(f"a part is called {shown(part.file)}, not chip_<number>.onnx")
                _whole(part.chip)
            return Manifest(
                model=str(data["model"]),
                fingerprint=str(data["fingerprint"]),
                dims={name: _whole(size) for name, size in data["dims"].items()},
                inputs=_texts(data["inputs"]),
                outputs=_texts(data["outputs"]),
                parts=parts,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"{str(path)!r} is not a manifest of split ({error}); split again") from error


def _ports(rows: list[dict[str, Any]]) -> tuple[Port, ...]:
    for row in rows:
        _texts([row["tensor"], row["name"]])
    return tuple(Port(**{**row, "chips": tuple(map(_whole, row["chips"]))}) for row in rows)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{shown(values)} is no list of names")
    return tuple(values)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{shown(value)} is no whole number")
    return value
