"""An hour of random instances through the public API in one process: nothing grows, no answer is wrong.

    python benchmarks/soak.py --minutes 60

The instances are those of all generators of tests/instances.py and small built-in models; each answer goes through
tests/oracle.py, and is held against brute force where that is quick. Prints how many instances of each generator ended
how, and memory, threads and open files over time; exits with 1 if an answer is wrong or anything grows.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
from soak import grown, soak, table


@click.command()
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(minutes: float, seed: int, as_json: bool) -> None:
    """Soak and tell."""
    record = soak(60 * minutes, seed=seed, every=max(2.0, minutes / 5))
    if as_json:
        statuses = [{"generator": g, "status": s, "count": n} for (g, s), n in sorted(record.statuses.items())]
        print(json.dumps({"statuses": statuses, "samples": [asdict(s) for s in record.samples]}))
    else:
        print(table(record))
    problems = grown(record)
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
