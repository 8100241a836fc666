"""Text from files as it may stand on a terminal: one line, no control characters, not endless."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from reprlib import Repr

LONGEST = 2000
"""Characters of a line; the middle of a longer one is left out."""


def printable(text: str, at_most: int = LONGEST) -> str:
    """The text on one line, with escapes in place of whatever a terminal or a log would act on.

    Control characters (escape sequences, line ends), invisible and direction-changing ones and lone surrogates become
    what Python writes for them (``\\x1b``, ``\\n``, ``\\u202e``). Of a long text the middle is left out: sentences
    say at their end what to do.
    """
    text = _shortened(text, at_most)  # before, so that escaping is cheap
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return _shortened(text, at_most)


def _shortened(text: str, at_most: int) -> str:
    tail = at_most // 4
    return text if len(text) <= at_most else f"{text[: at_most - tail - 5]} ... {text[len(text) - tail :]}"


def shown(value: object, at_most: int = 60) -> str:
    """The value as it may stand in a sentence, cut where it is long or nested deeply."""
    short = Repr()
    short.maxlevel, short.maxdict, short.maxlist, short.maxtuple, short.maxset = 4, 8, 8, 8, 8
    short.maxstring = short.maxlong = short.maxother = at_most
    written = short.repr(value)
    return written if len(written) <= at_most else f"{written[: at_most - 3]}..."


def meant(given: str, names: Iterable[str]) -> str:
    """`` (did you mean 'name'?)`` for the name that is nearest, or nothing where none is near."""
    known = {name.lower(): name for name in names}
    close = difflib.get_close_matches(given.lower(), known, n=1)
    return f" (did you mean {known[close[0]]!r}?)" if close else ""
