"""The command that writes a model in parts."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from sharded_models import convolutions

from partition.commands.main import main


def test_the_command_writes_a_model_with_the_parts_that_pay(tmp_path: Path) -> None:
    path, _, name = convolutions(tmp_path / "m.onnx")
    slow = tmp_path / "slow.toml"
    slow.write_text(CliRunner().invoke(main, ["hardware", "ring4:link_bandwidth=1e12,op_overhead_s=0"]).stdout)
    written = tmp_path / "parts.onnx"
    told = CliRunner().invoke(main, ["shard", str(path), "--hw", str(slow), "-o", str(written), "--verify", "-q"])
    assert told.exit_code == 0 and written.exists() and "output y: equal" in told.stdout, told.output
    told = CliRunner().invoke(main, ["shard", str(path), "--part", f"{name}=3", "-o", str(written), "--verify"])
    assert told.exit_code == 0 and f"{name} in 3" in told.stdout and "output y: equal" in told.stdout
    assert CliRunner().invoke(main, ["shard", str(path), "--part", "conv=2", "-o", str(path)]).exit_code == 2
    assert CliRunner().invoke(main, ["shard", str(path), "-o", str(written)]).exit_code == 2
