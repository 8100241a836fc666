"""Run an answer with torch.distributed.pipelining: cuts by modules, one process per stage, on this machine's cores.

    torchrun --nproc-per-node 2 examples/torch_pipeline.py --schedule 1f1b
    python examples/torch_pipeline.py                     # the same: starts torchrun itself

Every process partitions the model (the answer is the same in all, as the work is limited and not the time), takes its
own stage of ``torch.distributed.pipelining.pipeline`` and runs a GPipe or 1F1B schedule over gloo. The last stage
compares what comes out with the whole model. ``--even`` cuts into equal numbers of layers instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import Schedule1F1B, ScheduleGPipe, SplitPoint, pipeline

from partition import Graph, load_hardware, partition
from partition.pipeline import split_points


class Decoder(nn.Module):
    """Layers of unequal width, so that equal numbers of them are not equal work."""

    def __init__(self, width: int = 256, layers: int = 8) -> None:
        super().__init__()
        self.embed = nn.Embedding(2000, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, width * (8 if i < layers // 4 else 2), dropout=0.0, batch_first=True)
            for i in range(layers)
        )
        self.head = nn.Linear(width, 2000)

    def forward(self, tokens: torch.Tensor) -> Any:
        h = self.embed(tokens)
        for layer in self.layers:
            h = layer(h)
        return self.head(h)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedule", choices=["gpipe", "1f1b"], default="gpipe")
    parser.add_argument("--stages", type=int, default=2, help="only without torchrun, which has its own")
    parser.add_argument("--microbatches", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--even", action="store_true", help="equal numbers of layers instead of the answer's cuts")
    options = parser.parse_args()
    if "RANK" not in os.environ:
        command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={options.stages}"]
        sys.exit(subprocess.call([*command, "--log-dir=/tmp", __file__, *sys.argv[1:]]))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dist.init_process_group("gloo")
    rank, stages = dist.get_rank(), dist.get_world_size()

    model = Decoder().eval()
    batch = torch.randint(0, 2000, (2 * options.microbatches, 64))
    sample = batch[:2]
    graph = Graph.from_torch(torch.export.export(model, (sample,)))
    result = partition(graph, load_hardware(f"cpu{stages}"), work_limit=5)
    cuts = split_points(result)
    spec = cuts.spec()
    if options.even:
        each = len(model.layers) // stages
        spec = {f"layers.{each * s}": SplitPoint.BEGINNING for s in range(1, stages)}
    if rank == 0:
        print(f"{result}\ncut at {', '.join(spec)}; by modules {1e3 * cuts.period:.3f} ms predicted", flush=True)

    stage = pipeline(model, mb_args=(sample,), split_spec=spec).build_stage(rank, torch.device("cpu"))
    schedule = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}[options.schedule](stage, options.microbatches)
    times = []
    with torch.no_grad():
        for _ in range(options.steps):
            dist.barrier()
            begun = time.perf_counter()
            found = schedule.step(batch) if rank == 0 else schedule.step()
            dist.barrier()
            times.append(time.perf_counter() - begun)
        if rank == stages - 1:
            whole = torch.cat([model(part) for part in batch.split(2)])
            worst = float((found - whole).abs().max() / whole.abs().max())
            times.sort()
            each = 1e3 * times[len(times) // 2] / options.microbatches
            print(f"{options.schedule}: {each:.3f} ms a microbatch, results differ by {worst:.2g}", flush=True)
            assert worst < 1e-4
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
