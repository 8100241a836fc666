"""Hardware by name or from a TOML file (docs/hardware.md)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from partition.errors import InvalidHardware
from partition.hardware import ChipKind, Hardware, Interconnect, Rules, override

MOST_CHIPS = 4096

# The paper's package is 36 chips on a one-directional ring with all three rules on [Xie et al., MLSys 2022]; its
# figures are not published. Every number below says where it comes from instead; docs/hardware.md has the table.
EDGE_CHIP = ChipKind(
    name="edge",
    peak_flops=4e12,  # Edge TPU: 4 TOPS; Simba's 36 chiplets reach 128 TOPS together, 3.6 each [MICRO 2019]
    sram_bytes=144 * 2**20,  # the on-chip memory of a TPU made for inference, TPUv4i [Jouppi et al., ISCA 2021]
    sram_bandwidth=5e11,  # our choice: 8 operations per byte at peak, as 256-bit banks on a ~16-bank chiplet give
    op_overhead_s=2e-7,  # our choice: ~200 cycles at 1 GHz to issue an operation
    flop_energy_j=0.5e-12,  # about half a multiply-add at 16 bit with its registers [Horowitz, ISSCC 2014]
    sram_energy_j_per_byte=1.25e-12,  # 10 pJ per 64-bit access of a small SRAM [Horowitz, ISSCC 2014]
)
LINK = {
    "link_bandwidth": 16e9,  # our choice for the paper's "slow links": a PCIe 4 x8 link; Simba's chiplets have 100 GB/s
    "link_latency_s": 1e-7,  # our choice: Simba measures tens of ns per hop
    "transfers": "overlapped",  # TPUs move data by DMA engines beside the arithmetic
    "link_energy_j_per_byte": 10e-12,  # 1.2 pJ/bit ground-referenced signalling [Simba, MICRO 2019]
}
TOPOLOGY_NOTES = {
    "ring": "one-directional ring of identical chips, all rules on",
    "chain": "chain of identical chips, all rules on",
}


def presets() -> list[tuple[str, str]]:
    """(name, description) of the presets; ``N`` stands for any number of chips."""
    return [
        ("ring36", "the paper's package: 36 chips on a one-directional ring, all rules on (Xie et al., MLSys 2022)"),
        *((f"{topology}N", note) for topology, note in TOPOLOGY_NOTES.items()),
    ]


def load_hardware(spec: str) -> Hardware:
    """A preset, a preset with settings (``ring36:transfers=serial,triangle=off``), or a TOML file.

    Raises
    ------
    InvalidHardware : unknown preset or setting, unreadable file, missing, unknown or wrongly typed field.
    """
    if spec.endswith(".toml") or Path(spec).is_file():
        return _read_toml(Path(spec))
    name, _, settings = spec.partition(":")
    hardware = _preset(name)
    values = dict(_setting(part) for part in settings.split(",")) if settings else {}
    return Hardware(**{**vars(override(hardware, values)), "name": spec})


def _preset(name: str) -> Hardware:
    match = re.fullmatch(r"(ring|chain)(-?\d+)", name)
    if match is None:
        raise InvalidHardware(f"unknown hardware {name!r}; give ringN, chainN (ring36 is the paper's) or a TOML file")
    topology, chips = match[1], int(match[2])
    if not 1 <= chips <= MOST_CHIPS:
        raise InvalidHardware(f"hardware {name!r} has {chips} chips; a package has 1 to {MOST_CHIPS}")
    interconnect = Interconnect(topology=topology, **LINK)  # type: ignore[arg-type]
    return Hardware(name=name, kinds=(EDGE_CHIP,), kind_of_chip=(0,) * chips, interconnect=interconnect)


def _setting(text: str) -> tuple[str, object]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key or not value:
        raise InvalidHardware(f"hardware setting {text!r} is not of the form name=value")
    if value.lower() in {"on", "true", "off", "false"}:
        return key, value.lower() in {"on", "true"}
    try:
        return key, float(value)
    except ValueError:
        return key, value


def to_toml(hardware: Hardware) -> str:
    """The hardware as TOML text that :func:`load_hardware` reads back."""
    runs: list[list[Any]] = []
    for kind in hardware.kind_of_chip:
        if runs and runs[-1][0] == kind:
            runs[-1][1] += 1
        else:
            runs.append([kind, 1])
    lines = [f'name = "{_escaped(hardware.name)}"', f'time_unit = "{_escaped(hardware.time_unit)}"', ""]
    for kind, count in runs:
        lines += ["[[chips]]", f'kind = "{_escaped(hardware.kinds[kind].name)}"', f"count = {count}", ""]
    for chip_kind in hardware.kinds:
        table = {key: value for key, value in asdict(chip_kind).items() if key != "name"}
        lines += [f'[chip_kinds."{_escaped(chip_kind.name)}"]', *_toml_lines(table), ""]
    lines += ["[interconnect]", *_toml_lines(asdict(hardware.interconnect)), ""]
    lines += ["[rules]", *_toml_lines(asdict(hardware.rules))]
    return "\n".join(lines) + "\n"


def _toml_lines(table: Mapping[str, Any]) -> list[str]:
    def value(v: Any) -> str:
        if isinstance(v, bool):
            return str(v).lower()
        return f'"{_escaped(v)}"' if isinstance(v, str) else repr(float(v))

    return [f"{key} = {value(v)}" for key, v in table.items()]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _read_toml(path: Path) -> Hardware:
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidHardware(f"cannot read hardware file {str(path)!r}: {error}") from error
    try:
        return _from_tables(data, path.stem)
    except InvalidHardware as error:
        raise InvalidHardware(f"hardware file {str(path)!r}: {error}") from error


def _from_tables(data: Mapping[str, Any], default_name: str) -> Hardware:
    _only(data, "", {"name", "time_unit", "chips", "chip_kinds", "interconnect", "rules"})
    described = _table(data, "chip_kinds")
    kinds = tuple(_record(ChipKind, table, f"chip_kinds.{name}", name=name) for name, table in described.items())
    position = {kind.name: k for k, kind in enumerate(kinds)}
    rows = data.get("chips")
    if not isinstance(rows, list) or not rows:
        raise InvalidHardware("there is no [[chips]] table; give at least one with kind and count")
    kind_of_chip: list[int] = []
    for i, row in enumerate(rows):
        where = f"chips[{i}]"
        if not isinstance(row, dict):
            raise InvalidHardware(f"{where} must be a table with kind and count")
        _only(row, where, {"kind", "count"})
        kind, count = row.get("kind"), row.get("count", 1)
        if kind not in position:
            raise InvalidHardware(f"{where}.kind is {kind!r}; describe it under [chip_kinds.{kind}]")
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_CHIPS:
            raise InvalidHardware(f"{where}.count is {count!r}; it must be a whole number from 1 to {MOST_CHIPS}")
        kind_of_chip += [position[kind]] * count
    for key in ("name", "time_unit"):
        if not isinstance(data.get(key, ""), str):
            raise InvalidHardware(f"{key} is {data[key]!r}; it must be text")
    return Hardware(
        name=data.get("name", default_name),
        kinds=kinds,
        kind_of_chip=tuple(kind_of_chip),
        interconnect=_record(Interconnect, _table(data, "interconnect"), "interconnect"),
        rules=_record(Rules, data.get("rules", {}), "rules"),
        time_unit=data.get("time_unit", "s"),
    )


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if not isinstance(data.get(key), dict):
        raise InvalidHardware(f"there is no [{key}] table")
    table: Mapping[str, Any] = data[key]
    return table


def _record(kind: type, table: Any, where: str, **given: Any) -> Any:
    if not isinstance(table, dict):
        raise InvalidHardware(f"{where} must be a table")
    known = {f.name: f for f in fields(kind)} | {}
    _only(table, where, set(known) - set(given))
    values = {key: float(v) if known[key].type == "float" and _is_number(v) else v for key, v in table.items()}
    try:
        return kind(**given, **values)
    except TypeError as error:
        missing = [name for name, f in known.items() if name not in {**given, **values} and not _has_default(f)]
        raise InvalidHardware(f"{where} lacks {', '.join(missing)}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_default(field: Any) -> bool:
    from dataclasses import MISSING

    return field.default is not MISSING or field.default_factory is not MISSING


def _only(table: Mapping[str, Any], where: str, known: set[str]) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        prefix = f"{where}." if where else ""
        raise InvalidHardware(f"unknown field {prefix}{unknown[0]}; known are {', '.join(sorted(known))}")
