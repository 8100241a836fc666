"""Benchmarks that others build on start as they are called from a shell, without what the tests put on the path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_one_run_of_the_test_bed_starts_alone() -> None:
    command = [sys.executable, "benchmarks/rivals.py", "ours", "unet", "ring4", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "optimal"


def test_real_models_are_solved_and_checked_alone() -> None:
    command = [sys.executable, "benchmarks/solve_models.py", "--only", "unet ring4", "--work-limit", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert "1 of 1 instances with a gap of at most 1%" in done.stdout
