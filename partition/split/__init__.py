"""Runnable pieces: one ONNX model per chip, a manifest of the pipeline, and the proof that they compute the same."""

from partition.split.annotate import annotate_model
from partition.split.comparing import Comparison
from partition.split.inputs import load_inputs
from partition.split.manifest import Manifest, Part, Port
from partition.split.parts import split_model
from partition.split.verify import verify_parts

__all__ = ["Comparison", "Manifest", "Part", "Port", "annotate_model", "load_inputs", "split_model", "verify_parts"]
