"""How the tests of this folder load a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from partition.readers.load import Source


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Source]:
    """A function that writes a text to a file and loads it."""
    from partition.readers.load import load_model

    def write(content: str, name: str = "file") -> Source:
        path = tmp_path / name
        path.write_text(content)
        return load_model(str(path))

    return write
