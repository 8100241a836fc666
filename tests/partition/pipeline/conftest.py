"""The model that the tests of this folder measure."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """See :func:`pipeline_models.small_model`, which needs onnxruntime."""
    from pipeline_models import small_model

    return small_model(tmp_path)
