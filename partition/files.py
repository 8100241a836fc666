"""Reading files that may be of any size, and writing them so that they are there whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from partition.errors import InvalidInput

LARGEST_JSON = 2**27
"""Bytes of a JSON or CSV file: some 400,000 operations. Parsed, it can take thirty times as much memory."""

LARGEST_TOML = 2**19
"""Bytes of a TOML file."""

MOST_DOTS = 100
"""In a line of TOML: the parser's memory grows with the square of the parts of a key, 16 GB for a line of 128 kB."""


def read_bounded(path: str | os.PathLike[str], at_most: int) -> bytes:
    """What a file or pipe holds.

    Raises
    ------
    OSError : it cannot be read, or holds more than ``at_most`` bytes, of which no more are read.
    """
    with open(path, "rb") as file:
        content = file.read(at_most + 1)
    if len(content) > at_most:
        raise OSError(errno.EFBIG, f"it is larger than {at_most / 2**20:g} MB")
    return content


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises
    ------
    OSError : it cannot be read, or is too large.
    ValueError : it is not TOML, or not what a person would write.
    """
    content = read_bounded(path, LARGEST_TOML)
    for i, line in enumerate(content.split(b"\n"), 1):
        if line.count(b".") > MOST_DOTS:
            raise ValueError(f"line {i} has over {MOST_DOTS} dots")
    try:
        return tomllib.loads(content.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write text (as UTF-8) or bytes beside ``path`` and move it into place.

    Raises
    ------
    InvalidInput : the folder does not exist or cannot be written.
    """
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise InvalidInput(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise InvalidInput(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
