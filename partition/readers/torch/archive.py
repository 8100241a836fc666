"""Files of PyTorch: programs of ``torch.export.save`` are read, every other kind is refused by name."""

from __future__ import annotations

import logging
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from partition.errors import InvalidModelFile
from partition.extras import require

if TYPE_CHECKING:
    from torch.export import ExportedProgram

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
"""How the files of ``torch.save`` and its kin begin, today's and those of before 1.6."""

_PROGRAMS = frozenset({"model.json", "serialized_exported_program.json"})
"""Names of the program in what ``torch.export.save`` writes, today's and those of before 2.7."""

_EXPORT = "save what torch.export.export(module, args) returns with torch.export.save(program, 'model.pt2')"


def load_program(path: Path) -> ExportedProgram:
    """Read what ``torch.export.save(program, path)`` wrote.

    Raises
    ------
    InvalidInput : torch is not installed.
    InvalidModelFile : the file holds something else (said what), or this version of torch cannot load it.
    """
    _refuse_other_archives(path)
    require(f"reading {str(path)!r}", "torch")
    import torch

    log = logging.getLogger("torch.export")  # tells what it tries in vain, with a traceback
    silent, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its serializer
            with path.open("rb") as file:  # by its path, torch minds another ending than .pt2
                return torch.export.load(file)
    except Exception as error:  # whatever unpickling and another version of torch raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidModelFile(
            f"{str(path)!r} cannot be loaded by torch.export.load of torch {torch.__version__} ({reason}); save it "
            "with the same version"
        ) from error
    finally:
        log.disabled = silent


def _refuse_other_archives(path: Path) -> None:
    """Raise unless the file can be a program of ``torch.export``; its table of contents tells."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] or name for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        with path.open("rb") as file:
            start = file.read(1)
        if start == PICKLE:
            raise InvalidModelFile(f"{str(path)!r} holds pickled objects, not a program; {_EXPORT}") from error
        raise InvalidModelFile(f"{str(path)!r} is a damaged archive ({error}); copy it again") from error
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise InvalidModelFile(f"{str(path)!r} is a program of torch.jit, which has no shapes; {_EXPORT}")
    if any(name.startswith("data/aotinductor") for name in names) and "models/model.json" not in names:
        raise InvalidModelFile(f"{str(path)!r} is a model compiled by AOTInductor, without operations; {_EXPORT}")
    if any(name.rpartition("/")[2] in _PROGRAMS for name in names):
        return
    if inside := next((name for name in sorted(names) if name.endswith((".onnx", ".pt2"))), None):
        raise InvalidModelFile(f"{str(path)!r} is a zip archive around {inside!r}; unpack it first")
    what = "no model of a known format"
    if "data.pkl" in names:
        what = "weights or a pickled module of torch.save"
    elif "config.json" in names and "model.weights.h5" in names:
        raise InvalidModelFile(f"{str(path)!r} is a model of Keras; export it to ONNX (model.export)")
    elif names and all(name.endswith(".npy") for name in names):
        what = "arrays of numpy"
    raise InvalidModelFile(f"{str(path)!r} holds {what}, not a program; {_EXPORT}")
