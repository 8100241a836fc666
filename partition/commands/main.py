"""The command line of mcm-partition: a group whose commands are loaded when they are asked for."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from partition.commands.defaults_file import CONFIG, read_config
from partition.commands.exits import EXIT_INTERRUPTED

COMMANDS = {
    "solve": "solve:solve",
    "bound": "bound:bound",
    "bench": "bench:bench",
    "sweep": "sweep:sweep",
    "inspect": "inspect:inspect",
    "check": "check:check",
    "simulate": "simulate:simulate",
    "split": "split:split",
    "annotate": "annotate:annotate",
    "shard": "shard:shard",
    "run": "run:run",
    "profile": "profile:profile",
    "calibrate": "calibrate:calibrate",
    "export": "export:export",
    "models": "lists:models",
    "hardware": "lists:hardware",
    "train": "train:train",
    "compare": "compare:compare",
    "replay": "replay:replay",
}
"""Where each command is: a module of this folder, and its name there."""


class LazyGroup(click.Group):
    """A group of the commands above; a command's module is imported when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command = getattr(import_module(f"partition.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MCM_PARTITION"}
)
@click.version_option(package_name="mcm-partition", prog_name="mcm-partition")
@click.option(
    "--config",
    type=click.Path(),
    callback=read_config,
    is_eager=True,
    expose_value=False,
    help=f"TOML file with defaults, a table per command; {CONFIG} in this folder by default.",
)
def main() -> None:
    """Decide which chip of a Multi-Chip-Module runs which operation of an ML model, with a proof of how good it is.

    MODEL is a built-in name (bert-large, bert-large:seq=384), an ONNX file, a PyTorch
    program (.pt2) or a JSON file.

    \b
    Examples:
      mcm-partition solve bert-large --hw ring36
      mcm-partition solve model.onnx --hw ring8 --dim batch=1 --dim seq=128 --json
      mcm-partition inspect resnet50 --hw ring4

    Every option also has an environment variable: MCM_PARTITION_SOLVE_TIME_LIMIT=30.
    """


def run() -> None:
    """The command line as a program: its exit code tells the truth even if a HiGHS run had to be left behind."""
    code: object
    try:
        code = main(standalone_mode=False)  # which would call Ctrl-C before a command begins a failure
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("error: interrupted", err=True)
        code = EXIT_INTERRUPTED
    except SystemExit as ended:
        code = ended.code
    status = code if isinstance(code, int) else int(code is not None)
    if "milp.solver.highs" not in sys.modules:  # nothing was solved
        sys.exit(status)
    from milp.solver.highs import leave

    leave(status)
