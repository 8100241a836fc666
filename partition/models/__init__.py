"""Models that are generated from their architecture's hyper-parameters, at the granularity of an ONNX export."""

from partition.models.info import ModelInfo, Parameter
from partition.models.registry import MODELS, available, build

__all__ = ["MODELS", "ModelInfo", "Parameter", "available", "build"]
