"""Well-known boards as packages: the public figures of their data sheets, and what no data sheet says marked as ours.

What a chip calls SRAM here is the memory that holds its weights: on a GPU its HBM. Chips exchange tensors over ports of
their own, so the interconnect is a crossbar; a port's bandwidth is that of one direction.
"""

from __future__ import annotations

from partition.problem.chip_kind import ChipKind
from partition.problem.hardware import Hardware, Interconnect, Rules

LAUNCH = 5e-6  # our choice: a few microseconds to launch a kernel

V100 = ChipKind(
    name="v100",
    peak_flops=125e12,  # Tensor Cores, FP16 [NVIDIA, Tesla V100 data sheet: SXM2, NVLink]
    sram_bytes=32e9,  # HBM2 [the same]
    sram_bandwidth=900e9,  # [the same]
    op_overhead_s=LAUNCH,
)
A100 = ChipKind(
    name="a100",
    peak_flops=312e12,  # Tensor Cores, BF16, dense [NVIDIA, A100 data sheet: SXM, 80 GB]
    sram_bytes=80e9,  # HBM2e [the same]
    sram_bandwidth=2039e9,  # [the same]
    op_overhead_s=LAUNCH,
)
H100 = ChipKind(
    name="h100",
    peak_flops=989.5e12,  # Tensor Cores, BF16: 1,979 with sparsity, half of it dense [NVIDIA, H100 data sheet: SXM]
    sram_bytes=80e9,  # HBM3 [the same]
    sram_bandwidth=3.35e12,  # [the same]
    op_overhead_s=LAUNCH,
)
EDGE_TPU = ChipKind(
    name="edge-tpu",
    peak_flops=4e12,  # 4 TOPS, 8-bit [Coral, M.2 Accelerator with Dual Edge TPU data sheet]
    sram_bytes=8e6,  # "roughly 8 MB of SRAM" [Coral, Edge TPU compiler documentation]; its bandwidth is not published
    op_overhead_s=2e-7,  # our choice, as for the chips of ring36
)


def _switched(name: str, kind: ChipKind, chips: int, bandwidth: float) -> Hardware:
    """GPUs behind switches that give each its full bandwidth to any other, beside its arithmetic."""
    link = Interconnect("crossbar", link_bandwidth=bandwidth, link_latency_s=1e-6)  # the latency is our choice
    return Hardware(name, (kind,), (0,) * chips, link, Rules(triangle=False))


BOARDS: dict[str, tuple[str, Hardware]] = {
    "coral-dual": (
        "2 Edge TPUs of Coral's M.2 card, a lane of PCIe each, tensors through the host",
        Hardware(
            "coral-dual",
            (EDGE_TPU,),
            (0, 0),
            # PCIe Gen2 x1 for each Edge TPU [the same data sheet]: 5 GT/s, 8 of 10 bits; that they take turns is ours
            Interconnect("crossbar", link_bandwidth=500e6, link_latency_s=1e-5, transfers="serial"),
            Rules(triangle=False),
        ),
    ),
    "dgx-2": (
        "16 V100 behind NVSwitch",
        _switched("dgx-2", V100, 16, 150e9),  # NVLink: 300 GB/s, both directions together [V100 data sheet]
    ),
    "dgx-a100": (
        "8 A100 of 80 GB behind NVSwitch",
        _switched("dgx-a100", A100, 8, 300e9),  # NVLink: 600 GB/s, both directions together [A100 data sheet]
    ),
    "dgx-h100": (
        "8 H100 behind NVSwitch",
        _switched("dgx-h100", H100, 8, 450e9),  # NVLink: 900 GB/s, both directions together [H100 data sheet]
    ),
}
"""Name -> (description, package)."""
