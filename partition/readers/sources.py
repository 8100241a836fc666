"""A model from whatever names it: a built-in name, an ONNX file, or one of two kinds of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partition.errors import InvalidInput, InvalidModelFile
from partition.graph import Graph
from partition.hardware import Hardware
from partition.readers.native_json import from_dict, parse_file

FORMATS = ("builtin", "onnx", "json", "device-placement")


@dataclass(frozen=True)
class Source:
    """A loaded model.

    Attributes
    ----------
    graph : the model.
    hardware : the package the file brings, or None.
    format : one of ``FORMATS``.
    """

    graph: Graph
    hardware: Hardware | None
    format: str


def load_model(spec: str, *, format: str | None = None, dims: Mapping[str, int] | None = None) -> Source:
    """Load ``spec``, a built-in model (``bert-large:seq=384``) or a file.

    Parameters
    ----------
    format : overrides the guess by content.
    dims : values of symbolic dimensions, ONNX only.

    Raises
    ------
    InvalidInput : no such model or file, or options that do not fit it.
    InvalidModelFile, InvalidGraph : the file cannot be used.
    """
    if format is not None and format not in FORMATS:
        raise InvalidInput(f"unknown format {format!r}; choose from {', '.join(FORMATS)}")
    path = Path(spec)
    data = None
    if format is None:
        format, data = _guess(path)
    if dims and format != "onnx":
        raise InvalidInput(f"{spec!r} has no symbolic dimensions to set; --dim is for ONNX models")
    if format == "builtin":
        from partition.models import build

        return Source(build(spec), None, format)
    if not path.is_file():
        raise InvalidModelFile(f"{spec!r} is not a file")
    if format == "onnx":
        from partition.readers.onnx_model import read_onnx

        return Source(read_onnx(path, dims=dims), None, format)
    data = parse_file(path) if data is None else data
    if format == "json":
        return Source(from_dict(data, default_name=path.stem), None, format)
    from partition.readers.device_placement import from_device_placement

    graph, hardware = from_device_placement(data, name=path.stem)
    return Source(graph, hardware, format)


def _guess(path: Path) -> tuple[str, dict[str, Any] | None]:
    """The format by content, and the parsed JSON if it is JSON."""
    if path.is_dir():
        raise InvalidModelFile(f"{str(path)!r} is a folder; give a model file")
    if not path.exists():
        if (path.suffix or "/" in str(path)) and ":" not in path.name:
            raise InvalidModelFile(f"there is no file {str(path)!r}")
        return "builtin", None
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if not start:
        raise InvalidModelFile(f"{str(path)!r} is empty")
    if start[:1] not in (b"{", b"["):
        return "onnx", None
    data = parse_file(path)
    return ("device-placement" if "nodes" in data and "operations" not in data else "json"), data
