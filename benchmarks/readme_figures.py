"""The figures of the README, each by the command beside it.

    python benchmarks/record.py readme -- benchmarks/readme_figures.py     # about two minutes

Every command runs in a process of its own, in a folder of its own. Times are of processor time, start to exit: other
work on the machine does not lengthen them much.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Line:
    """What is measured, the commands that do it, and how their outputs are said; the last command is shown."""

    what: str
    commands: tuple[str, ...]
    said: Callable[[str, float], str]
    shown: str = ""


def seconds(value: float) -> str:
    """A duration as a reader wants it."""
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def verdict(answer: dict[str, Any], spent: float) -> str:
    """Status and gap of one answer."""
    gap = (answer["period"] - answer["bound"]) / answer["period"]
    if answer["status"] == "optimal":
        return f"proved optimal, gap {100 * gap:.4f}%, {seconds(spent)}"
    return f"not closed: within {100 * gap:.1f}% of the bound, {seconds(spent)}"


def one(text: str, spent: float) -> str:
    """Of ``solve --json``."""
    return verdict(json.loads(text), spent)


def several(text: str, spent: float) -> str:
    """Of ``bench --json``."""
    rows = json.loads(text)["rows"]
    if len(rows) == 1:
        return verdict(rows[0], spent)
    proved = sum(row["status"] == "optimal" for row in rows)
    return f"{proved} of {len(rows)} proved optimal, {seconds(spent)} in all"


def pieces(text: str, spent: float) -> str:
    """Of ``split --verify``."""
    lines = [line for line in text.splitlines() if "equal" in line or "differ" in line]
    equal = sum("equal, bit for bit" in line for line in lines)
    told = "output" if len(lines) == 1 else f"{equal} of {len(lines)} outputs"
    assert equal, text
    return f"{told} equal, bit for bit, {seconds(spent)}"


CLASSIC = "pathlib.Path(onnx.__file__).parent / 'backend/test/data/light/light_resnet50.onnx'"
LINES = (
    Line("BERT-large, 2,135 operations, on 36 chips", ("mcm-partition solve bert-large --hw ring36 --json",), one),
    Line(
        "ResNet-50 and U-Net on 8 and 16 chips",
        ("mcm-partition bench resnet50 unet --hw ring8 --hw ring16 --json",),
        several,
    ),
    Line(
        "a Llama in training, 5,001 operations, on 36 chips",
        ("mcm-partition solve llama:layers=86,training=adam --hw ring36:transfers=serial,memory=off --json",),
        one,
    ),
    Line(
        "a recommender of 244 operations on 8 chips",
        ("mcm-partition bench towers --hw ring8 --time-limit 20 --json",),
        several,
    ),
    Line(
        "ResNet-50 from ONNX in four pieces",
        (
            f"python -c \"import onnx, pathlib, shutil; shutil.copy({CLASSIC}, 'model.onnx')\"",
            "mcm-partition solve model.onnx --hw ring4 -o result.json --json",
            "mcm-partition split model.onnx result.json -o parts --verify",
        ),
        pieces,
        "[tutorial](docs/tutorial.md), steps 2 to 5",
    ),
)


def run(command: str, folder: str) -> str:
    """What a command prints."""
    words = shlex.split(command)
    words[:1] = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "partition"]
    quiet = ["--quiet"] if "--json" in words else []
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*words, *quiet], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def processor_time() -> float:
    """Seconds that all processes begun here and ended have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run all and print the table."""
    print("| what | figure | command |\n| --- | --- | --- |")
    for line in LINES:
        with tempfile.TemporaryDirectory() as folder:
            for command in line.commands:
                before = processor_time()
                text = run(command, folder)
                spent = processor_time() - before
        shown = line.shown or f"`{line.commands[-1].removesuffix(' --json')}`"
        print(f"| {line.what} | {line.said(text, spent)} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
