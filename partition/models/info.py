"""What the registry knows of a built-in model: its name, its hyper-parameters, and how to construct it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from partition.problem.graph import Graph

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
