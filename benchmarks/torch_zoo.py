"""Architectures of other people's packages, from their configuration classes with random weights."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

Model = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""Module, arguments, keyword arguments."""


def tokens(*shape: int, most: int = 1000) -> Any:
    return torch.randint(0, most, shape)


def language(name: str, head: str, settings: dict[str, Any], length: int = 64, device: str = "cpu") -> Model:
    """A language model of transformers; a published configuration on the meta device takes no memory."""
    import transformers

    config = getattr(transformers, f"{name}Config")(use_cache=False, **settings)
    with torch.device(device):
        module = getattr(transformers, f"{name}{head}")(config).eval()
        return module, (torch.zeros(1, length, dtype=torch.long),), {}


def transformed(name: str, head: str, settings: dict[str, Any], **inputs: Any) -> Model:
    import transformers

    config = getattr(transformers, f"{name}Config")(**settings)
    return getattr(transformers, f"{name}{head}")(config).eval(), (), inputs


def of_walls() -> dict[str, Callable[[], Model]]:
    """Models of which one operation holds the period of eight chips: a head, a convolution, recurrent layers."""

    def gemma() -> Model:
        import transformers

        settings = SMALL | {"intermediate_size": 2048, "num_hidden_layers": 6, "head_dim": 64, "vocab_size": 32_000}
        config = transformers.Gemma3TextConfig(use_cache=False, **settings)
        return transformers.Gemma3ForCausalLM(config).eval(), (tokens(1, 128),), {}

    picture, sound = torch.randn(1, 3, 256, 256), torch.randn(1, 16_000)
    return {
        "gemma3": gemma,
        "segformer": lambda: transformed("Segformer", "ForSemanticSegmentation", {}, pixel_values=picture),
        "wav2vec2": lambda: transformed("Wav2Vec2", "ForCTC", {"num_hidden_layers": 6}, input_values=sound),
        "lstm": lambda: (Recurrent().eval(), (tokens(4, 64),), {}),
    }


def timm_model(name: str, size: int = 224) -> Model:
    import timm

    return timm.create_model(name, pretrained=False).eval(), (torch.randn(1, 3, size, size),), {}


def vision(name: str, *shape: int, **settings: Any) -> Model:
    import torchvision

    module = torchvision.models.get_model(name, weights=None, **settings)
    return module.eval(), (torch.randn(1, *(shape or (3, 224, 224))),), {}


class Head(nn.Module):
    """RetinaNet without the choice among its boxes, which depends on data."""

    def __init__(self) -> None:
        super().__init__()
        whole = vision("retinanet_resnet50_fpn", weights_backbone=None)[0]
        self.backbone, self.head = whole.backbone, whole.head

    def forward(self, x: Any) -> Any:
        return self.head(list(self.backbone(x).values()))


class Recommender(nn.Module):
    """DLRM: tables of embeddings, a product of all with all, two towers."""

    def __init__(self, tables: int = 26, rows: int = 10_000, width: int = 64) -> None:
        super().__init__()
        self.bags = nn.ModuleList([nn.EmbeddingBag(rows, width, mode="sum") for _ in range(tables)])
        sizes = [13, 512, 256, width]
        self.bottom = nn.Sequential(*(f for a, b in pairwise(sizes)
                                      for f in (nn.Linear(a, b), nn.ReLU())))  # fmt: skip
        n = tables + 1
        self.top = nn.Sequential(nn.Linear(width + n * (n - 1) // 2, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(),
                                 nn.Linear(256, 1), nn.Sigmoid())  # fmt: skip
        i, j = torch.tril_indices(n, n, -1)
        self.register_buffer("i", i)
        self.register_buffer("j", j)

    def forward(self, dense: Any, sparse: Any) -> Any:
        x = self.bottom(dense)
        rows = torch.stack([x, *(bag(sparse[k]) for k, bag in enumerate(self.bags))], 1)
        pairs = torch.bmm(rows, rows.transpose(1, 2))
        return self.top(torch.cat([x, pairs[:, self.i, self.j]], 1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Embedding(10_000, 256), nn.Linear(1024, 100)
        self.lstm = nn.LSTM(256, 512, 3, batch_first=True, bidirectional=True)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(self.embed(x))[0])


def diffusion(name: str, settings: dict[str, Any], *args: Any) -> Model:
    import diffusers

    return getattr(diffusers, name)(**settings).eval(), args, {}


SMALL = {"hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4,
         "vocab_size": 8000}  # fmt: skip
MLA = {"kv_lora_rank": 64, "q_lora_rank": 128, "qk_rope_head_dim": 32, "v_head_dim": 64, "qk_nope_head_dim": 64}
IMAGE = {"pixel_values": torch.zeros(1, 3, 224, 224)}

MODELS: dict[str, Callable[[], Model]] = {
    "bert": lambda: language("Bert", "Model", {}, 128),
    "gpt2": lambda: language("GPT2", "LMHeadModel", {}, 128),
    "llama": lambda: language("Llama", "ForCausalLM", SMALL | {"intermediate_size": 1408}, 128),
    "mistral": lambda: language("Mistral", "ForCausalLM", SMALL | {"intermediate_size": 1408}),
    "qwen2": lambda: language("Qwen2", "ForCausalLM", SMALL | {"intermediate_size": 1408}),
    "phi3": lambda: language("Phi3", "ForCausalLM", SMALL | {"intermediate_size": 1408, "pad_token_id": 0}),
    "gemma2": lambda: language("Gemma2", "ForCausalLM", SMALL | {"intermediate_size": 1408, "head_dim": 64}),
    "mixtral": lambda: language("Mixtral", "ForCausalLM", SMALL | {"intermediate_size": 1024, "num_local_experts": 8}),
    "qwen3-moe": lambda: language("Qwen3Moe", "ForCausalLM", SMALL | {
        "intermediate_size": 1024, "moe_intermediate_size": 256, "num_experts": 16, "num_experts_per_tok": 4,
        "head_dim": 64}),
    "deepseek-v3": lambda: language("DeepseekV3", "ForCausalLM", SMALL | MLA | {
        "intermediate_size": 1024, "moe_intermediate_size": 256, "num_key_value_heads": 8, "n_routed_experts": 8,
        "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1}),
    "distilbert": lambda: language("DistilBert", "Model", {}),
    "roberta": lambda: language("Roberta", "Model", {}),
    "albert": lambda: language("Albert", "Model", {"hidden_size": 768, "num_attention_heads": 12,
                                                   "intermediate_size": 3072}),
    "electra": lambda: language("Electra", "Model", {}),
    "opt": lambda: language("OPT", "ForCausalLM", {}),
    "gpt-neox": lambda: language("GPTNeoX", "ForCausalLM", {
        "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 2048}),
    "bloom": lambda: language("Bloom", "ForCausalLM", {"vocab_size": 8000, "hidden_size": 256, "n_layer": 4,
                                                       "n_head": 8}),
    "mamba": lambda: language("Mamba", "ForCausalLM", {"hidden_size": 256, "num_hidden_layers": 4, "vocab_size": 8000},
                              32),
    "mamba2": lambda: language("Mamba2", "ForCausalLM", {
        "hidden_size": 256, "num_hidden_layers": 4, "num_heads": 8, "head_dim": 64, "vocab_size": 8000, "n_groups": 1,
        "state_size": 64}),
    "t5": lambda: transformed("T5", "ForConditionalGeneration", {
        "d_model": 512, "num_layers": 6, "num_heads": 8, "d_ff": 2048, "use_cache": False},
        input_ids=tokens(1, 64), decoder_input_ids=tokens(1, 32)),
    "bart": lambda: transformed("Bart", "ForConditionalGeneration", {
        "d_model": 256, "encoder_layers": 3, "decoder_layers": 3, "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024,
        "encoder_attention_heads": 4, "decoder_attention_heads": 4, "use_cache": False},
        input_ids=tokens(1, 64), decoder_input_ids=tokens(1, 32)),
    "whisper": lambda: transformed("Whisper", "ForConditionalGeneration", {
        "d_model": 384, "encoder_layers": 4, "decoder_layers": 4, "use_cache": False},
        input_features=torch.randn(1, 80, 3000), decoder_input_ids=tokens(1, 32)),
    "wav2vec2": lambda: transformed("Wav2Vec2", "ForCTC", {"num_hidden_layers": 4}, input_values=torch.randn(1, 16000)),
    "clip": lambda: transformed("CLIP", "Model", {}, input_ids=tokens(2, 16), **IMAGE,
                                attention_mask=torch.ones(2, 16, dtype=torch.long)),
    "yolos": lambda: transformed("Yolos", "ForObjectDetection", {
        "hidden_size": 192, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 768,
        "image_size": [224, 224]}, **IMAGE),
    "segformer": lambda: transformed("Segformer", "ForSemanticSegmentation", {}, **IMAGE),
    "dpt": lambda: transformed("DPT", "ForDepthEstimation", {
        "num_hidden_layers": 12, "hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768,
        "image_size": 224, "neck_hidden_sizes": [24, 48, 96, 96], "fusion_hidden_size": 64}, **IMAGE),
    "vit": lambda: timm_model("vit_small_patch16_224"),
    "deit": lambda: timm_model("deit_tiny_distilled_patch16_224"),
    "swin-timm": lambda: timm_model("swin_tiny_patch4_window7_224"),
    "convnext": lambda: timm_model("convnext_tiny"),
    "efficientnet": lambda: timm_model("efficientnet_b0"),
    "mixer": lambda: timm_model("mixer_s16_224"),
    "nfnet": lambda: timm_model("nf_resnet50"),
    "coatnet": lambda: timm_model("coatnet_0_rw_224"),
    "resnet50": lambda: vision("resnet50"),
    "mobilenet-v3": lambda: vision("mobilenet_v3_large"),
    "shufflenet": lambda: vision("shufflenet_v2_x1_0"),
    "densenet": lambda: vision("densenet121"),
    "inception": lambda: vision("inception_v3", 3, 299, 299, init_weights=False),
    "swin": lambda: vision("swin_t"),
    "swin-v2": lambda: vision("swin_v2_t", 3, 256, 256),
    "maxvit": lambda: vision("maxvit_t"),
    "deeplab": lambda: vision("deeplabv3_resnet50", 3, 128, 128, weights_backbone=None),
    "retinanet": lambda: (Head().eval(), (torch.randn(1, 3, 256, 256),), {}),
    "r3d": lambda: vision("r3d_18", 3, 8, 56, 56),
    "raft": lambda: (vision("raft_small")[0], (torch.randn(1, 3, 128, 128),) * 2, {"num_flow_updates": 3}),
    "unet of stable diffusion": lambda: diffusion("UNet2DConditionModel", {
        "sample_size": 32, "block_out_channels": (64, 128, 256, 256), "cross_attention_dim": 256,
        "attention_head_dim": 8, "norm_num_groups": 32},
        torch.randn(1, 4, 32, 32), torch.tensor(3), torch.randn(1, 16, 256)),
    "vae": lambda: diffusion("AutoencoderKL", {
        "block_out_channels": (64, 128), "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2}, torch.randn(1, 3, 64, 64)),
    "dit": lambda: diffusion("DiTTransformer2DModel", {
        "num_attention_heads": 8, "attention_head_dim": 48, "num_layers": 4, "sample_size": 32},
        torch.randn(1, 4, 32, 32), torch.tensor([3]), torch.tensor([1])),
    "dlrm": lambda: (Recommender().eval(), (torch.randn(64, 13), tokens(26, 64, 4)), {}),
    "lstm": lambda: (Recurrent().eval(), (tokens(4, 32),), {}),
    "nn.Transformer": lambda: (nn.Transformer(256, 8, 2, 2, 1024, batch_first=True).eval(),
                               (torch.randn(2, 32, 256), torch.randn(2, 16, 256)), {}),
}  # fmt: skip

PUBLISHED: dict[str, Callable[[], Model]] = {
    "Mixtral-8x7B, 512 tokens": lambda: language("Mixtral", "ForCausalLM", {}, 512, "meta"),
    "Qwen3-30B-A3B, 512 tokens": lambda: language("Qwen3Moe", "ForCausalLM", {
        "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4,
        "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
        "num_experts_per_tok": 8, "vocab_size": 151_936, "norm_topk_prob": True}, 512, "meta"),
    "DeepSeek-V3, 512 tokens": lambda: language("DeepseekV3", "ForCausalLM", {}, 512, "meta"),
    "Llama-3-8B, 512 tokens": lambda: language("Llama", "ForCausalLM", {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256}, 512, "meta"),
}  # fmt: skip
"""Published configurations, without data: their FLOPs are compared with a count by hand alone."""
