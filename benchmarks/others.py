"""Other people's instances against the best values known for them.

    python benchmarks/others.py DATA_DIR                              # every set that DATA_DIR has
    python benchmarks/others.py DATA_DIR --set salbp2 --work 10       # one set, 10 units of work an instance
    python benchmarks/others.py DATA_DIR --set alwabp --every 4       # every fourth instance of it
    python benchmarks/others.py DATA_DIR --table                      # only the table of what was measured

DATA_DIR has a folder for each set (docs/formats.md says what each is as a problem of ours):

    line-balancing/  graphs.json: name -> times, arcs from 1; instances.json: graph, stations, best
    alwabp/          instances.json: times (null: cannot), arcs from 0, workers, lower, upper
    pipedream/       *.txt, profiles
    minos/           *.json, operator graphs
    device-placement/*.json

The set overflow needs no folder: built-in models on 16 chips that stream what does not fit, as Archer et al. charge it.

Every answer is a line of benchmarks/results/others.jsonl; what is there of this commit is not measured again, unless
files of the project were changed since. Seconds are of the CPU.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import click
import numpy as np
from record import commit, keep, kept
from testbed import MODELS, REGIMES

from partition import ChipKind, Graph, GraphBuilder, Hardware, Interconnect, InvalidInput, Rules, partition
from partition.problem.hardware_files import EDGE_CHIP, load_hardware
from partition.readers.load import load_model

RESULTS = ROOT / "benchmarks" / "results" / "others.jsonl"
LINE = "memory=off,triangle=off,relays=off,replication=off,no_skipping=off"
EQUAL = 1e-6
"""Relative difference of two periods that are the same."""


@dataclass(frozen=True)
class Instance:
    """One question: its name in its set, what builds it, and the best value known, None if there is none.

    ``goal`` : whose value counts. throughput : required of the answer.
    """

    name: str
    build: Callable[[], tuple[Graph, Hardware]]
    best: float | None
    goal: str = "period"
    throughput: float | None = None


def salbp2(folder: Path) -> Iterator[Instance]:
    """Assembly lines: the least cycle time of so many stations."""
    graphs = json.loads((folder / "line-balancing" / "graphs.json").read_text())
    for row in json.loads((folder / "line-balancing" / "instances.json").read_text()):
        given, stations = graphs[row["graph"]], row["stations"]

        def build(given: Any = given, stations: int = stations, name: str = row["graph"]) -> tuple[Graph, Hardware]:
            arcs = [(a - 1, b - 1) for a, b in given["arcs"]]
            times = [{EDGE_CHIP.name: float(t)} for t in given["times"]]
            return _line(name, times, arcs), load_hardware(f"ring{stations}:{LINE}")

        yield Instance(f"{row['graph']} x {stations}", build, row["best"])


def alwabp(folder: Path) -> Iterator[Instance]:
    """Assembly lines whose workers differ and may stand in any order."""
    for row in json.loads((folder / "alwabp" / "instances.json").read_text()):

        def build(row: Any = row) -> tuple[Graph, Hardware]:
            names = [f"worker{k}" for k in range(row["workers"])]
            times = [
                {name: float("inf") if t is None else float(t) for name, t in zip(names, ticks, strict=True)}
                for ticks in row["times"]
            ]
            rules = Rules(memory=False, triangle=False, relays=False, replication=False, no_skipping=False)
            kinds = tuple(ChipKind(name, peak_flops=1.0) for name in names)
            order = tuple(range(len(names)))
            hardware = Hardware("workers", kinds, order, Interconnect("ring", 1.0), rules, kind_order="free")
            return _line("line", times, [tuple(arc) for arc in row["arcs"]]), hardware

        yield Instance(f"{row['family']} {row['number']} ({row['workers']} workers)", build, float(row["upper"]))


def pipedream(folder: Path) -> Iterator[Instance]:
    """Measured profiles on chains of 4, 8 and 16 at two bandwidths."""
    for path in sorted((folder / "pipedream").glob("*.txt")):
        if "forward_compute_time" not in path.read_text()[:4096]:
            continue
        for chips in (4, 8, 16):
            for bandwidth in (1e10, 1.25e9):
                hw = f"chain{chips}:link_bandwidth={bandwidth},memory=off"
                yield Instance(f"{path.stem} x {chips} at {bandwidth:g} B/s", _loaded(path, hw), None)


def minos(folder: Path) -> Iterator[Instance]:
    """Operator graphs with serial transfers."""
    for path in sorted((folder / "minos").glob("*.json")):
        for chips in (8, 11, 32, 128):
            hw = f"ring{chips}:transfers=serial,link_bandwidth=1,{LINE}"
            yield Instance(f"{path.stem} x {chips}", _loaded(path, hw), None)


def device_placement(folder: Path) -> Iterator[Instance]:
    """Workloads that bring their hardware, without and with one CPU."""
    for path in sorted((folder / "device-placement").glob("*.json")):
        for cpus in (0, 1):

            def build(path: Path = path, cpus: int = cpus) -> tuple[Graph, Hardware]:
                source = load_model(str(path), max_cpus=cpus)
                assert source.hardware is not None
                return source.graph, source.hardware

            yield Instance(f"{path.stem}, {cpus} CPUs", build, None)


DAGP = {"c880": (49, 86), "c3540": (111, 225), "c7552": (76, 197)}
"""Edges cut by dagP, the best of 20 seeds, in two and in four parts of at most 1.03 of the mean."""


def circuits(folder: Path) -> Iterator[Instance]:
    """Acyclic cuts of circuits: least traffic, every gate of unit time, every edge a tensor of one byte."""
    for path in sorted((folder / "circuits").glob("*.json")):
        given = json.loads(path.read_text())
        gates = given["nodes"]
        for parts, best in zip((2, 4), DAGP.get(path.stem, (None, None)), strict=True):

            def build(given: dict[str, Any] = given, parts: int = parts) -> tuple[Graph, Hardware]:
                inputs: list[list[str]] = [[] for _ in range(given["nodes"])]
                outputs: list[dict[str, float]] = [{} for _ in inputs]
                for u, w in given["edges"]:
                    inputs[w].append(f"t{u}_{w}")
                    outputs[u][f"t{u}_{w}"] = 1.0
                builder = GraphBuilder(given["name"])
                for v, (read, made) in enumerate(zip(inputs, outputs, strict=True)):
                    builder.operation(
                        f"gate{v}", "Op", inputs=read, outputs=made, bytes_accessed=0.0, times={"chip": 1.0}
                    )
                rules = Rules(memory=False, triangle=False, relays=False, replication=False, no_skipping=False)
                free = ChipKind("chip", 1.0, 1.0, math.inf, free_transfers=True)
                wires = Interconnect("crossbar", 1.0)
                return builder.build(), Hardware("wires", (free,), (0,) * parts, wires, rules)

            yield Instance(f"{path.stem} in {parts}", build, best, "traffic", 1.0 / math.floor(1.03 * gates / parts))


def overflow(_: Path) -> Iterator[Instance]:
    """The acyclic test-bed with Archer et al.'s overflow cost, on a ring and on a crossbar."""
    for topology, model in itertools.product(("ring", "crossbar"), MODELS):

        def build(topology: str = topology, model: str = model) -> tuple[Graph, Hardware]:
            return load_model(model).graph, load_hardware(f"{topology}16:{REGIMES['overflow']}")

        yield Instance(f"{model} on {topology}16", build, None)


SETS: dict[str, Callable[[Path], Iterator[Instance]]] = {
    "salbp2": salbp2,
    "alwabp": alwabp,
    "pipedream": pipedream,
    "minos": minos,
    "device-placement": device_placement,
    "circuits": circuits,
    "overflow": overflow,
}
FOLDERS = {"salbp2": "line-balancing", "overflow": "."}


def _line(name: str, times: list[dict[str, float]], arcs: list[tuple[int, ...]]) -> Graph:
    """Tasks with times by kind of chip; a precedence is a tensor of no bytes."""
    inputs: list[list[str]] = [[] for _ in times]
    for first, second in arcs:
        inputs[second].append(f"t{first}")
    builder = GraphBuilder(name)
    for i, time_of in enumerate(times):
        builder.operation(f"task{i}", "Op", inputs=inputs[i], outputs={f"t{i}": 0.0}, bytes_accessed=0.0, times=time_of)
    return builder.build()


def _loaded(path: Path, hw: str) -> Callable[[], tuple[Graph, Hardware]]:
    return lambda: (load_model(str(path)).graph, load_hardware(hw))


def measure(which: str, instance: Instance, work: float) -> dict[str, Any]:
    """Solve one instance; a row of the results."""
    row: dict[str, Any] = {"set": which, "name": instance.name, "work": work, "best": instance.best}
    begun = time.process_time()
    try:
        result = partition(
            *instance.build(), objective=instance.goal, throughput=instance.throughput, work_limit=work, policy="none"
        )
    except InvalidInput as refused:
        return row | {"refused": str(refused)}
    reached = {each.goal: (each.value, each.bound) for each in result.goals}
    value, bound = reached.get(instance.goal, (result.period, result.bound))
    return row | {
        "period": value,
        "bound": bound,
        "proved": result.status == "optimal",
        "seconds": round(time.process_time() - begun, 3),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each set and amount of work."""
    lines = [
        "| set | work | instances | refused | proved | better | equal | worse | worst | largest gap | bound / period "
        "| CPU s |",
        f"|{' --- |' * 12}",
    ]
    for which, work in sorted({(row["set"], row["work"]) for row in rows}):
        group = [row for row in rows if (row["set"], row["work"]) == (which, work)]
        solved = [row for row in group if "refused" not in row]
        known = np.array([row["period"] / row["best"] - 1 for row in solved if row["best"]])
        gaps = np.array([1 - row["bound"] / row["period"] for row in solved if row["period"]])
        seconds = np.array([row["seconds"] for row in solved])
        better, worse = int((known < -EQUAL).sum()), int((known > EQUAL).sum())
        cells = [which, f"{work:g}", len(group), len(group) - len(solved), sum(row["proved"] for row in solved)]
        cells += [better, len(known) - better - worse, worse] if len(known) else ["-"] * 3
        cells += [f"{known.max():.2%}" if worse else "-", f"{gaps.max(initial=0.0):.1%}"]
        cells += [f"{np.exp(np.log(1 - gaps).mean()):.4f}" if len(gaps) and gaps.max() < 1 else "-"]
        cells += [f"{np.median(seconds):.2f}, {seconds.max():.1f}" if len(seconds) else "-"]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines)


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--set", "sets", multiple=True, type=click.Choice(list(SETS)), help="Only this one; may be repeated.")
@click.option("--work", default=60.0, show_default=True, help="Units of work an instance, each about a second.")
@click.option("--every", default=1, show_default=True, help="Of each set, only every so manyth instance.")
@click.option("--match", default="", help="Only instances whose name has this (a regular expression).")
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path), help="Where the answers are kept.")
@click.option("--table", "only_table", is_flag=True, help="Measure nothing; the table of this commit.")
def main(
    data: Path, sets: tuple[str, ...], work: float, every: int, match: str, results: Path, only_table: bool
) -> None:
    """Measure what is missing, and print the table."""
    of = commit()
    rows = kept(results, of.removesuffix("+") if only_table else of)
    done = {(row["set"], row["name"], row["work"]) for row in rows}
    for which in sets or SETS:
        if only_table or not (data / FOLDERS.get(which, which)).is_dir():
            continue
        for instance in list(SETS[which](data))[::every]:
            if (which, instance.name, work) in done or not re.search(match, instance.name):
                continue
            row = {"commit": of, **measure(which, instance, work)}
            rows.append(row)
            keep(results, row)
            click.echo(f"{which}: {_told(row)}")
    click.echo(table([row for row in rows if not sets or row["set"] in sets]))


def _told(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"{row['name']}: refused: {row['refused']}"
    state = "proved" if row["proved"] else f"bound {row['bound']:.7g}"
    return f"{row['name']}: {row['period']:.7g}, {state}, best known {row['best']}, {row['seconds']} CPU s"


if __name__ == "__main__":
    main()
