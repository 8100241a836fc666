"""What pyproject.toml promises to install is all that the packages need."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
PACKAGES = find_packages(str(ROOT), include=SETUPTOOLS["packages"]["find"]["include"])


def test_every_folder_with_code_is_a_package_that_is_installed() -> None:
    tops = ("partition", "milp", "learned")
    folders = {path.parent.relative_to(ROOT) for top in tops for path in (ROOT / top).rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} == set(PACKAGES)


def test_nothing_is_installed_at_top_level_but_the_three_packages() -> None:
    assert {package.split(".")[0] for package in PACKAGES} == {"partition", "milp", "learned"}
    assert "py-modules" not in SETUPTOOLS


def test_every_file_that_is_no_code_is_installed_with_its_package() -> None:
    for package in PACKAGES:
        folder = ROOT.joinpath(*package.split("."))
        beside = {path.name for path in folder.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")}
        assert beside == set(SETUPTOOLS["package-data"].get(package, []))


def test_the_wheel_needs_no_compiler() -> None:
    assert not [path for top in PACKAGES for path in (ROOT / top.split(".")[0]).rglob("*.[ch]")]
    assert PROJECT["build-system"]["requires"] == ["setuptools>=77"]


@pytest.mark.parametrize("package", ["partition.split", "partition.pipeline", "partition.shards", "partition.simulate"])
def test_a_package_is_imported_without_the_libraries_that_its_functions_ask_for(package: str) -> None:
    """So that whoever calls them is told in a sentence what is missing."""
    missing = ("onnx", "onnxruntime", "torch", "jax", "simpy")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); import {package}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
