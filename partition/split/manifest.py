"""The manifest of a split model: which part runs where, and what moves between the parts."""

from __future__ import annotations

import json
import math
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
    tensor : name in the whole model.
    name : of the part's own input or output, another one where a chip hands on a
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
    """The model of one chip.

    Attributes
    ----------
    operations : that run there, as the answer counts them: inputs of the model and replicas among them.
    weight_bytes : of the weights that these use, as the answer counts them.
    replicas : operations that also run elsewhere.
    relays : tensors handed on.
    """

    chip: int
    file: str
    operations: int
    weight_bytes: float
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    replicas: tuple[str, ...]
    relays: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """What the answer says of the pipeline, in seconds.

    Attributes
    ----------
    hardware : its name.
    period, bound, latency : of the answer; None for what it does not say.
    loads : chip -> seconds that one input keeps it busy.
    """

    hardware: str
    period: float | None
    bound: float | None
    latency: float | None
    loads: Mapping[int, float]

    @staticmethod
    def of_answer(answer: Mapping[str, Any]) -> Prediction | None:
        """From the JSON object of a solve; None if it says nothing of seconds."""
        if answer.get("time_unit", "s") != "s" or not answer.get("per_chip"):
            return None
        return _prediction(
            {
                "hardware": answer.get("hardware", ""),
                **{key: answer.get(key) for key in ("period", "bound", "latency")},
                "loads": {str(row["chip"]): row["load"] for row in answer["per_chip"]},
            }
        )


@dataclass(frozen=True)
class Manifest:
    """All parts in an order in which they can run.

    Attributes
    ----------
    fingerprint : of the graph that was partitioned.
    dims : values of the symbolic dimensions.
    inputs, outputs : of the whole model.
    prediction : what the answer said of the pipeline, if it said anything.
    """

    model: str
    fingerprint: str
    dims: Mapping[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parts: tuple[Part, ...]
    prediction: Prediction | None = None

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
                prediction=None if data.get("prediction") is None else _prediction(data["prediction"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"{str(path)!r} is not a manifest of split ({error}); split again") from error


def _prediction(data: Mapping[str, Any]) -> Prediction:
    figures = {key: None if data[key] is None else _seconds(data[key]) for key in ("period", "bound", "latency")}
    loads = {_whole(int(chip)): _seconds(load) for chip, load in data["loads"].items()}
    return Prediction(hardware=str(data["hardware"]), loads=loads, **figures)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TypeError(f"{shown(value)} is no number of seconds")
    return float(value)


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
