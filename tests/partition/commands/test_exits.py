"""How a command ends: by a signal, and where a library is missing."""

from __future__ import annotations

import signal
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from partition.commands.exits import EXIT_INTERRUPTED, one_sentence_errors
from partition.commands.main import main


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_a_command_that_is_terminated_ends_even_where_interrupts_are_ignored(handler: signal.Handlers) -> None:
    """A script starts what it puts into the background so."""

    @click.command()
    @one_sentence_errors
    def endless() -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it goes on")

    before = signal.signal(signal.SIGINT, handler)
    try:
        assert CliRunner().invoke(endless).exit_code == EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "parts"],
        ["profile", "m.onnx", "-o", "t.csv"],
        ["calibrate"],
        ["split", "m.onnx", "r.json", "-o", "new", "--verify"],
    ],
)
def test_all_that_is_missing_is_named_at_once(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("partition.extras.importable", lambda library: False)
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 2 and "needs onnx and onnxruntime; run: pip install" in told.output
