"""Faults injected into solves of random instances: no answer lost, none invalid, no bound above the optimum.

    python benchmarks/faults.py --each 200

Every fault of tests/faults.py strikes at a random moment of the solve of a random instance, which brute force has
solved before; answers go through tests/oracle.py. Prints a row for each kind; at the first violation it prints what
is wrong, with the seed, and exits with 1.
"""

from __future__ import annotations

import collections
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
from faults import KINDS, survives


@click.command()
@click.option("--each", default=100, show_default=True, help="Injections of each kind.")
@click.option("--first-seed", default=1000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(each: int, first_seed: int, as_json: bool) -> None:
    """Inject and count."""
    rows, begun = [], time.perf_counter()
    for kind in KINDS:
        counts: collections.Counter[str] = collections.Counter()
        seed = first_seed
        while counts.total() < each:
            try:
                outcome = survives(kind, seed)
            except Exception as error:
                print(f"{kind}, seed {seed}: {type(error).__name__}: {error}")
                sys.exit(1)
            seed += 1
            if outcome is not None:
                counts[outcome] += 1
        rows.append({"kind": kind, "injected": each, "answer": counts["answer"], "none yet": counts["none yet"]})
        if not as_json:
            print(f"{kind:<36} {each:5d} injected, {counts['answer']:5d} answered, {counts['none yet']:4d} before any")
    if as_json:
        print(json.dumps(rows))
        return
    total = sum(int(row["injected"]) for row in rows)
    print(f"{total} faults of {len(KINDS)} kinds survived, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
