"""How the tests of this folder load a text."""

from __future__ import annotations

import pytest

from partition.readers.load import load_model


@pytest.fixture
def load(tmp_path):
    def write(content, name="file"):
        path = tmp_path / name
        path.write_text(content)
        return load_model(str(path))

    return write
