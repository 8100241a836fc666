"""The test-bed of benchmarks/run: built-in models on packages of 2 to 64 chips, ONNX and device-placement files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CHIPS = (2, 4, 8, 16, 32, 64)

MODELS = (
    "bert-base", "resnet50", "densenet", "inception", "mobilenet", "unet", "vit", "gpt", "t5:layers=4", "moe:layers=4",
    "rnn", "dlrm", "towers", "gnmt:seq=16", "randwire", "bert-base:training=adam",
)  # fmt: skip

REGIMES = {
    "acyclic": "transfers=serial,no_skipping=off,triangle=off,memory=off,replication=off,relays=off",
    "rules": "transfers=serial",
    "overflow": "transfers=serial,streaming=serial,sram_bytes=8e6,no_skipping=off,triangle=off,"
    "replication=off,relays=off",
    "triangle": "memory=off,relays=off,link_bandwidth=1e18",
}
"""Settings of a ring: serial transfers and only the acyclic rule; serial transfers and every rule; the first with
Archer et al.'s overflow cost, on the SRAM of an Edge TPU (docs/hardware.md); the exact triangle rule on compute
alone."""


@dataclass(frozen=True)
class Case:
    """One instance; ``hardware`` is empty where the file brings its own."""

    regime: str
    model: str
    chips: int
    hardware: str

    @property
    def name(self) -> str:
        return f"{self.regime} {Path(self.model).stem if '/' in self.model else self.model} {self.chips}"


def cases() -> list[Case]:
    """All instances, in a fixed order."""
    rings = [
        Case(regime, model, chips, f"ring{chips}:{REGIMES[regime]}")
        for regime in ("acyclic", "rules")
        for model in MODELS
        for chips in CHIPS
    ]
    onnx = [
        Case("triangle", str(path), chips, f"ring{chips}:{REGIMES['triangle']}")
        for path in light_models()
        for chips in (16, 36)
    ]
    files = sorted((ROOT / "tests/data/device-placement").glob("*_*_*.json"))
    return [*rings, *onnx, *(Case("device-placement", str(path), 0, "") for path in files)]


def light_models() -> list[Path]:
    """The weightless copies of classic CNNs that the ``onnx`` package ships."""
    import onnx

    return sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))
