"""Libraries that only some uses need: one sentence names all that are missing, with a line that installs them."""

from __future__ import annotations

import re
import shlex
from importlib import import_module

from partition.errors import InvalidInput

EXTRAS = {
    "onnx": ("onnx>=1.17",),
    "run": ("onnx>=1.17", "onnxruntime>=1.20"),
    "torch": ("torch>=2.6",),
    "jax": ("jax>=0.4.30",),
    "plot": ("matplotlib>=3.8",),
    "simulate": ("simpy>=4.1",),
    "confirm": ("ortools>=9.10",),
}
"""What each extra of pyproject.toml installs; the line names these, which every index has, and not this project."""


def require(purpose: str, *extras: str) -> None:
    """Refuse at once, and with all that is missing, what could not be done later.

    Parameters
    ----------
    purpose : what needs them; the beginning of the sentence ("reading ONNX models").
    extras : names of extras, keys of ``EXTRAS``.

    Raises
    ------
    InvalidInput : a library is not installed or cannot be imported.
    """
    wanted = dict.fromkeys(requirement for extra in extras for requirement in EXTRAS[extra])
    missing = [requirement for requirement in wanted if not importable(_library(requirement))]
    if missing:
        names = " and ".join(map(_library, missing))
        raise InvalidInput(f"{purpose} needs {names}; run: pip install {shlex.join(missing)}")


def _library(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement, maxsplit=1)[0]


def importable(library: str) -> bool:
    try:
        import_module(library)
    except ImportError:
        return False
    return True
