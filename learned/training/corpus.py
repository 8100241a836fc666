"""The corpus: built-in models of many architectures and sizes, to train, validate and test the policy on.

Xie et al. (MLSys 2022) have 66 models to train on, 5 to choose a checkpoint by and 16 to test, as here; families of
architectures do not cross from one part to another. So a test model is of a kind that the policy has never seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Split = Literal["training", "validation", "test"]


@dataclass(frozen=True)
class CorpusModel:
    """One model: what :func:`partition.models.build` makes of ``spec``, its family and the part it belongs to."""

    spec: str
    family: str
    split: Split


def _of(split: Split, specs: Iterable[str]) -> tuple[CorpusModel, ...]:
    return tuple(CorpusModel(spec, _FAMILY.get(spec.split(":")[0], spec.split(":")[0]), split) for spec in specs)


_FAMILY = {
    "resnet50": "residual CNN", "resnet": "residual CNN", "gpt": "decoder", "llama": "decoder", "rnn": "recurrent",
    "towers": "recommender", "dlrm": "recommender", "mobilenet": "separable CNN", "vgg": "plain CNN",
    "bert-base": "encoder", "bert-large": "encoder", "vit": "encoder of images", "t5": "encoder-decoder",
    "moe": "mixture of experts", "gnmt": "recurrent with attention", "densenet": "dense CNN",
    "inception": "branched CNN", "randwire": "random wiring",
}  # fmt: skip

_SMALL_LLAMA = "hidden=1024,heads=16,kv_heads=4,intermediate=2816"

CORPUS: tuple[CorpusModel, ...] = (
    *_of(
        "training",
        [
            *(f"gpt:layers={n}" for n in (2, 4, 6, 8, 12, 16)),
            *(f"gpt:seq={s},layers={n}" for s, n in ((32, 6), (256, 6), (512, 4), (1024, 3))),
            *(f"gpt:layers={n},hidden=1024,heads=16,kv_heads=16,intermediate=4096" for n in (4, 10, 24)),
            "gpt:layers=5,hidden=512,heads=8,kv_heads=8,intermediate=2048",
            "gpt:layers=10,hidden=512,heads=8,kv_heads=8,intermediate=2048,seq=256",
            *(f"llama:layers={n},{_SMALL_LLAMA}" for n in (2, 4, 8, 12, 16)),
            *(f"llama:seq={s},layers=6,{_SMALL_LLAMA}" for s in (32, 512)),
            "llama:layers=6,hidden=2048,heads=32,kv_heads=8,intermediate=5632",
            "llama:layers=4,hidden=2048,heads=16,kv_heads=16,intermediate=5632,seq=256",
            "resnet50",
            "resnet50:size=448",
            "resnet50:batch=2,size=160",
            *(f"resnet:depth={d}" for d in (18, 34, 101, 152)),
            *(f"resnet:depth={d},size=384" for d in (18, 34, 101)),
            *(f"resnet:depth={d},batch=8,size=128" for d in (18, 34, 152)),
            *(f"mobilenet:width={w}" for w in (50, 75, 100, 140)),
            *(f"mobilenet:width=100,size={s},batch={b}" for s, b in ((128, 8), (384, 1), (224, 16))),
            *(f"vgg:depth={d},hidden=1024" for d in (11, 13, 16, 19)),
            *(f"rnn:layers={n},seq={s}" for n, s in ((2, 16), (4, 16), (4, 32), (8, 12))),
            *(f"rnn:cell=gru,layers={n},seq={s},hidden=512" for n, s in ((2, 24), (6, 16), (3, 48))),
            *(f"rnn:directions=both,layers={n},seq={s},hidden=768" for n, s in ((2, 16), (4, 12))),
            *(f"unet:size={s}" for s in (128, 256, 512)),
            "unet:depth=5,channels=32,size=512",
            *(f"towers:towers={t},tasks={k}" for t, k in ((4, 2), (8, 4), (16, 2))),
            *(f"towers:towers={t},depth={d},tables=32,rows=20000" for t, d in ((6, 5), (12, 4))),
        ],
    ),
    *_of(
        "validation",
        [
            "vit",
            "vit:layers=6,size=384",
            "t5:layers=4",
            "t5:layers=6,seq=256,hidden=512,heads=8,kv_heads=8",
            "inception",
        ],
    ),
    *_of(
        "test",
        [
            "bert-base",
            "bert-large",
            "bert-base:layers=6,seq=384",
            "bert-base:export=decomposed",
            "gnmt:seq=16,hidden=768",
            "gnmt:seq=12,layers=4,hidden=512",
            "gnmt:seq=6,layers=4,cells=split",
            "densenet",
            "densenet:depth=169",
            "densenet:depth=201,size=320",
            "moe:layers=4",
            "moe:layers=6,experts=16,hidden=768,heads=12,intermediate=1024",
            "moe:layers=3,experts=32,hidden=512,heads=8,intermediate=1024",
            "randwire",
            "randwire:seed=2,nodes=48,channels=64",
            "randwire:seed=3,nodes=20,stages=4,channels=48",
        ],
    ),
)  # fmt: skip
"""All models of the corpus."""


def specs(split: Split) -> list[str]:
    """The models of one part."""
    return [model.spec for model in CORPUS if model.split == split]
