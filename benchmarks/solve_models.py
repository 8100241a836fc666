"""Solve a test-bed through the command line; print period, bound, gap, seconds and peak memory of each whole process.

    python benchmarks/solve_models.py                     # up to 60 units of work an instance, about a second each
    python benchmarks/solve_models.py --only bert-large   # instances whose name contains a word
    python benchmarks/solve_models.py --json out.json

Every answer is recomputed by the independent checker in tests/oracle.py, which shares no code with the library.
Exits with 1 if an answer fails that check.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from testbed import light_models


@dataclass(frozen=True)
class Row:
    """One solved instance; ``seconds``, ``cpu_seconds`` and ``peak_mb`` are of the whole process, start to exit."""

    model: str
    hardware: str
    operations: int
    status: str
    period: float | None
    bound: float | None
    gap: float | None
    solve_seconds: float | None
    seconds: float
    cpu_seconds: float
    peak_mb: float
    replicas: int
    relays: int
    checked: str


def testbed() -> list[tuple[str, str | None]]:
    """(model, hardware) pairs; device-placement files bring their own hardware."""
    built_in = [(m, hw) for m in ("resnet50", "unet", "gnmt") for hw in ("ring4", "ring16", "ring36")]
    bert = [("bert-base", "ring36"), ("bert-large", "ring36"), ("bert-large", "ring36:transfers=serial")]
    onnx = [(str(path), f"{hw}{_memory(path)}") for path in light_models() for hw in ("ring8", "ring16")]
    placement = [(str(path), None) for path in sorted((ROOT / "tests/data/device-placement").glob("*_*_*.json"))]
    return [*bert, *built_in, *onnx, *placement]


def _memory(path: Path) -> str:
    """Three 1990s-style classifiers have one fully connected layer larger than any chip's SRAM: proved infeasible as
    they are, solved with the memory rule off."""
    return ":memory=off" if any(name in path.stem for name in ("alexnet", "vgg19", "zfnet512")) else ""


def run(model: str, hardware: str | None, work_limit: float) -> Row:
    """Solve one instance in a process of its own and check the answer."""
    package = ["--hw", hardware] if hardware else []
    begun = time.perf_counter()
    limit = ["--work-limit", str(work_limit)]  # repeatable, whatever else the machine does
    command = [sys.executable, "cli.py", "solve", model, *package, "--json", "--quiet", *limit]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    answer = json.loads(text)
    return Row(
        model=Path(model).stem,
        hardware=answer["hardware"],
        operations=answer["operations"],
        status=answer["status"],
        period=answer["period"],
        bound=answer["bound"],
        gap=answer["gap"],
        solve_seconds=answer["seconds"],
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
        replicas=sum(map(len, answer["replicas"].values())),
        relays=len(answer["relays"]),
        checked=_check(model, hardware, answer),
    )


def _check(model: str, hardware: str | None, answer: dict[str, object]) -> str:
    from checked import as_given
    from oracle import certify

    from partition import load_hardware, load_model

    source = load_model(model)
    package = load_hardware(hardware) if hardware else source.hardware
    assert package is not None
    try:
        certify(as_given(source.graph, package), answer)
    except AssertionError as error:
        return f"FAILED: {error}"
    return "yes"


def table(rows: list[Row]) -> str:
    """The rows in Markdown; replicas, relays and what the checker said are in the JSON alone."""
    lines = [
        "| model | hardware | operations | period | gap | CPU s | peak MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in rows:
        gap = "-" if r.gap is None else f"{100 * r.gap:.3f}%"
        period = "-" if r.period is None else f"{r.period:.6g}"
        lines.append(
            f"| {r.model} | {r.hardware} | {r.operations} | {period} | {gap} | {r.cpu_seconds:.1f} | {r.peak_mb:.0f} |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--only", default="", help="Only instances whose model or hardware contains this.")
@click.option("--work-limit", default=60.0, show_default=True, help="Units of work per instance.")
@click.option("--json", "json_path", type=click.Path(), default=None, help="Also write the rows as JSON.")
def main(only: str, work_limit: float, json_path: str | None) -> None:
    """Solve the test-bed and print its table."""
    rows = []
    for model, hardware in testbed():
        if only not in f"{model} {hardware}":
            continue
        rows.append(run(model, hardware, work_limit))
        print(table(rows[-1:]).splitlines()[-1], rows[-1].checked, file=sys.stderr, flush=True)
    print(table(rows))
    close = [r for r in rows if r.gap is not None and r.gap <= 0.01]
    print(f"\n{len(close)} of {len(rows)} instances with a gap of at most 1%.")
    if json_path:
        Path(json_path).write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    sys.exit(any(r.checked != "yes" for r in rows))


if __name__ == "__main__":
    main()
