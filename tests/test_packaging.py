"""What pyproject.toml promises to install is all that the packages need."""

from __future__ import annotations

import tomllib
from pathlib import Path

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
