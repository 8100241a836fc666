"""Hardware by name, with settings or as calibrated (docs/hardware.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from partition.errors import InvalidHardware
from partition.problem.boards import BOARDS
from partition.problem.chip_kind import ChipKind
from partition.problem.hardware import IN_LINE, STREAMING, Hardware, Interconnect, Rules, override
from partition.problem.hardware_toml import MOST_CHIPS, read_hardware_file, read_run_figures
from partition.text import meant, shown

# The paper's package is 36 chips on a one-directional ring with all three rules on [Xie et al., MLSys 2022]; its
# figures are not published. Every number below says where it comes from instead; docs/hardware.md has the table.
EDGE_CHIP = ChipKind(
    name="edge",
    peak_flops=4e12,  # Simba: 36 chiplets in a package, 4 TOPS peak each [Shao et al., MICRO 2019]; Edge TPU: 4 TOPS
    sram_bytes=144 * 2**20,  # the on-chip memory of a TPU made for inference, TPUv4i [Jouppi et al., ISCA 2021]
    sram_bandwidth=5e11,  # our choice: 8 operations per byte at peak, as 256-bit banks on a ~16-bank chiplet give
    op_overhead_s=2e-7,  # our choice: ~200 cycles at 1 GHz to issue an operation
    flop_energy_j=0.5e-12,  # half a 16-bit multiply-add, 0.75 pJ at 45 nm [Horowitz, ISSCC 2014]; less on a newer node
    sram_energy_j_per_byte=1.25e-12,  # 10 pJ per 64-bit access of a small SRAM [Horowitz, ISSCC 2014]
)
LINK = {
    "link_bandwidth": 16e9,  # our choice for the paper's "slow links": a PCIe 4 x8 link; Simba's chiplets have 100 GB/s
    "link_latency_s": 1e-7,  # our choice: Simba measures tens of ns per hop
    "transfers": "overlapped",  # TPUs move data by DMA engines beside the arithmetic
    "link_energy_j_per_byte": 10e-12,  # 1.2 pJ/bit, Simba's ground-referenced signalling [Poulton et al., JSSC 2019]
}
SIMBA_CHIP = ChipKind(
    name="simba",
    peak_flops=4e12,  # 128 TOPS in all at 36 chiplets, 4 TOPS each at most [Shao et al., MICRO 2019]
    sram_bytes=144 * 2**20,  # as EDGE_CHIP: Simba's own 0.75 MiB per chiplet lives on streamed weights
    sram_bandwidth=5e11,  # as EDGE_CHIP
    op_overhead_s=2e-7,  # as EDGE_CHIP
    flop_energy_j=0.055e-12,  # 0.11 pJ per 8-bit operation at its most efficient voltage, two FLOPs a multiply-add
    sram_energy_j_per_byte=1.25e-12,  # as EDGE_CHIP
)
SIMBA_MESH = Interconnect(
    "mesh",
    link_bandwidth=100e9,  # 100 GB/s per chiplet [Shao et al., MICRO 2019]
    link_latency_s=20e-9,  # 20 ns per hop [Shao et al., MICRO 2019]
    link_energy_j_per_byte=8 * 1.17e-12,  # 1.17 pJ per bit [Poulton et al., JSSC 2019]
    rows=6,
    columns=6,
)
# Streaming is off unless it is asked for: the paper's package has no DRAM of a chip's own that is described.
DRAM_BANDWIDTH = 51.2e9  # 64 bits of LPDDR5 at 6,400 MT/s [JEDEC JESD209-5]; the width is our choice
# What `calibrate` found on a core of a virtual machine with 2 (AMD EPYC, onnxruntime 1.32) while other work ran.
REFERENCE_CPU = ChipKind(name="reference-cpu", peak_flops=7.8e10, sram_bandwidth=2.6e10, op_overhead_s=2.8e-6)
REFERENCE_CPU_LINK = Interconnect("memory", link_bandwidth=7.8e9, link_latency_s=3.2e-5, transfers="serial")
TOPOLOGY_NOTES = {
    "ring": "one-directional ring of identical chips, all rules on",
    "chain": "chain of identical chips, all rules on",
    "biring": "bidirectional ring, the shorter way round; without the triangle rule",
    "bichain": "bidirectional chain; without the triangle rule",
    "crossbar": "any chip to any chip, ports alone limit; without the triangle rule",
}


def presets() -> list[tuple[str, str]]:
    """(name, description) of the presets; ``N`` stands for any number of chips."""
    return [
        ("ring36", "the paper's package: 36 chips on a one-directional ring, all rules on (Xie et al., MLSys 2022)"),
        ("simba36", "a 6 x 6 mesh after Simba (Shao et al., MICRO 2019); without the triangle rule"),
        *((f"{topology}N", note) for topology, note in TOPOLOGY_NOTES.items()),
        (
            "cpuN",
            "cores of a CPU that exchange tensors in memory, as `calibrate` found them, else of a reference machine",
        ),
        ("meshRxC", "mesh of R rows and C columns, routed along the row first; without the triangle rule"),
        *((name, note) for name, (note, _) in BOARDS.items()),
    ]


def load_hardware(spec: str) -> Hardware:
    """A preset or a TOML file, either with settings behind a colon (``ring36:transfers=serial,triangle=off``).

    ``streaming=on`` gives the chips of a preset a DRAM of :data:`DRAM_BANDWIDTH`; ``streaming=serial`` too, and weights
    are then streamed in turn with compute.

    Raises
    ------
    InvalidHardware : unknown preset or setting, one given twice, unreadable file, missing, unknown or wrongly typed
        field.
    """
    if spec.endswith(".toml") or os.path.isfile(spec):
        return read_hardware_file(Path(spec))
    file = re.fullmatch(r"(.*\.toml):(.*)", spec)
    name, colon, settings = (file[1], ":", file[2]) if file else spec.partition(":")
    hardware = read_hardware_file(Path(name)) if file else _preset(name)
    if not colon:
        return hardware
    given: dict[str, object] = {}
    for key, value in map(setting, settings.split(",")):
        if key in given:
            raise InvalidHardware(f"hardware setting {shown(key)} is given twice; give it once")
        given[key] = value
    return replace(with_settings(hardware, given), name=f"{hardware.name}:{settings}")


def with_settings(hardware: Hardware, settings: Mapping[str, object]) -> Hardware:
    """A copy with settings as they follow a preset: those of :func:`override`, and ``streaming`` on or off.

    Raises
    ------
    InvalidHardware : there is no such setting, a value is none for it, or no DRAM is known to stream from.
    """
    return override(hardware, _with_dram(hardware, settings) if "streaming" in settings else settings)


def preset_of(hardware: str) -> Hardware | None:
    """The preset that the name of a package begins with; None if there is none."""
    try:
        return _preset(hardware.partition(":")[0])
    except InvalidHardware:
        return None


def _with_dram(hardware: Hardware, settings: Mapping[str, object]) -> dict[str, object]:
    """Settings with ``streaming`` told in fields: the bandwidth of a DRAM, and how it goes with compute."""
    how = {True: "on", False: "off"}[given] if isinstance(given := settings["streaming"], bool) else given
    if how not in ("on", "off", *STREAMING):
        raise InvalidHardware(f"streaming is {shown(how)}; choose one of on, off, {', '.join(STREAMING)}")
    others = {key: value for key, value in settings.items() if key != "streaming"}
    if how == "off":
        return others | {"dram_bandwidth": 0.0}
    fields_of = others | {"streaming": "overlapped" if how == "on" else how}
    if any(kind.dram_bandwidth > 0 for kind in hardware.kinds):  # it keeps the DRAM that it has
        return fields_of
    preset = preset_of(hardware.name)
    alike = preset is not None and [kind.name for kind in preset.kinds] == [kind.name for kind in hardware.kinds]
    on_record = preset is not None and alike and set(preset.kinds) <= {EDGE_CHIP, SIMBA_CHIP}
    if "dram_bandwidth" not in settings and not on_record:
        raise InvalidHardware(
            f"hardware {hardware.name!r} has no DRAM of its own on record; give its bandwidth in bytes/s as well, "
            "as in streaming=on,dram_bandwidth=1e10"
        )
    return {"dram_bandwidth": DRAM_BANDWIDTH} | fields_of


def _preset(name: str) -> Hardware:
    mesh = re.fullmatch(r"mesh([0-9]{1,4})x([0-9]{1,4})", name)
    if name == "simba36":
        return replace(_mesh(name, 6, 6), kinds=(SIMBA_CHIP,), interconnect=SIMBA_MESH)
    if name in BOARDS:
        return BOARDS[name][1]
    if mesh is not None:
        return _mesh(name, int(mesh[1]), int(mesh[2]))
    match = re.fullmatch(r"(ring|chain|biring|bichain|crossbar|cpu)(-?[0-9]+)", name)
    if match is None:
        raise InvalidHardware(
            f"unknown hardware {name[:60]!r}{_nearest(name)}; give ringN (ring36 is the paper's), chainN, biringN, "
            f"bichainN, crossbarN, meshRxC, simba36, cpuN, {', '.join(BOARDS)} or a TOML file"
        )
    topology, digits = match[1], match[2]
    if len(digits) > 12 or not 1 <= int(digits) <= MOST_CHIPS:
        raise InvalidHardware(f"hardware {name[:60]!r} has {digits[:20]} chips; a package has 1 to {MOST_CHIPS}")
    chips = int(digits)
    if topology == "cpu":
        return _cpu(name, chips)
    interconnect = Interconnect(topology=topology, **LINK)  # type: ignore[arg-type]
    rules = Rules() if topology in IN_LINE else Rules(triangle=False)
    return Hardware(name=name, kinds=(EDGE_CHIP,), kind_of_chip=(0,) * chips, interconnect=interconnect, rules=rules)


def _nearest(name: str) -> str:
    """The preset that was meant, with the digits that were given."""
    digits = re.search(r"[0-9].*", name)
    size = digits[0] if digits else "4"
    return meant(name, [*BOARDS, "simba36", *(f"{topology}{size}" for topology in (*TOPOLOGY_NOTES, "cpu", "mesh"))])


def calibration_file() -> Path:
    """Where ``calibrate`` keeps what it finds: ``$MCM_PARTITION_CPU``, or a file in the user's configuration."""
    given = os.environ.get("MCM_PARTITION_CPU")
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(given) if given else folder / "mcm-partition" / "cpu.toml"


def stage_overhead() -> float:
    """Seconds that a stage takes for every input besides operations and transfers, as ``calibrate`` found; else 0.

    Raises
    ------
    InvalidHardware : the calibration cannot be read.
    """
    path = calibration_file()
    return float(read_run_figures(path).stage_s) if path.is_file() else 0.0


def cpu_cores(name: str, kind: ChipKind, link: Interconnect, chips: int) -> Hardware:
    """Cores as chips: any may send to any, and nothing but the order of stages is asked of a placement."""
    return Hardware(name, (kind,), (0,) * chips, link, Rules(triangle=False, relays=False))


def _cpu(name: str, chips: int) -> Hardware:
    path = calibration_file()
    if not path.is_file():
        return cpu_cores(name, REFERENCE_CPU, REFERENCE_CPU_LINK, chips)
    found = read_hardware_file(path)
    return cpu_cores(name, found.kinds[0], found.interconnect, chips)


def _mesh(name: str, rows: int, columns: int) -> Hardware:
    link = Interconnect(topology="mesh", rows=rows, columns=columns, **LINK)  # type: ignore[arg-type]
    kind_of_chip = (0,) * (rows * columns)
    return Hardware(name, (EDGE_CHIP,), kind_of_chip, link, Rules(triangle=False))


def setting(text: str) -> tuple[str, object]:
    """A setting and its value, from ``name=value``."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key or not value:
        raise InvalidHardware(f"hardware setting {text!r} is not of the form name=value")
    if value.lower() in {"on", "true", "off", "false"}:
        return key, value.lower() in {"on", "true"}
    try:
        return key, float(value)
    except ValueError:
        return key, value
