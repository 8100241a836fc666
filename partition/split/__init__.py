"""Runnable pieces: one ONNX model per chip, a manifest of the pipeline, and the proof that they compute the same."""

from partition.split.manifest import Manifest, Part, Port
from partition.split.parts import split_model
from partition.split.verify import Comparison, verify_parts

__all__ = ["Comparison", "Manifest", "Part", "Port", "split_model", "verify_parts"]
