"""ATen operators without a product: what each costs, by the ONNX operator of the same meaning or per element."""

from __future__ import annotations

from collections.abc import Mapping

SAME: Mapping[str, str] = {
    "gelu": "Gelu", "silu": "Swish", "hardswish": "HardSwish", "sigmoid": "Sigmoid", "rsub": "Sub",
    "masked_fill": "Where", "softmax": "Softmax", "_softmax": "Softmax", "_safe_softmax": "Softmax",
    "log_softmax": "LogSoftmax", "_log_softmax": "LogSoftmax", "hardtanh": "Clip", "clamp": "Clip",
    "clamp_min": "Clip", "clamp_max": "Clip", "relu6": "Clip", "leaky_relu": "LeakyRelu",
    "hardsigmoid": "HardSigmoid", "elu": "Elu", "softplus": "Softplus", "mish": "Mish", "selu": "Selu",
    "celu": "Celu", "prelu": "PRelu", "_prelu_kernel": "PRelu", "max_pool1d": "MaxPool", "max_pool2d": "MaxPool",
    "max_pool3d": "MaxPool", "max_pool2d_with_indices": "MaxPool", "max_pool3d_with_indices": "MaxPool",
    "avg_pool1d": "AveragePool", "avg_pool2d": "AveragePool", "avg_pool3d": "AveragePool",
    "adaptive_avg_pool1d": "GlobalAveragePool", "adaptive_avg_pool2d": "GlobalAveragePool",
    "_adaptive_avg_pool2d": "GlobalAveragePool", "adaptive_avg_pool3d": "GlobalAveragePool",
    "_adaptive_avg_pool3d": "GlobalAveragePool", "adaptive_max_pool1d": "GlobalMaxPool",
    "adaptive_max_pool2d": "GlobalMaxPool", "cat": "Concat", "stack": "Concat", "embedding": "Gather",
    "index_select": "Gather", "index": "GatherND", "_unsafe_index": "GatherND", "gather": "GatherElements",
    "take": "Gather", "cumsum": "CumSum", "arange": "Range", "_to_copy": "Cast", "to": "Cast", "pad": "Pad",
    "constant_pad_nd": "Pad", "reflection_pad1d": "Pad", "reflection_pad2d": "Pad", "reflection_pad3d": "Pad",
    "replication_pad1d": "Pad", "replication_pad2d": "Pad", "replication_pad3d": "Pad", "tril": "Trilu",
    "triu": "Trilu", "zeros": "ConstantOfShape", "ones": "ConstantOfShape", "eye": "EyeLike",
    "full": "ConstantOfShape", "zeros_like": "ConstantOfShape", "ones_like": "ConstantOfShape",
    "full_like": "ConstantOfShape", "new_zeros": "ConstantOfShape", "new_ones": "ConstantOfShape",
    "new_full": "ConstantOfShape", "scalar_tensor": "ConstantOfShape", "fill": "ConstantOfShape",
    "linspace": "Range", "repeat": "Tile", "tile": "Tile", "repeat_interleave": "Tile", "roll": "Concat",
    "flip": "Concat", "rot90": "Concat", "layer_norm": "LayerNormalization",
    "native_layer_norm": "LayerNormalization", "rms_norm": "RMSNormalization", "_fused_rms_norm": "RMSNormalization",
    "batch_norm": "BatchNormalization", "group_norm": "GroupNormalization",
    "native_group_norm": "GroupNormalization", "_native_batch_norm_legit_no_training": "BatchNormalization",
    "instance_norm": "InstanceNormalization", "topk": "TopK", "one_hot": "OneHot", "pixel_shuffle": "DepthToSpace",
    "pixel_unshuffle": "SpaceToDepth", "channel_shuffle": "Concat", "clone": "Transpose",
    "upsample_nearest1d": "Resize", "upsample_nearest2d": "Resize", "upsample_nearest3d": "Resize",
    "_upsample_nearest_exact2d": "Resize", "im2col": "Concat", "unfold_copy": "Concat", "rand": "RandomUniform",
    "randn": "RandomNormal", "rand_like": "RandomUniform", "randn_like": "RandomNormal", "bernoulli": "Bernoulli",
    "normal": "RandomNormal", "randint": "RandomUniform", "multinomial": "Multinomial",
    "logsumexp": "ReduceLogSumExp", "constant_pad": "Pad", "view_copy": "Concat", "permute_copy": "Transpose",
}  # fmt: skip
"""ATen operator -> the ONNX operator that does the same (``partition/problem/operators.py`` has the formulas)."""

PER_OUTPUT: Mapping[str, float] = {
    "upsample_linear1d": 4, "upsample_bilinear2d": 8, "_upsample_bilinear2d_aa": 8, "upsample_trilinear3d": 16,
    "upsample_bicubic2d": 32, "_upsample_bicubic2d_aa": 32, "grid_sampler_2d": 8, "grid_sampler_3d": 16,
    "_softmax_backward_data": 3, "_log_softmax_backward_data": 3, "gelu_backward": 8, "silu_backward": 6,
    "native_dropout_backward": 2, "native_dropout": 3, "dropout": 3, "alpha_dropout": 3,
    "max_pool2d_with_indices_backward": 1, "avg_pool2d_backward": 1, "_adaptive_avg_pool2d_backward": 1,
    "nll_loss_backward": 1, "cumprod": 1, "cummax": 1, "cummin": 1, "logcumsumexp": 3,
    "mse_loss_backward": 2, "linalg_cross": 3, "complex": 0, "polar": 3, "_conj_physical": 1,
    "upsample_nearest2d_backward": 1, "upsample_bilinear2d_backward": 8, "dequantize_per_tensor": 2,
    "dequantize_per_channel": 2, "quantize_per_tensor": 3, "quantize_per_channel": 3, "slice_backward": 0,
    "select_backward": 0, "floor_divide": 1, "zero": 0, "resize": 0, "addcmul": 3, "addcdiv": 3, "lerp": 3,
    "rrelu_with_noise": 2, "rrelu_with_noise_functional": 2, "fake_quantize_per_tensor_affine_cachemask": 5,
    "fake_quantize_per_channel_affine_cachemask": 5, "fake_quantize_per_channel_affine": 5,
    "fake_quantize_per_tensor_affine": 5, "dequantize": 2,
    "masked_scatter": 1, "unfold_backward": 1, "diag_embed": 0, "affine_grid_generator": 4, "max_unpool2d": 0,
    "_adaptive_avg_pool3d_backward": 1, "adaptive_max_pool2d_backward": 1, "adaptive_max_pool3d_backward": 1,
    "avg_pool3d_backward": 1, "max_pool3d_with_indices_backward": 1, "reflection_pad1d_backward": 1,
    "reflection_pad2d_backward": 1, "reflection_pad3d_backward": 1, "replication_pad1d_backward": 1,
    "replication_pad2d_backward": 1, "replication_pad3d_backward": 1, "masked_scatter_backward": 0,
    "nan_to_num": 3, "glu": 5, "softshrink": 2, "threshold": 1, "hardshrink": 2, "logit": 4,
}  # fmt: skip
"""FLOPs per element of the (first) result."""

PER_INPUT: Mapping[str, float] = {
    "sum": 1, "mean": 1, "amax": 1, "amin": 1, "max": 1, "min": 1, "argmax": 1, "argmin": 1, "prod": 1, "any": 1,
    "all": 1, "aminmax": 2, "var": 4, "std": 4, "var_mean": 4, "std_mean": 4, "norm": 2, "linalg_vector_norm": 2,
    "nll_loss": 1, "nll_loss_forward": 1, "nll_loss2d_forward": 1, "mse_loss": 3, "cross_entropy_loss": 7,
    "native_batch_norm": 8, "_native_batch_norm_legit": 8, "_native_batch_norm_legit_functional": 8,
    "cudnn_batch_norm": 8, "native_batch_norm_backward": 10, "native_layer_norm_backward": 10,
    "native_group_norm_backward": 10, "_fused_rms_norm_backward": 8, "count_nonzero": 1, "median": 1, "bincount": 1,
    "histc": 1, "col2im": 1, "isin": 4, "put": 0, "_weight_norm": 3,
    "_weight_norm_interface": 3, "renorm": 3, "cosine_similarity": 6, "trace": 1, "binary_cross_entropy": 6,
    "_weight_norm_interface_backward": 5, "_upsample_nearest_exact2d_backward": 1, "grid_sampler_2d_backward": 16,
    "grid_sampler_3d_backward": 32, "_upsample_bilinear2d_aa_backward": 8, "_upsample_lanczos2d_aa_backward": 72,
    "binary_cross_entropy_with_logits": 8, "smooth_l1_loss": 5, "huber_loss": 5, "hinge_embedding_loss": 4,
}  # fmt: skip
"""FLOPs per element of the largest operand."""
