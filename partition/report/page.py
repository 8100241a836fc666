"""The page: one HTML file with data, style and program inside, no network."""

from __future__ import annotations

import base64
import html
import json
from hashlib import sha256
from importlib import resources
from os import PathLike
from string import Template
from typing import TYPE_CHECKING

from partition.files import write_atomically
from partition.report.data import report_data
from partition.text import printable

if TYPE_CHECKING:
    from partition.results.result import Result

_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
"""Characters that could end the element in which the data sits; JSON has them as escapes too."""

PROGRAM = ("page.js", "charts.js", "package.js", "graph.js")
"""Parts of the program, one after the other."""


def to_html(result: Result, path: str | PathLike[str] | None = None, *, command: str = "") -> str:
    """The page as text, also written to ``path`` if given (atomically).

    Parameters
    ----------
    command : how to get the same result again, shown on the page.

    Raises
    ------
    InvalidInput : the file cannot be written.
    """
    data = json.dumps(report_data(result, command), allow_nan=False, separators=(",", ":"))
    for character, escape in _UNSAFE.items():
        data = data.replace(character, escape)
    folder = resources.files("partition.report")
    files = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *PROGRAM)}
    program = "\n".join(['"use strict";', *(files[name] for name in PROGRAM), "finish();"])
    text = Template(files["page.html"]).substitute(
        title=html.escape(printable(f"{result.graph.name} on {result.hardware.name}")),
        style=files["page.css"],
        program=program,
        digest=base64.b64encode(sha256(f"\n{program}\n".encode()).digest()).decode(),  # no other script may run
        data=data,
    )
    if path is not None:
        write_atomically(path, text)
    return text
