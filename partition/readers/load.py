"""A model from whatever names it: a built-in name, an ONNX or PyTorch file, JSON of three kinds, or a text format."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partition.errors import InvalidInput, InvalidModelFile
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.readers.dagp_dot import looks_like_a_digraph, read_dagp_dot
from partition.readers.hmetis import looks_like_a_hypergraph, read_hmetis
from partition.readers.json_fields import parse_file
from partition.readers.line_balancing import looks_like_a_line, read_line_balancing
from partition.readers.minos import from_minos, looks_like_minos
from partition.readers.native_json import from_dict
from partition.readers.pipedream import looks_like_a_profile, read_pipedream
from partition.readers.several import join_models
from partition.readers.torch.archive import PICKLE, ZIP
from partition.text import meant, shown

TEXTS: dict[str, tuple[Callable[[str], bool], Callable[[Path], Graph]]] = {
    "line-balancing": (looks_like_a_line, read_line_balancing),
    "pipedream": (looks_like_a_profile, read_pipedream),
    "dot": (looks_like_a_digraph, read_dagp_dot),
    "hmetis": (looks_like_a_hypergraph, read_hmetis),
}
"""Formats of plain text: how a file of each begins, and its reader."""

FORMATS = ("builtin", "onnx", "torch", "json", "device-placement", "minos", *TEXTS)


@dataclass(frozen=True)
class Source:
    """A loaded model.

    Attributes
    ----------
    graph : the model.
    hardware : the package the file brings, or None.
    format : one of ``FORMATS``, or ``several``.
    """

    graph: Graph
    hardware: Hardware | None
    format: str


def load_model(
    spec: str | Sequence[str | Source],
    *,
    format: str | None = None,
    dims: Mapping[str, int] | None = None,
    max_cpus: int | None = None,
    rates: Sequence[int] | None = None,
) -> Source:
    """Load ``spec``, a built-in model (``bert-large:seq=384``) or a file; or several of them as one graph.

    Parameters
    ----------
    spec : name or path; or a list of these, in which a model may be loaded already.
    format : overrides the guess by content.
    dims : values of symbolic dimensions, ONNX only. Of several models, each takes those that it has.
    max_cpus : instead of the file's ``maxCPUs``, device-placement only.
    rates : of several models: how many inputs of each one period takes (docs/problem.md, *Several models*).

    Raises
    ------
    InvalidInput : no such model or file, or options that do not fit it.
    InvalidModelFile, InvalidGraph : the file cannot be used.
    """
    if not isinstance(spec, str):
        shares = _shares(spec, dims or {}, format)
        each = [
            one if isinstance(one, Source) else load_model(one, format=format, dims=share, max_cpus=max_cpus)
            for one, share in zip(spec, shares, strict=True)
        ]
        return Source(join_models([source.graph for source in each], rates), None, "several")
    if rates is not None:
        raise InvalidInput(f"rates are for several models; give a list of them, not {shown(spec, 300)} alone")
    if format is not None and format not in FORMATS:
        raise InvalidInput(f"unknown format {format!r}{meant(str(format), FORMATS)}; choose from {', '.join(FORMATS)}")
    data = None
    if format is None:
        format, data = _guess(spec)
    if dims and format != "onnx":
        raise InvalidInput(f"{shown(spec, 300)} has no symbolic dimensions to set; they belong to ONNX models")
    if max_cpus is not None and format != "device-placement":
        raise InvalidInput(f"{shown(spec, 300)} has no CPUs to limit; max_cpus belongs to device-placement files")
    if format == "builtin":
        from partition.models import build

        return Source(build(spec), None, format)
    if not os.path.isfile(spec):
        raise InvalidModelFile(f"{shown(spec, 300)} is not a file; give a model file")
    path = Path(spec)
    if format == "onnx":
        from partition.readers.onnx.model import read_onnx

        return Source(read_onnx(path, dims=dims), None, format)
    if format == "torch":
        from partition.readers.torch.archive import load_program

        return Source(_of_program(load_program(path), path.stem), None, format)
    if format in TEXTS:
        with _told_of(f"{format} file", path):
            return Source(TEXTS[format][1](path), None, format)
    return _of_json(parse_file(path) if data is None else data, path, format, max_cpus)


def _shares(specs: Sequence[str | Source], dims: Mapping[str, int], format: str | None) -> list[dict[str, int]]:
    """Of the values of dimensions, those that each model has; InvalidInput if no model has one of them."""
    if not dims or not specs:
        return [{} for _ in specs]
    has = [() if isinstance(one, Source) else open_dimensions(one, format) for one in specs]
    for name in dims:
        if not any(name in own for own in has):
            listed = "; ".join(
                f"{_called(one)} has {', '.join(map(repr, own)) or 'none'}" for one, own in zip(specs, has, strict=True)
            )
            raise InvalidInput(f"no model has the open dimension {name!r}: {listed}")
    return [{name: size for name, size in dims.items() if name in own} for own in has]


def _called(one: str | Source) -> str:
    return f"{shown(one.graph.name, 300)}, loaded before," if isinstance(one, Source) else shown(one, 300)


def open_dimensions(spec: str, format: str | None = None) -> tuple[str, ...]:
    """Names of the open dimensions of a model; none if it is no ONNX file.

    Parameters
    ----------
    spec : name or path of the model.
    format : overrides the guess by content.

    Raises
    ------
    InvalidModelFile : the file cannot be read.
    """
    if (format or _guess(spec)[0]) != "onnx" or not os.path.isfile(spec):
        return ()
    from partition.readers.onnx.model import symbolic_dimensions

    return symbolic_dimensions(spec)


def _of_json(data: dict[str, Any], path: Path, format: str, max_cpus: int | None) -> Source:
    """A model from parsed JSON of one of three kinds."""
    if format == "minos":
        with _told_of("MINOS file", path):
            return Source(from_minos(data, name=path.stem), None, format)
    if format == "json":
        with _told_of("JSON file", path):
            return Source(from_dict(data, default_name=path.stem), None, format)
    from partition.readers.device_placement import from_device_placement

    graph, hardware = from_device_placement(data, name=path.stem, max_cpus=max_cpus)
    return Source(graph, hardware, format)


@contextlib.contextmanager
def _told_of(what: str, path: Path) -> Iterator[None]:
    """Within, what is wrong with a file is told with its format and its name."""
    try:
        yield
    except InvalidModelFile as error:
        raise InvalidModelFile(f"{what} {shown(str(path), 300)}: {error}") from error


def _of_program(program: Any, name: str) -> Graph:
    from partition.readers.torch.reader import from_torch  # needs torch, which the program has come with

    return from_torch(program, name=name)


def _guess(spec: str) -> tuple[str, dict[str, Any] | None]:
    """The format by content, and the parsed JSON if it is JSON."""
    from partition.models import MODELS

    # os.path, unlike Path, answers False for names that no file can have (too long, with a NUL).
    if spec in MODELS and not os.path.isfile(spec):
        return "builtin", None
    if os.path.isdir(spec):
        raise InvalidModelFile(f"{shown(spec, 300)} is a folder; give a model file")
    if not os.path.exists(spec):
        if ":" not in os.path.basename(spec) and (os.path.splitext(spec)[1] or os.sep in spec):
            raise InvalidModelFile(
                f"there is no file {shown(spec, 300)}; give a model file or the name of a built-in model"
            )
        return "builtin", None
    if not os.path.isfile(spec):  # a pipe would keep whoever opens it waiting
        raise InvalidModelFile(f"{shown(spec, 300)} is a pipe or a device; give a model file")
    try:
        with open(spec, "rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise InvalidModelFile(f"cannot read {shown(spec, 300)}: {error.strerror or error}") from error
    if not start.strip():
        raise InvalidModelFile(f"{shown(spec, 300)} is empty; give a model file")
    if start.startswith((ZIP, PICKLE)):
        return "torch", None
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"["):
        text = _text_format(start)
        return (text, None) if text is not None else ("onnx", None)
    data = parse_file(Path(spec))
    if looks_like_minos(data) and "operations" not in data:
        return "minos", data
    if "graph" in data and not data.keys().isdisjoint(("irVersion", "ir_version", "opsetImport", "opset_import")):
        return "onnx", None
    return ("device-placement" if "nodes" in data and "operations" not in data else "json"), data


def _text_format(start: bytes) -> str | None:
    """The format of plain text that a file of this beginning has, or None."""
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # not just a character cut in two
            return None
        text = start[: error.start].decode("utf-8-sig")
    return next((name for name, (looks, _) in TEXTS.items() if looks(text)), None)
