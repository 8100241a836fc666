"""PyTorch architectures: read, run in stages, every byte against a run, products against counts made elsewhere.

    pip install torch==2.14.1 torchvision==0.29.1 timm transformers diffusers
    python benchmarks/readers.py torch --only swin

Each model is made by its configuration class with random weights and exported. It is placed on stages at random, run
stage by stage, each operation seeing only what the edges of the graph bring it, and compared with the whole. Every
tensor's bytes are compared with those of that run. FLOPs of products are compared with a formula by hand where there is
one, otherwise with PyTorch's counter on the module itself (not on the program that is read). ``right`` is ``no`` where
one of these differs, FLOPs by more than 2%, or where more than 0.1% of the time on ``ring4`` is costed by default.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch_stages import Staged, assert_same
from torch_zoo import MODELS, PUBLISHED

from partition import Graph, load_hardware

TITLE = "PyTorch architectures"
HEAD = ("model", "operations", "read, s", "tensors", "bytes as in a run", "held / parameters", "products, GFLOP",
        "against", "by", "costed by default", "of the time", "stages", "right")  # fmt: skip

PRODUCTS = ("linear", "mm", "addmm", "bmm", "baddbmm", "matmul", "einsum", "tensordot", "conv1d", "conv2d", "conv3d",
            "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "lstm", "bilinear",
            "grouped_mm_fallback", "_grouped_mm", "mv", "dot")  # fmt: skip
"""Kinds of operations that are products and nothing else."""


def rows(only: str) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """The cells of each model's line, and whether all is right."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name, make in {**MODELS, **PUBLISHED}.items():
        if only in name:
            try:
                yield _row(name, make, name in PUBLISHED)
            except Exception as error:  # a table goes on
                yield (name, f"{type(error).__name__}: {str(error).splitlines()[0][:150]}"), False


def _row(name: str, make: Callable[[], Any], without_data: bool) -> tuple[tuple[Any, ...], bool]:
    torch.manual_seed(0)
    module, args, kwargs = make()
    with torch.no_grad():
        program = torch.export.export(module, args, kwargs, strict=False)
    start = time.process_time()
    staged = Staged(program, kept=not without_data)
    seconds, graph = time.process_time() - start, staged.graph
    parameters = sum(p.numel() * p.element_size() for p in {id(p): p for p in module.parameters()}.values())
    held = (graph.weights.sum() + graph.shared_bytes.sum()) / parameters
    products = _products(staged)
    right, by = (BY_HAND[name](module.config, 512), "hand") if without_data else _counted(name, module, args, kwargs)
    share = _guessed_share(graph)
    compared, differing, stages = ("-", 0, "-") if without_data else _run(staged, program, args, kwargs)
    good = abs(products / right - 1) < 0.02 and share <= 0.001 and not differing and stages in ("equal", "-")
    cells = (name, graph.n, f"{seconds:.1f}", compared, f"{differing} differ" if differing else "all", f"{held:.4f}",
             f"{products / 1e9:.4g}", f"{products / right - 1:+.2%}", by, ", ".join(graph.unknown_operators) or "none",
             f"{share:.3%}", stages, "yes" if good else "no")  # fmt: skip
    return cells, good


def _products(staged: Staged) -> float:
    """FLOPs of products; of attention without its softmax, which is 6 for each pair of query and key."""
    graph, total = staged.graph, 0.0
    for node in staged.program.graph.nodes:
        v = graph.index.get(staged.operation.get(node.name, ""))
        if v is None:
            continue
        if graph.op_types[v] in PRODUCTS:
            total += graph.flops[v]
        elif graph.op_types[v] == "scaled_dot_product_attention":
            query, key = (u.meta["val"].shape for u in node.args[:2])
            total += graph.flops[v] - 6 * int(np.prod(query[:-1])) * int(key[-2])
    return total


def _counted(name: str, module: Any, args: Any, kwargs: Any) -> tuple[float, str]:
    """The count by hand, or PyTorch's on the module as it runs, without the fused paths that it does not know."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    if name in BY_HAND and hasattr(module, "config"):
        return BY_HAND[name](module.config, args[0].shape[1]), "hand"
    torch.backends.mha.set_fastpath_enabled(False)
    plain = torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), torch.no_grad()
    with plain[0], plain[1], plain[2], FlopCounterMode(display=False) as counter:
        module(*args, **kwargs)
    return float(counter.get_total_flops()), "module"


def _guessed_share(graph: Graph) -> float:
    """Share of the time of operations whose kind is costed by default."""
    seconds = load_hardware("ring4").times(graph)[0]
    guessed = np.isin(np.array(graph.names), graph.guessed)
    return float(seconds[guessed].sum() / seconds.sum())


def _run(staged: Staged, program: Any, args: Any, kwargs: Any) -> tuple[int, int, str]:
    """How many tensors were compared, how many differ in bytes, and whether the stages compute what the whole does."""
    chips = staged.chips_at_random(np.random.default_rng(0), 0.05)
    try:
        assert_same(staged, chips, program, args, kwargs)
        stages = "equal"
    except AssertionError as error:
        stages = str(error).strip().splitlines()[0][:80]
    sizes = dict(zip(staged.graph.tensor_names, staged.graph.tensor_bytes, strict=True))
    found = {name: size for name, size in staged.sizes.items() if name in sizes}
    return len(found), sum(sizes[name] != size for name, size in found.items()), stages


# --- Counts by hand: 2 x rows x in x out for every matrix, 4 x rows x keys x width for attention -------------------


def _decoder(c: Any, rows: int) -> float:
    """Attention of grouped queries and a head; what follows the attention is the caller's."""
    width = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    queries, keys = c.num_attention_heads * width, c.num_key_value_heads * width
    projections = 2 * rows * c.hidden_size * (2 * queries + 2 * keys)
    layer = projections + 4 * rows * rows * queries
    return float(c.num_hidden_layers * layer + 2 * rows * c.hidden_size * c.vocab_size)


def _dense(c: Any, rows: int) -> float:
    return _decoder(c, rows) + c.num_hidden_layers * 6.0 * rows * c.hidden_size * c.intermediate_size


def _mixtral(c: Any, rows: int) -> float:
    experts = c.num_experts_per_tok * 6 * rows * c.hidden_size * c.intermediate_size
    return _decoder(c, rows) + c.num_hidden_layers * (2.0 * rows * c.hidden_size * c.num_local_experts + experts)


def _qwen(c: Any, rows: int) -> float:
    experts = c.num_experts_per_tok * 6 * rows * c.hidden_size * c.moe_intermediate_size
    return _decoder(c, rows) + c.num_hidden_layers * (2.0 * rows * c.hidden_size * c.num_experts + experts)


def _deepseek(c: Any, rows: int) -> float:
    """Latent attention; the first layers are dense, the others have routed and shared experts."""
    heads, h, whole = c.num_attention_heads, c.hidden_size, c.qk_nope_head_dim + c.qk_rope_head_dim
    attention = h * c.q_lora_rank + c.q_lora_rank * heads * whole + h * (c.kv_lora_rank + c.qk_rope_head_dim)
    attention += c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim) + heads * c.v_head_dim * h
    layer = 2.0 * rows * attention + 2.0 * rows * rows * heads * (whole + c.v_head_dim)
    dense = c.first_k_dense_replace * 6.0 * rows * h * c.intermediate_size
    routed = (c.num_experts_per_tok + c.n_shared_experts) * 6.0 * rows * h * c.moe_intermediate_size
    sparse = (c.num_hidden_layers - c.first_k_dense_replace) * (2.0 * rows * h * c.n_routed_experts + routed)
    return c.num_hidden_layers * layer + dense + sparse + 2.0 * rows * h * c.vocab_size


def _bert(c: Any, rows: int) -> float:
    layer = 2 * rows * c.hidden_size * (4 * c.hidden_size + 2 * c.intermediate_size) + 4 * rows * rows * c.hidden_size
    pooled = 2 * c.hidden_size**2
    return float(c.num_hidden_layers * layer + pooled)


def _gpt(c: Any, rows: int) -> float:
    layer = 2 * rows * 12 * c.n_embd**2 + 4 * rows * rows * c.n_embd
    return float(c.n_layer * layer + 2 * rows * c.n_embd * c.vocab_size)


BY_HAND: dict[str, Callable[[Any, int], float]] = {
    "bert": _bert, "roberta": _bert, "gpt2": _gpt, "llama": _dense, "mistral": _dense, "qwen2": _dense, "phi3": _dense,
    "gemma2": _dense, "mixtral": _mixtral, "qwen3-moe": _qwen, "deepseek-v3": _deepseek,
    "Mixtral-8x7B, 512 tokens": _mixtral, "Qwen3-30B-A3B, 512 tokens": _qwen, "DeepSeek-V3, 512 tokens": _deepseek,
    "Llama-3-8B, 512 tokens": _dense,
}  # fmt: skip
