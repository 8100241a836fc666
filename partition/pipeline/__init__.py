"""The answer running: parts of a model as processes on cores, measured; profiles and calibration."""

from partition.pipeline.calibration import Calibration, calibrate, fit_kind, fit_link
from partition.pipeline.module_cuts import SplitPoints, device_map, layer_counts, split_points
from partition.pipeline.outcome import PipelineRun, StageFigures
from partition.pipeline.profile import Profile, profile
from partition.pipeline.run import run
from partition.pipeline.timeline import to_perfetto
from partition.pipeline.torch_stages import TorchStage, TorchStages, split_torch

__all__ = [
    "Calibration", "PipelineRun", "Profile", "SplitPoints", "StageFigures", "TorchStage", "TorchStages", "calibrate",
    "device_map", "fit_kind", "fit_link", "layer_counts", "profile", "run", "split_points", "split_torch",
    "to_perfetto",
]  # fmt: skip
