"""Teach a guide: ``python -m learned.guide -o guide.npz --checkpoint run.npz``; resumes from the checkpoint."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from dataclasses import replace

from learned.guide.runs import TeachingPlan, teach

FIGURES = ("models", "draws", "validation", "steps", "every", "seed")
"""Of the plan, those that are options."""


def main() -> None:
    """Read the options, teach, and write the best guide (and, where asked for, the untrained one)."""
    parser = argparse.ArgumentParser(prog="python -m learned.guide", description=__doc__)
    parser.add_argument("-o", "--output", required=True, help="write the best guide here")
    parser.add_argument("--untrained", help="write the guide before any lesson here")
    parser.add_argument("--ranked", help="write the guide before the evolution here")
    parser.add_argument("--checkpoint", help="keep the state here, and go on from it if it exists")
    for name in FIGURES:
        parser.add_argument(f"--{name}", type=int, default=getattr(TeachingPlan, name))
    options = parser.parse_args()
    plan = TeachingPlan(**{name: getattr(options, name) for name in FIGURES})
    begun = time.process_time()
    run = teach(plan, checkpoint=options.checkpoint, say=lambda line: print(line, file=sys.stderr, flush=True))
    command = shlex.join(["python", "-m", "learned.guide", *sys.argv[1:]])
    note = f"{command}; {time.process_time() - begun:.0f} s of the CPU since the last resumption"
    replace(run.best, note=note).save(options.output)
    for name in ("untrained", "ranked"):
        if getattr(options, name):
            replace(run.guides[name], note=f"{command}; {name}").save(getattr(options, name))


if __name__ == "__main__":
    main()
