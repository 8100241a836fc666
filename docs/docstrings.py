"""Reads the library's docstrings for the reference: ``name : what it is``, whose type is the annotation's business."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension

_ROLE = re.compile(r":\w+:`~?([\w.]+)`")
_SECTION = re.compile(r"^(Parameters|Attributes|Returns|Raises)\n-+\n((?:.+\n?)*)", re.M)
_ENTRY = re.compile(r"^(\S.*?) : (.*(?:\n    .*)*)", re.M)
_BESIDE = re.compile(r"(?<=\.)\s+(?=[a-z_]+(?:, [a-z_]+)* : )")
"""Between two entries of one line."""


def _laid_out(section: re.Match[str]) -> str:
    """Names on lines of their own, as numpydoc has them where a type is not written out."""
    title, body = section[1], section[2]
    if title == "Returns":
        return section[0] if re.search(r"^    ", body, re.M) else f"Returns\n-------\n:\n    {' '.join(body.split())}\n"
    entries = _ENTRY.sub(lambda e: f"{e[1]}\n    " + " ".join(e[2].split()), _BESIDE.sub("\n", body))
    return f"{title}\n{'-' * len(title)}\n{entries}"


class Docstrings(Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring is not None:
            text = _ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = _SECTION.sub(_laid_out, text)
