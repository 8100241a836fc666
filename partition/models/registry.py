"""The built-in models by name, and how a text such as ``bert-large:seq=384,batch=2`` becomes a graph."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from partition.errors import InvalidInput
from partition.graph import Graph
from partition.models.bert import EXPORTS, Bert
from partition.models.gnmt import Gnmt
from partition.models.resnet import ResNet50
from partition.models.tracer import ITEMSIZE
from partition.models.unet import UNet

Value = int | str


@dataclass(frozen=True)
class Parameter:
    """One hyper-parameter that the text may set.

    Attributes
    ----------
    name, meaning : shown to the user.
    default : an int, or one of ``choices``.
    choices : allowed values; empty where the parameter is a whole number.
    largest : of whole numbers; the smallest is 1.
    """

    name: str
    default: Value
    meaning: str
    choices: tuple[str, ...] = ()
    largest: int = 1_000_000

    @property
    def allowed(self) -> str:
        """The values it takes, in words."""
        return f"one of {', '.join(self.choices)}" if self.choices else f"a whole number from 1 to {self.largest}"

    def parse(self, text: str) -> Value:
        """The value that ``text`` states; ValueError if it is not an allowed one."""
        if self.choices:
            if text not in self.choices:
                raise ValueError(text)
            return text
        if not (text.isascii() and text.isdigit() and len(text) < 12) or not 1 <= int(text) <= self.largest:
            raise ValueError(text)
        return int(text)


@dataclass(frozen=True)
class ModelInfo:
    """A built-in model.

    Attributes
    ----------
    name, description, paper : shown to the user.
    parameters : in the order in which they are written out.
    construct : from the graph's name and the values of all parameters to the graph.
    """

    name: str
    description: str
    paper: str
    parameters: tuple[Parameter, ...]
    construct: Callable[[str, Mapping[str, Value]], Graph]

    @property
    def defaults(self) -> dict[str, Value]:
        """Parameter -> default."""
        return {p.name: p.default for p in self.parameters}


def available() -> list[ModelInfo]:
    """The built-in models."""
    return list(MODELS.values())


def build(spec: str) -> Graph:
    """Build a built-in model.

    Parameters
    ----------
    spec : a name, or a name and parameters: ``bert-large``, ``bert-large:seq=384,batch=2``.

    Returns
    -------
    Graph
        Named by its ``spec`` without those parameters that have their default value.

    Raises
    ------
    InvalidInput : the model or a parameter is unknown, or a value is not allowed.
    """
    name, colon, settings = spec.strip().partition(":")
    if name not in MODELS:
        raise InvalidInput(
            f"unknown model {name!r}{_meant(name, list(MODELS))}; the built-in models are {', '.join(MODELS)}"
        )
    info = MODELS[name]
    values = info.defaults | (_parse(info, settings) if colon else {})
    changed = [f"{p.name}={values[p.name]}" for p in info.parameters if values[p.name] != p.default]
    return info.construct(":".join([name, ",".join(changed)]) if changed else name, values)


def _parse(info: ModelInfo, settings: str) -> dict[str, Value]:
    """``seq=384,batch=2`` as values."""
    known = {p.name: p for p in info.parameters}
    values: dict[str, Value] = {}
    for setting in settings.split(","):
        key, equals, text = (part.strip() for part in setting.partition("="))
        if not (key and equals):
            raise InvalidInput(
                f"{setting!r} is not a setting of {info.name}; write NAME=VALUE with commas between, as in batch=2"
            )
        if key not in known:
            raise InvalidInput(
                f"{info.name} has no parameter {key!r}{_meant(key, list(known))}; its parameters are {', '.join(known)}"
            )
        if key in values:
            raise InvalidInput(f"parameter {key!r} of {info.name} is given twice; give it once")
        try:
            values[key] = known[key].parse(text)
        except ValueError:
            raise InvalidInput(f"{key}={text:.40} is not allowed for {info.name}; give {known[key].allowed}") from None
    return values


def _meant(given: str, names: list[str]) -> str:
    close = difflib.get_close_matches(given.lower(), names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


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
    return ResNet50(**settings, itemsize=itemsize).graph(name)  # type: ignore[arg-type]


def _construct_unet(name: str, values: Mapping[str, Value]) -> Graph:
    settings, itemsize = _without_dtype(values)
    return UNet(**settings, itemsize=itemsize).graph(name)  # type: ignore[arg-type]


def _without_dtype(values: Mapping[str, Value]) -> tuple[dict[str, Value], float]:
    settings = dict(values)
    return settings, ITEMSIZE[str(settings.pop("dtype"))]


_ALL = (
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
)

MODELS: Mapping[str, ModelInfo] = MappingProxyType({info.name: info for info in _ALL})
"""The built-in models by name."""
