"""The built-in models: names, hyper-parameters with their defaults, sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from partition.errors import InvalidInput
from partition.models.bert import EXPORTS, Bert
from partition.models.cnns import DENSE_BLOCKS, VGG_STAGES, Images, densenet, inception, mobilenet, vgg
from partition.models.gnmt import Gnmt
from partition.models.info import ModelInfo, Parameter, Value
from partition.models.randwire import RandWire
from partition.models.recommenders import Recommender
from partition.models.recurrent import GATES, Rnn
from partition.models.resnet import DEPTHS, ResNet
from partition.models.tracer import ITEMSIZE
from partition.models.transformers import Experts, Transformer, gpt, llama, moe, t5, vit
from partition.models.unet import UNet
from partition.problem.graph import Graph

_BATCH = Parameter("batch", 1, "samples per input")
_DTYPE = Parameter("dtype", "bfloat16", "number type of weights and activations", choices=tuple(ITEMSIZE))
_BERT_PAPER = "Devlin et al., NAACL 2019 (arXiv 1810.04805)"


def _bert(layers: int, hidden: int, heads: int, intermediate: int) -> tuple[Parameter, ...]:
    return (
        _BATCH,
        Parameter("seq", 128, "tokens per sequence"),
        _DTYPE,
        Parameter("export", "dynamic", "which exporter's operators (docs/models.md)", tuple(EXPORTS)),
        Parameter("layers", layers, "encoder layers", largest=1000),
        Parameter("hidden", hidden, "width of a token"),
        Parameter("heads", heads, "attention heads; hidden must be a multiple"),
        Parameter("intermediate", intermediate, "width of the feed-forward layer"),
        Parameter("vocab", 30522, "words"),
    )


def _construct_bert(name: str, values: Mapping[str, Value]) -> Graph:
    settings, itemsize = _without_dtype(values)
    return Bert(**settings, itemsize=itemsize).graph(name)  # type: ignore[arg-type]


def _construct_gnmt(name: str, values: Mapping[str, Value]) -> Graph:
    settings, itemsize = _without_dtype(values)
    fused = settings.pop("cells") == "fused"
    return Gnmt(**settings, fused=fused, itemsize=itemsize).graph(name)  # type: ignore[arg-type]


def _construct_resnet50(name: str, values: Mapping[str, Value]) -> Graph:
    settings, itemsize = _without_dtype(values)
    return ResNet(depth="50", **settings, itemsize=itemsize).graph(name)  # type: ignore[arg-type]


def _construct_unet(name: str, values: Mapping[str, Value]) -> Graph:
    settings, itemsize = _without_dtype(values)
    return UNet(**settings, itemsize=itemsize).graph(name)  # type: ignore[arg-type]


def _without_dtype(values: Mapping[str, Value]) -> tuple[dict[str, Value], float]:
    settings = dict(values)
    return settings, ITEMSIZE[str(settings.pop("dtype"))]


_IMAGES = (
    _BATCH,
    Parameter("size", 224, "height and width of an image in pixels", largest=100_000),
    Parameter("classes", 1000, "classes told apart"),
)


def _transformer(
    layers: int, hidden: int, heads: int, kv_heads: int, intermediate: int, vocab: int, *, seq: int
) -> tuple[Parameter, ...]:
    return (
        _BATCH,
        Parameter("seq", seq, "tokens per sequence"),
        Parameter("layers", layers, "of each stack", largest=1000),
        Parameter("hidden", hidden, "width of a token"),
        Parameter("heads", heads, "attention heads; hidden must be a multiple"),
        Parameter("kv_heads", kv_heads, "heads with keys of their own; a divisor of heads"),
        Parameter("intermediate", intermediate, "width of the feed-forward layer"),
        Parameter("vocab", vocab, "words"),
        _DTYPE,
    )


def _recommender(tables: int, depth: int, towers: int, tasks: int) -> tuple[Parameter, ...]:
    return (
        Parameter("batch", 128, "samples per input"),
        Parameter("tables", tables, "embedding tables", largest=10_000),
        Parameter("rows", 100_000, "of a table", largest=1_000_000_000),
        Parameter("width", 64, "of an embedding"),
        Parameter("hidden", 1024, "width of a tower's layers"),
        Parameter("depth", depth, "layers of a tower", largest=1000),
        Parameter("towers", towers, "experts side by side", largest=1000),
        Parameter("tasks", tasks, "outputs", largest=1000),
        _DTYPE,
    )


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    """The values as an architecture takes them: bytes of an element instead of the number type."""
    settings, itemsize = _without_dtype(values)
    return {**settings, "itemsize": itemsize}


def _images(architecture: Callable[..., Graph], name: str, values: Mapping[str, Value], *more: str) -> Graph:
    settings = _plain(values)
    extra = {key: settings.pop(key) for key in more}
    return architecture(Images(**settings), name, **extra)


def _construct_vit(name: str, values: Mapping[str, Value]) -> Graph:
    settings = _plain(values)
    image = {key: settings.pop(key) for key in ("size", "patch", "classes")}
    if image["size"] % image["patch"]:
        raise InvalidInput(
            f"size={image['size']} cannot be cut into patches of {image['patch']}; choose a multiple of it"
        )
    settings |= {"seq": (image["size"] // image["patch"]) ** 2, "vocab": 1, "kv_heads": settings["heads"]}
    return vit(Transformer(**settings), name, **image)


def _construct_rnn(name: str, values: Mapping[str, Value]) -> Graph:
    settings = _plain(values)
    both = settings.pop("directions") == "both"
    return Rnn(**settings, both=both).graph(name)


CATALOGUE = (
    ModelInfo(
        "bert-base",
        "BERT, 12 layers, question-answering head, as PyTorch exports it",
        _BERT_PAPER,
        _bert(12, 768, 12, 3072),
        _construct_bert,
    ),
    ModelInfo(
        "bert-large",
        "BERT, 24 layers, question-answering head, as PyTorch exports it",
        _BERT_PAPER,
        _bert(24, 1024, 16, 4096),
        _construct_bert,
    ),
    ModelInfo(
        "resnet50",
        "ResNet-50, batch normalisation folded into the convolutions",
        "He et al., CVPR 2016 (arXiv 1512.03385)",
        (
            _BATCH,
            Parameter("size", 224, "height and width of an image in pixels", largest=100_000),
            Parameter("classes", 1000, "classes told apart"),
            _DTYPE,
        ),
        _construct_resnet50,
    ),
    ModelInfo(
        "unet",
        "U-Net with padded convolutions and four skip connections",
        "Ronneberger et al., MICCAI 2015 (arXiv 1505.04597)",
        (
            _BATCH,
            Parameter("size", 256, "height and width of an image in pixels; a multiple of 2^depth", largest=100_000),
            Parameter("channels", 64, "channels of the first level"),
            Parameter("depth", 4, "times the image is halved", largest=12),
            Parameter("inputs", 1, "channels of an image"),
            Parameter("classes", 2, "classes of a pixel"),
            _DTYPE,
        ),
        _construct_unet,
    ),
    ModelInfo(
        "gnmt",
        "GNMT, 8 encoder and 8 decoder LSTM layers with attention, unrolled over time",
        "Wu et al., 2016 (arXiv 1609.08144)",
        (
            _BATCH,
            Parameter("seq", 32, "words per sentence, all unrolled", largest=1000),
            Parameter("layers", 8, "of the encoder, and of the decoder", largest=100),
            Parameter("hidden", 1024, "width of embeddings and states"),
            Parameter("vocab", 32000, "words of each language"),
            Parameter("cells", "fused", "a step of a layer as one operation or as 14", ("fused", "split")),
            _DTYPE,
        ),
        _construct_gnmt,
    ),
    ModelInfo(
        "resnet",
        "ResNet of any of its depths, batch normalisation folded into the convolutions",
        "He et al., CVPR 2016 (arXiv 1512.03385)",
        (Parameter("depth", "101", "layers", tuple(DEPTHS)), *_IMAGES, _DTYPE),
        lambda name, values: ResNet(**_plain(values)).graph(name),
    ),
    ModelInfo(
        "densenet",
        "DenseNet: every layer of a block reads all before it",
        "Huang et al., CVPR 2017 (arXiv 1608.06993)",
        (
            Parameter("depth", "121", "layers", tuple(DENSE_BLOCKS)),
            Parameter("growth", 32, "channels of a layer"),
            *_IMAGES,
            _DTYPE,
        ),
        lambda name, values: _images(densenet, name, values, "depth", "growth"),
    ),
    ModelInfo(
        "inception",
        "GoogLeNet (Inception-v1): nine modules of four branches",
        "Szegedy et al., CVPR 2015 (arXiv 1409.4842)",
        (*_IMAGES, _DTYPE),
        lambda name, values: _images(inception, name, values),
    ),
    ModelInfo(
        "mobilenet",
        "MobileNetV2: inverted residuals of separable convolutions",
        "Sandler et al., CVPR 2018 (arXiv 1801.04381)",
        (Parameter("width", 100, "of all layers, in percent", largest=1000), *_IMAGES, _DTYPE),
        lambda name, values: _images(mobilenet, name, values, "width"),
    ),
    ModelInfo(
        "vgg",
        "VGG: convolutions in a row and three linear layers",
        "Simonyan & Zisserman, ICLR 2015 (arXiv 1409.1556)",
        (
            Parameter("depth", "16", "layers", tuple(VGG_STAGES)),
            Parameter("hidden", 4096, "width of the linear layers"),
            *_IMAGES,
            _DTYPE,
        ),
        lambda name, values: _images(vgg, name, values, "depth", "hidden"),
    ),
    ModelInfo(
        "gpt",
        "GPT-2, decoder alone",
        "Radford et al., 2019",
        _transformer(12, 768, 12, 12, 3072, 50257, seq=128),
        lambda name, values: gpt(Transformer(**_plain(values)), name),
    ),
    ModelInfo(
        "llama",
        "Llama 2, decoder with rotary positions and gated feed-forward layers",
        "Touvron et al., 2023 (arXiv 2307.09288)",
        _transformer(32, 4096, 32, 32, 11008, 32000, seq=128),
        lambda name, values: llama(Transformer(**_plain(values)), name),
    ),
    ModelInfo(
        "t5",
        "T5, encoder and decoder",
        "Raffel et al., JMLR 2020 (arXiv 1910.10683)",
        _transformer(12, 768, 12, 12, 3072, 32128, seq=128),
        lambda name, values: t5(Transformer(**_plain(values)), name),
    ),
    ModelInfo(
        "moe",
        "Decoder of mixtures of experts, as Mixtral's",
        "Jiang et al., 2024 (arXiv 2401.04088)",
        (
            Parameter("experts", 8, "of a layer", largest=1000),
            Parameter("chosen", 2, "experts for a token"),
            *_transformer(8, 1024, 16, 4, 2048, 32000, seq=128),
        ),
        lambda name, values: moe(Experts(**_plain(values)), name),
    ),
    ModelInfo(
        "vit",
        "Vision transformer, encoder of the patches of an image",
        "Dosovitskiy et al., ICLR 2021 (arXiv 2010.11929)",
        (
            _BATCH,
            Parameter("size", 224, "height and width of an image in pixels; a multiple of patch", largest=100_000),
            Parameter("patch", 16, "height and width of a patch in pixels"),
            Parameter("layers", 12, "of the encoder"),
            Parameter("hidden", 768, "width of a token"),
            Parameter("heads", 12, "attention heads; hidden must be a multiple"),
            Parameter("intermediate", 3072, "width of the feed-forward layer"),
            Parameter("classes", 1000, "classes told apart"),
            _DTYPE,
        ),
        _construct_vit,
    ),
    ModelInfo(
        "rnn",
        "Language model of LSTM or GRU layers, unrolled over time",
        "Hochreiter & Schmidhuber, 1997; Cho et al., 2014 (arXiv 1406.1078)",
        (
            _BATCH,
            Parameter("seq", 32, "steps, all unrolled", largest=1000),
            Parameter("layers", 4, "one above the other", largest=100),
            Parameter("hidden", 1024, "width of embeddings and states"),
            Parameter("vocab", 32000, "words"),
            Parameter("cell", "lstm", "kind of cell", tuple(GATES)),
            Parameter("directions", "one", "every layer forward, or both ways", ("one", "both")),
            _DTYPE,
        ),
        _construct_rnn,
    ),
    ModelInfo(
        "dlrm",
        "DLRM, recommender of many embedding tables and the products of all pairs",
        "Naumov et al., 2019 (arXiv 1906.00091)",
        _recommender(tables=26, depth=3, towers=1, tasks=1),
        lambda name, values: Recommender(**_plain(values)).dlrm(name),
    ),
    ModelInfo(
        "towers",
        "Recommender of several towers and tasks, joined by gates (MMoE)",
        "Ma et al., KDD 2018",
        _recommender(tables=16, depth=3, towers=8, tasks=4),
        lambda name, values: Recommender(**_plain(values)).mmoe(name),
    ),
    ModelInfo(
        "randwire",
        "Convolutional network of randomly wired stages",
        "Xie et al., ICCV 2019 (arXiv 1904.01569)",
        (
            _BATCH,
            Parameter("size", 224, "height and width of an image in pixels", largest=100_000),
            Parameter("classes", 1000, "classes told apart"),
            Parameter("channels", 78, "of the first stage"),
            Parameter("stages", 3, "stages", largest=10),
            Parameter("nodes", 32, "of a stage", largest=1000),
            Parameter("neighbours", 4, "of a node in the ring lattice"),
            Parameter("rewired", 75, "edges rewired, in percent", largest=100),
            Parameter("seed", 1, "of the wiring"),
            _DTYPE,
        ),
        lambda name, values: RandWire(**_plain(values)).graph(name),
    ),
)
"""All built-in models, in the order in which they are listed."""
