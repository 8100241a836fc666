"""Hardware as a TOML file, written and read (docs/hardware.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from typing import Any

from partition.errors import InvalidHardware
from partition.files import parse_toml, read_toml
from partition.problem.chip_kind import ChipKind, RunFigures
from partition.problem.hardware import Hardware, Interconnect, Rules
from partition.text import shown

MOST_CHIPS = 4096


def to_toml(hardware: Hardware) -> str:
    """The hardware as TOML text that :func:`read_hardware_file` reads back."""
    runs: list[list[Any]] = []
    for kind in hardware.kind_of_chip:
        if runs and runs[-1][0] == kind:
            runs[-1][1] += 1
        else:
            runs.append([kind, 1])
    lines = [f"name = {_quoted(hardware.name)}", f"time_unit = {_quoted(hardware.time_unit)}"]
    lines += [f"kind_order = {_quoted(hardware.kind_order)}"]
    if hardware.positions:
        lines.append(f"positions = [{', '.join(map(str, hardware.positions))}]")
    lines.append("")
    for kind, count in runs:
        lines += ["[[chips]]", f"kind = {_quoted(hardware.kinds[kind].name)}", f"count = {count}", ""]
    for chip_kind in hardware.kinds:
        table = {key: value for key, value in asdict(chip_kind).items() if key != "name"}
        lines += [f"[chip_kinds.{_quoted(chip_kind.name)}]", *_toml_lines(table), ""]
    lines += ["[interconnect]", *_toml_lines(asdict(hardware.interconnect)), ""]
    lines += ["[rules]", *_toml_lines(asdict(hardware.rules))]
    return "\n".join(lines) + "\n"


def _toml_lines(table: Mapping[str, Any]) -> list[str]:
    def value(v: Any) -> str:
        if isinstance(v, bool):
            return str(v).lower()
        if isinstance(v, tuple):
            return f"[{', '.join(map(value, v))}]"
        if isinstance(v, int):
            return str(v)
        return _quoted(v) if isinstance(v, str) else repr(float(v))

    return [f"{key} = {value(v)}" for key, v in table.items()]


def _quoted(text: str) -> str:
    # A JSON string is a TOML string, but TOML wants DEL escaped, and a terminal all that it would act on.
    written = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in written)


def from_toml(text: str) -> Hardware:
    """The hardware that :func:`to_toml` wrote.

    Raises
    ------
    InvalidHardware : a field is missing, unknown or wrongly typed.
    ValueError : it is not TOML.
    """
    return _from_tables(parse_toml(text.encode()), "hardware")


def _toml_of(path: Path) -> Mapping[str, Any]:
    try:
        return read_toml(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidHardware(f"cannot read hardware file {str(path)!r}: {reason}") from error


def read_hardware_file(path: Path) -> Hardware:
    """The hardware that a file describes.

    Raises
    ------
    InvalidHardware : the file cannot be read, or a field is missing, unknown or wrongly typed.
    """
    try:
        return _from_tables(_toml_of(path), path.stem)
    except InvalidHardware as error:
        raise InvalidHardware(f"hardware file {str(path)!r}: {error}") from error


def read_run_figures(path: Path) -> RunFigures:
    """What a file of ``calibrate`` says of running stages.

    Raises
    ------
    InvalidHardware : as :func:`read_hardware_file`.
    """
    found: RunFigures = _record(RunFigures, _toml_of(path).get("run", {}), "run")
    return found


def _from_tables(data: Mapping[str, Any], default_name: str) -> Hardware:
    known = {"name", "time_unit", "kind_order", "positions", "chips", "chip_kinds", "interconnect", "rules", "run"}
    _only(data, "", known)
    _record(RunFigures, data.get("run", {}), "run")
    described = _table(data, "chip_kinds")
    kinds = tuple(_record(ChipKind, table, f"chip_kinds.{name}", name=name) for name, table in described.items())
    for key in ("name", "time_unit"):
        if not isinstance(data.get(key, ""), str):
            raise InvalidHardware(f"{key} is {shown(data[key])}; it must be text")
    return Hardware(
        name=data.get("name", default_name),
        kinds=kinds,
        kind_of_chip=_kind_of_chip(data, [kind.name for kind in kinds]),
        interconnect=_record(Interconnect, _table(data, "interconnect"), "interconnect"),
        rules=_record(Rules, data.get("rules", {}), "rules"),
        time_unit=data.get("time_unit", "s"),
        kind_order=data.get("kind_order", "fixed"),
        positions=_positions(data.get("positions", [])),
    )


def _positions(given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or any(isinstance(q, bool) or not isinstance(q, int) for q in given):
        raise InvalidHardware(f"positions is {shown(given)}; it must be a list of chip numbers")
    return tuple(given)


def _kind_of_chip(data: Mapping[str, Any], kinds: list[str]) -> tuple[int, ...]:
    """The position of each chip's kind, from the [[chips]] tables one after the other."""
    rows = data.get("chips")
    if not isinstance(rows, list) or not rows:
        raise InvalidHardware("there is no [[chips]] table; give at least one with kind and count")
    chips: list[int] = []
    for i, row in enumerate(rows):
        where = f"chips[{i}]"
        if not isinstance(row, dict):
            raise InvalidHardware(f"{where} is {shown(row)}; it must be a table with kind and count")
        _only(row, where, {"kind", "count"})
        if "kind" not in row:
            raise InvalidHardware(f"{where} lacks kind; name one that is described under [chip_kinds]")
        kind, count = row["kind"], row.get("count", 1)
        if kind not in kinds:
            raise InvalidHardware(f"{where}.kind is {shown(kind)}; describe it under [chip_kinds]")
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_CHIPS - len(chips):
            raise InvalidHardware(
                f"{where}.count is {shown(count)}; it must be a whole number >= 1, "
                f"and all together at most {MOST_CHIPS}"
            )
        chips += [kinds.index(kind)] * count
    return tuple(chips)


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if not isinstance(data.get(key), dict):
        raise InvalidHardware(f"there is no [{key}] table")
    table: Mapping[str, Any] = data[key]
    return table


def _record(kind: type, table: Any, where: str, **given: Any) -> Any:
    """A ``kind`` from a table; its own checks name the field in the same form."""
    if not isinstance(table, dict):
        raise InvalidHardware(f"{where} is {shown(table)}; it must be a table")
    wanted = {f.name: f for f in fields(kind) if f.name not in given}
    _only(table, where, set(wanted))
    missing = [name for name, f in wanted.items() if name not in table and not _has_default(f)]
    if missing:
        raise InvalidHardware(f"{where} lacks {', '.join(missing)}")
    return kind(**given, **{key: _as_float(v) if wanted[key].type == "float" else v for key, v in table.items()})


def _as_float(value: Any) -> Any:
    """A TOML integer as a float; anything else as it is, for the record to judge."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return float(value) if abs(value) < 2**1023 else float("inf")


def _has_default(f: Field[Any]) -> bool:
    return f.default is not MISSING or f.default_factory is not MISSING


def _only(table: Mapping[str, Any], where: str, known: set[str]) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        prefix = f"{where}." if where else ""
        raise InvalidHardware(f"unknown field {prefix}{unknown[0]}; known are {', '.join(sorted(known))}")
