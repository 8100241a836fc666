"""Hardware design-space exploration with Optuna: chips x SRAM x link bandwidth, the Pareto front plotted.

    python examples/design_space.py --trials 40 --plot pareto.png

Two goals: throughput per second, and a price in units of one chip with 64 MiB. Every point is certified, so a design
that loses does not lose because a heuristic partitioned it badly. ``pip install optuna 'mcm-partition[plot]'``.
"""

from __future__ import annotations

from dataclasses import replace

import click
import optuna

from partition import NoSolutionInTime, load_hardware, load_model, partition

MIB = 2**20


def price(chips: int, sram: int, bandwidth: float) -> float:
    """A chip costs 0.5, its SRAM 0.5 per 64 MiB, its links 0.1 per 10 GB/s. Made up; put your own here."""
    return chips * (0.5 + 0.5 * sram / (64 * MIB) + 0.1 * bandwidth / 10e9)


@click.command()
@click.option("--model", default="bert-base", show_default=True)
@click.option("--trials", default=40, show_default=True)
@click.option("--plot", type=click.Path())
def main(model: str, trials: int, plot: str | None) -> None:
    """Explore, print the front, draw it."""
    graph = load_model(model).graph

    def design(trial: optuna.Trial) -> tuple[float, float]:
        chips = trial.suggest_int("chips", 2, 16)
        sram = trial.suggest_categorical("sram_mib", [16, 32, 64, 128, 256]) * MIB
        bandwidth = trial.suggest_float("bandwidth", 5e9, 100e9, log=True)
        package = load_hardware(f"ring{chips}:link_bandwidth={bandwidth}")
        package = replace(package, kinds=tuple(replace(kind, sram_bytes=sram) for kind in package.kinds))
        try:
            result = partition(graph, package, time_limit=5, gap=0.01)
        except NoSolutionInTime:
            raise optuna.TrialPruned from None
        if result.placement is None:
            raise optuna.TrialPruned
        trial.set_user_attr("gap", result.gap)
        return result.throughput, price(chips, sram, bandwidth)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.NSGAIISampler(seed=1))
    study.optimize(design, n_trials=trials)
    front = sorted(study.best_trials, key=lambda trial: trial.values[1])
    for trial in front:
        p = trial.params
        cost, within = trial.values[1], 100 * trial.user_attrs["gap"]
        what = f"{p['chips']:2d} chips, {p['sram_mib']:3d} MiB, {p['bandwidth'] / 1e9:5.1f} GB/s"
        print(f"{trial.values[0]:8.1f} inputs/s for {cost:6.2f}: {what} (within {within:.2f}% of the best partition)")
    if plot:
        draw(study, front, plot)


def draw(study: optuna.Study, front: list[optuna.trial.FrozenTrial], path: str) -> None:
    """All designs, and the front as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    tried = [trial.values for trial in study.trials if trial.values]
    ax.scatter([v[1] for v in tried], [v[0] for v in tried], color="lightgray", label="designs tried")
    ax.step([t.values[1] for t in front], [t.values[0] for t in front], where="post", marker="o", label="Pareto front")
    ax.set(xlabel="price", ylabel="certified inputs per second")
    ax.legend()
    ax.figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
