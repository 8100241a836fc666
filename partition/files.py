"""Reading files that may be of any size, and writing them so that they are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import tomllib
from collections.abc import Iterator
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
    return parse_toml(read_bounded(path, LARGEST_TOML))


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables that TOML states.

    Raises
    ------
    ValueError : it is not TOML, or not what a person would write.
    """
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
    InvalidInput : the folder does not exist or cannot be written, or there is no room.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside ``path`` to be written by name; it takes the place of ``path`` if nothing is raised.

    Links are followed. What is no regular file (``/dev/stdout``, a pipe) cannot be replaced and is written to.

    Raises
    ------
    InvalidInput : an ``OSError`` within, or when the file is moved.
    """
    temporary = None
    try:
        target, special = _place(path)
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        folder = None if special else target.parent
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{target.name}.", suffix=target.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if special:
            with target.open("wb") as file:
                file.write(temporary.read_bytes())
            return
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        _settle(temporary)
        os.replace(temporary, target)
        temporary = None
        with contextlib.suppress(OSError):  # not every system can do that with a folder
            _settle(target.parent)
    except OSError as error:
        raise InvalidInput(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that could not be written now, before anything is spent on what shall be written there.

    Raises
    ------
    InvalidInput : as :func:`replacing`.
    """
    problem = None
    try:
        target, _ = _place(path)
        if target.is_dir():
            problem = "it is a folder; give a file"
        elif not target.exists() and not target.parent.is_dir():
            problem = "No such file or directory"
        elif not os.access(target if target.exists() else target.parent, os.W_OK):
            problem = "Permission denied"
    except OSError as error:  # a name that is too long
        problem = error.strerror or str(error)
    if problem is not None:
        raise InvalidInput(f"cannot write {str(path)!r}: {problem}")


def _place(path: str | os.PathLike[str]) -> tuple[Path, bool]:
    """Where a path leads, and whether that is something else than a file: a pipe behind ``/dev/stdout`` has no name."""
    given, target = Path(path), Path(os.path.realpath(path))
    special = given.exists() and not given.is_file()
    return (given if special else target), special


def _settle(path: Path) -> None:
    """Have the system write a file or folder to the disk itself, so that a power cut leaves the old or the new one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
