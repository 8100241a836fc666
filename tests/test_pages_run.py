"""The command blocks of the pages run from top to bottom, in a clean folder; the reference is current.

What is slow in use is cut short: limits of the solver by the environment, counts by :data:`REDUCED`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from test_docs import small_onnx

from partition.commands.main import main

ROOT = Path(__file__).parent.parent
LIMITS = {"MCM_PARTITION_SOLVE_WORK_LIMIT": "1", "MCM_PARTITION_BENCH_TIME_LIMIT": "1"}
REDUCED = {
    r"--inputs 200": "--inputs 20",
    r"--work-limit \d+": "--work-limit 1",
    r"mcm-partition profile (.*)": r"mcm-partition profile \1 --seconds 0.2",
    r"mcm-partition shard (.*)": r"mcm-partition shard \1 --time-limit 2",
}
"""What a command of a page becomes here, so that it takes seconds."""

SLOW = ("python benchmarks/", "mcm-partition calibrate\n")
"""Campaigns, and the measurement of this machine. Their options are parsed instead.

The measurement is tried by tests/partition/pipeline/test_profile.py and tests/partition/commands/test_run.py."""


LAYERS = tuple(f"layer{i}" for i in range(6))
"""The operations of :func:`test_docs.small_onnx`."""


def small_model() -> None:
    """The model.onnx that most pages speak of."""
    small_onnx(Path("model.onnx"))


def classifier() -> None:
    """A model with a convolution and a product that are worth cutting, by the names that docs/shards.md uses."""
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    shapes = {"wc": (64, 3, 3, 3), "wf": (64 * 30 * 30, 64)}
    weights = [numpy_helper.from_array(rng.random(shape, dtype=np.float32), name) for name, shape in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "wc"], ["c"], name="conv1"),
        helper.make_node("Flatten", ["c"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "wf"], ["y"], name="fc"),
    ]
    ends = (("x", [1, 3, 32, 32]), ("y", [1, 64]))
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in ends)
    graph = helper.make_graph(nodes, "classifier", inputs, outputs, weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), "model.onnx")


def measured_elsewhere() -> None:
    """Times and transfers of another chip, as docs/run.md and docs/calibrate.md name the files."""
    small_model()
    lines = [f"{name},{1e-5 * (i + 1)}" for i, name in enumerate(LAYERS)]
    Path("npu.csv").write_text("\n".join(["operation,seconds", *lines]) + "\n")
    events = [
        {"ph": "X", "name": name, "ts": 10 * i, "dur": i + 1, "pid": 1, "tid": 1} for i, name in enumerate(LAYERS)
    ]
    Path("trace.json").write_text(json.dumps({"traceEvents": events}))
    for name in ("npu_link.csv", "link.csv"):
        sizes = "".join(f"{size},{1e-6 + size / 1e9}\n" for size in (4096, 65536, 1048576))
        Path(name).write_text("bytes,seconds\n" + sizes)


def nothing() -> None:
    """Most pages need no file."""


PAGES: dict[str, Callable[[], None]] = {
    "README.md": nothing,
    "docs/index.md": nothing,
    "docs/tutorial.md": nothing,
    "docs/howto.md": nothing,
    "docs/replay.md": nothing,
    "docs/report.md": nothing,
    "docs/simulation.md": nothing,
    "docs/split.md": small_model,
    "docs/shards.md": classifier,
    "docs/run.md": measured_elsewhere,
    "docs/calibrate.md": measured_elsewhere,
    "docs/benchmarks.md": nothing,
    "docs/reliability.md": nothing,
}
"""Page -> what makes the files that it takes for granted."""

NOT_RUN = {"docs/learned.md", "docs/dev/measured-before.md"}
"""Their commands train a policy, or measure for hours."""


def lines_of(page: str) -> list[str]:
    """The lines of all shell blocks of a page, in order, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    joined = [block.replace("\\\n", " ") for block in blocks]
    lines = [re.sub(r"\s+# .*", "", line) for block in joined for line in block.splitlines()]
    return [line for line in lines if line.strip()]


def is_set_up(line: str) -> bool:
    """Whether a line prepares an environment; its extras are held against pyproject.toml."""
    extras = re.findall(r"pip install (?:-q )?(?:-e )?'\.\[([\w,]+)\]'", line)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra for given in extras for extra in given.split(",")} <= set(declared)
    return bool(extras) or line.startswith(("python3 -m venv", ". .venv", "export ", "eval "))


def run(line: str, page: str) -> None:
    """One line of a page, in this process where it is the command line."""
    for slow, quick in REDUCED.items():
        line = re.sub(slow, quick, line)
    words = shlex.split(line)
    if words[0] == "mcm-partition":
        words, target = (words[: words.index(">")], words[-1]) if ">" in words else (words, None)
        done = CliRunner(env=LIMITS).invoke(main, words[1:])
        assert done.exit_code == 0, f"{page}: {line}\n{done.output}"
        if target is not None:
            Path(target).write_text(done.stdout)
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(["bash", "-c", line], check=True, env=os.environ | {"PATH": path}, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_in_order(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("onnxruntime", "simpy", "matplotlib"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCM_PARTITION_CPU", str(tmp_path / "cpu.toml"))
    PAGES[page]()
    lines = lines_of(page)
    assert lines
    for line in lines:
        if not (is_set_up(line) or f"{line}\n".startswith(SLOW)):
            run(line, page)


def campaigns() -> list[str]:
    """Every line of a page that starts a benchmark."""
    pages = ["README.md", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))]
    return sorted({line for page in pages for line in lines_of(page) if line.startswith("python benchmarks/")})


@pytest.mark.parametrize("line", campaigns())
def test_the_options_of_a_benchmark_on_a_page_exist(line: str) -> None:
    _, script, *options = shlex.split(line.split(" -- ")[0])
    text = (ROOT / script).read_text(encoding="utf-8")
    for option in (word for word in options if word.startswith("--")):
        assert f'"{option}"' in text, f"{script} has no {option}"


def test_every_page_with_commands_is_run() -> None:
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    with_commands = {page for page in pages if lines_of(page)}
    assert with_commands | {"README.md"} == set(PAGES) | NOT_RUN


def test_the_reference_of_the_command_line_is_current() -> None:
    """``python docs/cli.py`` writes it anew."""
    spec = importlib.util.spec_from_file_location("cli_page", ROOT / "docs" / "cli.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "cli.md").read_text() == module.page()
