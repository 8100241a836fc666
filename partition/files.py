"""Reading files that may be of any size, and writing them so that they are there whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from partition.errors import InvalidInput

LARGEST_JSON = 2**27
"""Bytes of a JSON or CSV file: some 400,000 operations. Parsed, it can take thirty times as much memory."""

LARGEST_TOML = 2**20
"""Bytes of a TOML file."""


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
