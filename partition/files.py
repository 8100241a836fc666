"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from partition.errors import InvalidInput


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
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        special = target.exists() and not target.is_file()
        if special and target.is_dir():
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
    target = Path(os.path.realpath(path))
    problem = None
    if target.is_dir():
        problem = "it is a folder"
    elif not target.exists() and not target.parent.is_dir():
        problem = "No such file or directory"
    elif not os.access(target if target.exists() else target.parent, os.W_OK):
        problem = "Permission denied"
    if problem is not None:
        raise InvalidInput(f"cannot write {str(path)!r}: {problem}")


def _settle(path: Path) -> None:
    """Have the system write a file or folder to the disk itself, so that a power cut leaves the old or the new one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
