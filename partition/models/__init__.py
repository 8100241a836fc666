"""Models that are generated from their architecture's hyper-parameters, at the granularity of an ONNX export."""

from partition.models.registry import MODELS, ModelInfo, Parameter, available, build

__all__ = ["MODELS", "ModelInfo", "Parameter", "available", "build"]
