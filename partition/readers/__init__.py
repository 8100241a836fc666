"""Ways in: ONNX, torch, JAX, JSON, networkx, device-placement files, measured times."""

from partition.readers import doors as doors
