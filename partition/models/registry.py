"""The built-in models by name, and how a text such as ``bert-large:seq=384,batch=2`` becomes a graph."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from partition.errors import InvalidInput
from partition.models.catalogue import CATALOGUE
from partition.models.info import ModelInfo, Parameter, Value
from partition.models.training import OPTIMIZERS, training_graph
from partition.problem.graph import Graph
from partition.text import meant

MODELS: Mapping[str, ModelInfo] = MappingProxyType({info.name: info for info in CATALOGUE})
"""The built-in models by name."""


TRAINING = Parameter("training", "none", "one training step instead of inference", ("none", *OPTIMIZERS))
"""The parameter that every model takes."""


def available() -> list[ModelInfo]:
    """The built-in models."""
    return list(MODELS.values())


def build(spec: str) -> Graph:
    """Build a built-in model.

    Parameters
    ----------
    spec : a name, or a name and parameters: ``bert-large``, ``bert-large:seq=384,batch=2``. Every model also takes
        ``training=sgd`` or ``training=adam``: the graph of a training step (:mod:`partition.models.training`).

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
            f"unknown model {name!r}{meant(name, list(MODELS))}; the built-in models are {', '.join(MODELS)}"
        )
    info = MODELS[name]
    values = info.defaults | {TRAINING.name: TRAINING.default} | (_parse(info, settings) if colon else {})
    parameters = (*info.parameters, TRAINING)
    changed = [f"{p.name}={values[p.name]}" for p in parameters if values[p.name] != p.default]
    optimizer = str(values.pop(TRAINING.name))
    full_name = ":".join([name, ",".join(changed)]) if changed else name
    graph = info.construct(full_name, values)
    return graph if optimizer == TRAINING.default else training_graph(graph, optimizer, name=full_name)


def _parse(info: ModelInfo, settings: str) -> dict[str, Value]:
    """``seq=384,batch=2`` as values."""
    known = {p.name: p for p in (*info.parameters, TRAINING)}
    values: dict[str, Value] = {}
    for setting in settings.split(","):
        key, equals, text = (part.strip() for part in setting.partition("="))
        if not (key and equals):
            raise InvalidInput(
                f"{setting!r} is not a setting of {info.name}; write NAME=VALUE with commas between, as in batch=2"
            )
        if key not in known:
            raise InvalidInput(
                f"{info.name} has no parameter {key!r}{meant(key, list(known))}; its parameters are {', '.join(known)}"
            )
        if key in values:
            raise InvalidInput(f"parameter {key!r} of {info.name} is given twice; give it once")
        try:
            values[key] = known[key].parse(text)
        except ValueError:
            raise InvalidInput(f"{key}={text:.40} is not allowed for {info.name}; give {known[key].allowed}") from None
    return values
