"""The command ``compare``: ways to place one model, all with the same repair and budget."""

from __future__ import annotations

import json

import click

from partition.arguments import MOST_INPUTS, number, whole
from partition.commands.exits import EXIT_INTERRUPTED, fail, one_sentence_errors, say
from partition.commands.options import json_option, quiet_option
from partition.commands.outputs import OutputFile
from partition.extras import require


@click.command()
@click.argument("model")
@click.option("--hw", "hw", metavar="HW", required=True, help="Package, as for solve.")
@click.option("--samples", default=1000, show_default=True, help="Of every method.")
@click.option("--seeds", default=5, show_default=True, help="Runs of every method.")
@click.option("--methods", metavar="A,B,...", help="By default all: random, balanced, annealing, greedy, slicing, ...")
@click.option(
    "--policy", default="pretrained", show_default=True, metavar="POLICY", help="pretrained, none, or a policy file."
)
@click.option("--time-limit", default=60.0, show_default=True, help="Seconds for the solver's proof; 0 leaves it out.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@json_option
@click.option("--output", "-o", type=OutputFile(), help="Also write the JSON to this file.")
@click.option("--plot", type=OutputFile(), help="Write a PNG of throughput against samples and seconds.")
@quiet_option
@one_sentence_errors
def compare(
    model: str,
    hw: str,
    samples: int,
    seeds: int,
    methods: str | None,
    policy: str,
    time_limit: float,
    jobs: int,
    as_json: bool,
    output: str | None,
    plot: str | None,
    quiet: bool,
) -> None:
    """Compare ways to place MODEL: random search, annealing, heuristics, policies; all with the same repair and budget.

    Exit codes: 0 done, 2 bad input, 130 interrupted (the runs finished so far are printed).

    \b
    Example:
      mcm-partition compare bert-large --hw ring36 --samples 2000 --plot bert.png
    """
    from learned.comparison.comparison import METHODS, Trial
    from learned.comparison.comparison import compare as run_comparison
    from learned.policy.pretrained import load_policy
    from partition.files import write_atomically
    from partition.problem.hardware_files import load_hardware
    from partition.readers.load import load_model
    from partition.results.display import Display
    from partition.solve.front import partition

    def tell(text: str) -> None:
        if not quiet:
            say(text, err=True)

    graph, hardware = load_model(model).graph, load_hardware(hw)
    given = load_policy(policy)
    whole("the number of seeds", seeds, least=1, most=MOST_INPUTS)
    trial = Trial(samples, range(seeds), tuple(methods.split(",")) if methods else METHODS, jobs)
    trial.methods_with(given)  # before the proof, which takes long
    number("the time limit", time_limit, "seconds")
    require("drawing pictures", *["plot"] * (plot is not None))
    reference = None
    if time_limit > 0:
        with Display(unit=hardware.time_unit, limit=time_limit, quiet=quiet) as display:
            reference = partition(graph, hardware, time_limit=time_limit, on_progress=display)
        tell(reference.verdict())
        if reference.interrupted:
            fail("interrupted; no method was run", EXIT_INTERRUPTED)
    with Display(quiet=quiet) as display:
        comparison = run_comparison(
            graph,
            hardware,
            trial,
            policy=given,
            reference=reference,
            on_run=lambda text: display.show(text, key=text),
        )
    text = json.dumps(comparison.to_dict(), allow_nan=False)
    if output is not None:
        write_atomically(output, text + "\n")
    if plot is not None:
        from learned.comparison.plots import save_figure

        save_figure(comparison, plot)
    click.echo(text if as_json else comparison.to_table())
    if comparison.interrupted:
        fail("interrupted; the runs finished so far are printed", EXIT_INTERRUPTED)
