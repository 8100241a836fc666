"""How time, memory and gap grow with the graph: training graphs of language models from 1,000 to 100,000 operations.

    python benchmarks/growth.py                     # about 40 minutes
    python benchmarks/growth.py --most 20000        # the sizes up to 20,000 operations

Every size is a process of its own, under a work limit. Prints a table and writes benchmarks/results/growth.json and
growth.png: seconds to a gap of 2% (or to the end), and peak memory, against operations.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"

import click

SIZES = (
    ("llama:layers=17,training=adam", 36, 120),
    ("llama:layers=34,training=adam", 36, 120),
    ("llama:layers=86,training=adam", 36, 120),
    ("llama:layers=172,training=adam", 36, 120),
    ("llama:layers=345,training=adam", 36, 120),
    ("llama:layers=862,training=adam", 64, 400),
    ("bert-large:layers=575,training=adam", 64, 600),
)

WORKER = """
import json, resource, sys, time
begun = time.perf_counter()
from partition import load_hardware, load_model, partition
graph = load_model(sys.argv[1]).graph
loaded = time.perf_counter() - begun
result = partition(graph, load_hardware(sys.argv[2]), work_limit=float(sys.argv[3]))
within = [p.seconds for p in result.history if p.gap is not None and p.gap <= 0.02]
row = {
    "model": sys.argv[1], "operations": graph.n, "edges": len(graph.consumers), "loading": loaded, "gap": result.gap,
    "to_two_percent": within[0] if within else None, "seconds": result.seconds,
    "process": time.perf_counter() - begun, "cpu": time.process_time(),
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}
sys.path[:0] = [".", "tests"]
from checked import judge  # the independent checker; its time and memory are not the solver's
judge(graph, load_hardware(sys.argv[2]), result)
print(json.dumps(row))
"""


def run(model: str, chips: int, seconds: float) -> dict[str, float]:
    """One size, in a process of its own."""
    command = [sys.executable, "-c", WORKER, model, f"ring{chips}:memory=off,transfers=serial", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=seconds + 600)
    if done.returncode:
        raise click.ClickException(f"{model}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"chips": chips}


@click.command()
@click.option("--most", default=200_000, show_default=True, help="Largest number of operations.")
def main(most: int) -> None:
    """Run all sizes, print and draw."""
    RESULTS.mkdir(exist_ok=True)
    rows = []
    print("| model | operations | chips | gap | CPU s | peak MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for model, chips, seconds in SIZES:
        if rows and rows[-1]["operations"] * 1.3 > most:
            break
        row = run(model, chips, seconds)
        rows.append(row)
        print(
            f"| {model} | {row['operations']} | {chips} | {100 * row['gap']:.3f}% "
            f"| {row['cpu']:.0f} | {row['peak_mb']:.0f} |",
            flush=True,
        )
    (RESULTS / "growth.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows)


def draw(rows: list[dict[str, float]]) -> None:
    """Seconds to 2% and peak memory against operations, both axes logarithmic, with a line of slope 1."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    n = [row["operations"] for row in rows]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    drawn = (("to_two_percent", "seconds to a gap of 2%"), ("peak_mb", "peak memory, MB"))
    for ax, (key, label) in zip(axes, drawn, strict=True):
        ax.loglog(n, [row[key] for row in rows], marker="o")
        ax.loglog(n, [(rows[0][key] or 1) * x / n[0] for x in n], linestyle=":", color="gray", label="linear")
        ax.set(xlabel="operations", ylabel=label)
        ax.legend()
        ax.grid(alpha=0.3)
    figure.savefig(RESULTS / "growth.png", dpi=110)


if __name__ == "__main__":
    main()
