"""Two commits of the library side by side: the models they build, the answers they give, the time a process takes.

    python benchmarks/compare_commits.py matrices OLD NEW --seeds 5000     # every model given to HiGHS, row by row
    python benchmarks/compare_commits.py answers OLD NEW --seeds 500       # random instances under a work limit
    python benchmarks/compare_commits.py answers OLD NEW --seeds 200 --objective period,traffic
    python benchmarks/compare_commits.py answers OLD NEW --seeds 0 --testbed   # those of benchmarks/solve_models.py
    python benchmarks/compare_commits.py answers OLD NEW --seeds 0 --models "bert-large ring36" ...
    python benchmarks/compare_commits.py process OLD NEW --pairs 5 -- solve bert-large --hw ring36

Each commit is checked out into a directory of its own and works in a process of its own. A working tree can stand for a
commit: give its path. Exits with 1 if anything differs.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import importlib
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent

ROUNDING = 1e-12
"""Relative difference of coefficients that two orders of a sum may make."""

PLACES = {
    "contract": ("partition.instance.contract", "partition.instance.instance", "partition.instance"),
    "Windows": ("milp.windows.windows", "milp.windows"),
    "WindowRules": ("milp.windows.windows", "milp.windows"),
    "propagate": ("milp.windows.windows", "milp.windows"),
    "MemoryCut": ("milp.formulation.memory_cuts", "milp.memory_cuts"),
    "Choices": ("milp.formulation.choices", "milp.formulation.build", "milp.formulation"),
    "ImpossibleRow": ("milp.formulation.linear", "milp.formulation.build", "milp.formulation"),
    "build": ("milp.formulation.build", "milp.formulation"),
    "compile_model": ("milp.solver.matrix", "milp.solver.compile", "milp.solver.highs", "milp.highs"),
}
"""Where names of the library are, newest first."""


def find(name: str) -> Any:
    """A name of the library, wherever this commit has it."""
    for place in PLACES[name]:
        with contextlib.suppress(ImportError):
            module = importlib.import_module(place)
            if hasattr(module, name):
                return getattr(module, name)
    raise SystemExit(f"this commit has no {name}")


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A directory with the files of a commit."""
    if Path(commit).is_dir():
        yield Path(commit).resolve()
        return
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", "-q", str(tree), commit], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def in_commit(tree: Path, script: Path, *arguments: str, silent: bool = False) -> subprocess.Popen[bytes]:
    """A script at work on the library of a directory."""
    path = os.pathsep.join([str(tree), str(tree / "tests"), str(ROOT / "tests"), str(ROOT / "benchmarks")])
    environment = {**os.environ, "PYTHONPATH": path}
    output = subprocess.DEVNULL if silent else None
    return subprocess.Popen([sys.executable, str(script), *arguments], cwd=tree, env=environment, stdout=output)


# --- the models ---------------------------------------------------------------------------------------------


def model_of(seed: int) -> Any:
    """What this commit gives HiGHS for the question of a seed: arrays, or a word where there is no model."""
    from formulation_questions import draw_question

    question = draw_question(seed, find("contract"))
    instance = question.instance
    if question.lo is None:
        windows = find("WindowRules")(instance).windows(question.threshold)
    else:
        windows = find("Windows")(question.lo, question.hi)
        windows = find("propagate")(instance, windows) if question.propagated else windows
    if windows.empty or not np.isfinite(instance.unit):
        return "empty"
    Choices = find("Choices")
    choices = question.choices
    if isinstance(choices, str):
        choices = getattr(Choices, choices)(instance)
    elif choices is not None:
        choices = Choices(*choices)
    cuts = [find("MemoryCut")(*cut) for cut in question.cuts]
    try:
        model = find("compile_model")(find("build")(instance, windows, choices=choices, cuts=cuts, **question.rest))
    except find("ImpossibleRow"):
        return "impossible"
    names = [f"{f}[{i},{j}]" for f, i, j in zip(model.family, model.node, model.chip, strict=True)]
    bounds = np.stack([model.row_lower, model.row_upper], axis=1)
    columns = np.stack([model.cost, model.lower, model.upper, model.integral.astype(float)], axis=1)
    return names, columns, bounds, model.A.indptr, model.A.indices, model.A.data, model.scale


def compared(one: Any, two: Any) -> str:
    """How two models differ."""
    if isinstance(one, str) or isinstance(two, str):
        return f"both {one}" if isinstance(one, str) and isinstance(two, str) and one == two else "DIFFERENT"
    if one[0] == two[0] and all(np.array_equal(a, b) for a, b in zip(one[1:6], two[1:6], strict=True)):
        return "identical"
    shapes = [[np.shape(part) for part in model[1:6]] for model in (one, two)]
    same = shapes[0] == shapes[1] and one[0] == two[0] and np.array_equal(one[4], two[4])
    if same and all(np.allclose(one[k], two[k], rtol=ROUNDING, atol=ROUNDING) for k in (1, 2, 5)):
        return "identical up to rounding"
    return "the same up to order" if _canonical(one) == _canonical(two) else "DIFFERENT"


def _canonical(model: Any) -> tuple[Any, ...]:
    names, columns, bounds, ends, column, coefficient, _ = model
    rows = []
    for i in range(len(bounds)):
        span = slice(ends[i], ends[i + 1])
        terms = sorted((names[c], f"{a:.9g}") for c, a in zip(column[span], coefficient[span], strict=True))
        rows.append((tuple(terms), *(f"{b + 0.0:.9g}" for b in bounds[i])))
    return sorted(zip(names, columns.round(9).tolist(), strict=True)), sorted(rows)


# --- the answers --------------------------------------------------------------------------------------------


KEPT = ("status", "goals", "period", "bound", "assignment", "replicas", "relays", "work")
"""What is compared of an answer: all but what a clock says."""


def answer_of(what: str, work: float, objective: str) -> str:
    """The answer to a random instance (a number), or to a model on a package (``-``: its own), under a work limit.

    Models get ten times the work.
    """
    from instances import random_instance, random_mixed_instance, random_tight_instance, random_training_instance

    from partition import InvalidInput, NoSolutionInTime, load_hardware, load_model, partition

    if what.isdigit():
        rng = np.random.default_rng(int(what))
        draws = (random_instance, random_mixed_instance, random_tight_instance, random_training_instance)
        graph, hardware = draws[int(what) % len(draws)](rng)
    else:
        model, package = what.split()
        source = load_model(model)
        graph, hardware = source.graph, source.hardware if package == "-" else load_hardware(package)
        work *= 10
    try:
        answer = json.loads(partition(graph, hardware, work_limit=work, objective=objective).to_json())
    except (NoSolutionInTime, InvalidInput) as error:
        answer = {**dict.fromkeys(KEPT), "status": type(error).__name__}
    for goal in answer["goals"] or []:
        del goal["gap"]  # which blows up the rounding of value and bound
    return json.dumps({key: answer[key] for key in KEPT}, sort_keys=True)


def alike(one: Any, two: Any) -> str:
    """How two answers differ: not at all, by the rounding of their figures, or in more."""
    if one == two:
        return "identical"
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        parts = [alike(one[key], two[key]) for key in one]
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        parts = [alike(a, b) for a, b in zip(one, two, strict=True)]
    elif isinstance(one, float) and isinstance(two, float):
        parts = ["identical up to rounding" if np.isclose(one, two, rtol=ROUNDING, atol=0.0) else "DIFFERENT"]
    else:
        return "DIFFERENT"
    return "DIFFERENT" if "DIFFERENT" in parts else "identical up to rounding"


# --- the commands -------------------------------------------------------------------------------------------


def _worker(kind: str, path: str, *arguments: str) -> None:
    """What runs in a commit: results of all questions into a file."""
    if kind == "matrices":
        found: Any = [model_of(seed) for seed in range(int(arguments[0]), int(arguments[1]))]
    else:
        work, objective, *questions = arguments
        found = {question: answer_of(question, float(work), objective) for question in questions}
    Path(path).write_bytes(pickle.dumps(found))


def _both(old: str, new: str, kind: str, *arguments: str) -> list[Any]:
    """The results of a worker in both commits, one after the other."""
    results = []
    with tempfile.TemporaryDirectory() as directory:
        for commit in (old, new):
            with checkout(commit) as tree:
                path = Path(directory) / "results"
                if in_commit(tree, Path(__file__).resolve(), "--worker", kind, str(path), *arguments).wait():
                    raise SystemExit(f"{commit} failed")
                results.append(pickle.loads(path.read_bytes()))
    return results


@click.group()
def main() -> None:
    """Compare two commits."""


@main.command()
@click.argument("old")
@click.argument("new")
@click.option("--seeds", default=1000, show_default=True)
@click.option("--first", default=0, show_default=True)
def matrices(old: str, new: str, seeds: int, first: int) -> None:
    """Models of random questions over every feature."""
    before, after = _both(old, new, "matrices", str(first), str(first + seeds))
    verdicts = [compared(a, b) for a, b in zip(before, after, strict=True)]
    for verdict, count in collections.Counter(verdicts).most_common():
        print(f"{count:6d} {verdict}")
    different = [first + i for i, verdict in enumerate(verdicts) if verdict == "DIFFERENT"]
    rows = sum(len(model[2]) for model in after if not isinstance(model, str))
    families = collections.Counter(n.split("[")[0] for m in after if not isinstance(m, str) for n in m[0])
    print(f"{rows} rows; columns: " + ", ".join(f"{name} {count}" for name, count in families.most_common()))
    print("different seeds:", different[:20] or "none")
    sys.exit(bool(different))


@main.command()
@click.argument("old")
@click.argument("new")
@click.option("--seeds", default=500, show_default=True)
@click.option("--models", multiple=True, help="MODEL HARDWARE, as in 'bert-large ring36'.")
@click.option("--testbed", is_flag=True, help="The instances of benchmarks/solve_models.py as well.")
@click.option("--work", default=0.3, show_default=True, help="Work limit of each; models get ten times as much.")
@click.option("--objective", default="period", show_default=True)
@click.option("--first", default=0, show_default=True)
def answers(
    old: str, new: str, seeds: int, models: tuple[str, ...], testbed: bool, work: float, objective: str, first: int
) -> None:
    """Answers under a work limit: status, goals, period, bound, placement and work."""
    asked = [*map(str, range(first, first + seeds)), *models]
    if testbed:
        from solve_models import testbed as instances

        asked += [f"{model} {hardware or '-'}" for model, hardware in instances()]
    before, after = _both(old, new, "answers", str(work), objective, *asked)
    verdicts = {question: alike(json.loads(before[question]), json.loads(after[question])) for question in before}
    differ = [question for question, verdict in verdicts.items() if verdict == "DIFFERENT"]
    said = collections.Counter(json.loads(answer)["status"] for answer in after.values())
    told = ", ".join(f"{count} {verdict}" for verdict, count in collections.Counter(verdicts.values()).most_common())
    print(f"{len(before)} answers: {told} ({dict(said.most_common())})")
    for question in differ:
        one, two = json.loads(before[question]), json.loads(after[question])
        print(question, *(f"{key}: {one[key]} -> {two[key]}" for key in ("status", "period", "bound", "work")))
    digest = hashlib.sha256(json.dumps(after, sort_keys=True).encode()).hexdigest()
    print("digest of the new answers:", digest[:16])
    sys.exit(bool(differ))


@main.command()
@click.argument("old")
@click.argument("new")
@click.option("--pairs", default=5, show_default=True)
@click.argument("arguments", nargs=-1, required=True)
def process(old: str, new: str, pairs: int, arguments: tuple[str, ...]) -> None:
    """Processor time and memory of whole processes ``cli.py ARGUMENTS``, the commits taking turns."""
    used: dict[str, list[tuple[float, float, float]]] = {"old": [], "new": []}
    with checkout(old) as one, checkout(new) as two:
        for _ in range(pairs):
            for name, tree in (("old", one), ("new", two)):
                begun = time.perf_counter()
                child = in_commit(tree, tree / "cli.py", *arguments, "--quiet", silent=True)
                _, status, usage = os.wait4(child.pid, 0)
                child.returncode = status
                if status:
                    raise SystemExit(f"{name} failed")
                seconds = time.perf_counter() - begun
                used[name].append((usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024))
    middle = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in used.items()}
    for name, (cpu, seconds, megabytes) in middle.items():
        print(f"{name}: {cpu:.2f} s of processor time, {seconds:.2f} s, {megabytes:.0f} MB (medians of {pairs})")
    ratio = statistics.median(b[0] / a[0] for a, b in zip(used["old"], used["new"], strict=True))
    print(f"processor time new / old, median of pairs: {ratio:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _worker(*sys.argv[2:])
    else:
        main()
