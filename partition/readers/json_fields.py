"""Parsed JSON, field by field; every error names the field by its path (``operations[3].flops``).

The functions take the object, the field's key and ``where`` the object stands; without a default the field is required.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from partition.arrays import FloatArray
from partition.errors import InvalidGraph, InvalidModelFile
from partition.files import LARGEST_JSON, read_bounded
from partition.text import shown


def parse_file(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds; raises InvalidModelFile."""
    try:
        content = read_bounded(path, LARGEST_JSON).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidModelFile(f"cannot read {shown(str(path), 300)} as JSON: {reason}") from error
    return parse_text(content, repr(str(path)))


def parse_text(content: str, what: str) -> dict[str, Any]:
    """The JSON object that ``content`` states; raises InvalidModelFile, which calls it ``what``."""
    try:
        data = json.loads(content, object_pairs_hook=_without_repeats)
    except InvalidModelFile as error:
        raise InvalidModelFile(f"cannot use {what}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidModelFile(f"cannot read {what} as JSON: {error}") from error
    if not isinstance(data, dict):
        raise InvalidModelFile(f"{what} holds a JSON {type(data).__name__}; it must hold an object")
    if re.search(r"\\u[dD][89a-fA-F]", content) and (broken := _lone_surrogate(data)) is not None:
        raise InvalidModelFile(f"{what} holds the text {shown(broken)}, half of a character; give whole characters")
    return data


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json.loads would keep the last of two equal keys without a word.
    row = dict(pairs)
    if len(row) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidModelFile(f"an object gives field {shown(twice)} twice; give it once")
    return row


def _lone_surrogate(data: dict[str, Any]) -> str | None:
    """A text that no file or terminal can take: JSON may escape one half of a character alone."""
    stack: list[Any] = [data]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                return value
        elif isinstance(value, dict):
            stack += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            stack += value
    return None


def text(row: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    """A field that holds text."""
    value = _value(row, key, where, default)
    if not isinstance(value, str):
        raise InvalidModelFile(f"{at(where, key)} is {shown(value)}; it must be text")
    return value


def texts(row: Mapping[str, Any], key: str, where: str) -> list[str]:
    """A field that holds a list of names, by default none."""
    value = row.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidModelFile(f"{at(where, key)} is {shown(value)}; it must be a list of names")
    return value


def flag(row: Mapping[str, Any], key: str, where: str, default: bool | None = None, *, numeric: bool = False) -> bool:
    """A field that holds true or false; with ``numeric`` 1 and 0 count as these."""
    value = _value(row, key, where, default)
    if not isinstance(value, bool) and not (numeric and isinstance(value, int) and value in (0, 1)):
        raise InvalidModelFile(f"{at(where, key)} is {shown(value)}; it must be true or false")
    return bool(value)


def amount(row: Mapping[str, Any], key: str, where: str, default: float | None = None) -> float:
    """A field that holds a finite number >= 0."""
    value = _value(row, key, where, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidModelFile(f"{at(where, key)} is {shown(value)}; it must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number >= 0):
        raise InvalidGraph(f"{at(where, key)} is {shown(value)}; it must be a finite number >= 0")
    return number


def amounts(rows: list[dict[str, Any]], where: str, key: str, default: float | None = None) -> FloatArray:
    """(len(rows),) the same field of each row of list ``where``."""
    return np.array([amount(row, key, f"{where}[{i}]", default) for i, row in enumerate(rows)], dtype=np.float64)


def objects(data: Mapping[str, Any], key: str, *, required: bool = False) -> list[dict[str, Any]]:
    """A field that holds a list of objects."""
    value = _value(data, key, "", None if required else [])
    if not isinstance(value, list):
        raise InvalidModelFile(f"{key} is {shown(value)}; it must be a list of objects")
    for i, item in enumerate(value):
        if not isinstance(item, dict):
            raise InvalidModelFile(f"{key}[{i}] is {shown(item)}; it must be an object")
    return value


def only(row: Mapping[str, Any], where: str, known: frozenset[str]) -> None:
    """Refuse fields other than ``known``."""
    if not known.issuperset(row):
        unknown = min(set(row) - known)
        raise InvalidModelFile(f"unknown field {at(where, unknown)}; known are {', '.join(sorted(known))}")


def at(where: str, key: str) -> str:
    """Path of a field."""
    return f"{where}.{key}" if where else key


def _value(row: Mapping[str, Any], key: str, where: str, default: Any) -> Any:
    if key in row:
        return row[key]
    if default is None:
        raise InvalidModelFile(f"{at(where, key)} is missing; give it")
    return default
