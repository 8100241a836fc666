"""What breaks a rule or a wish."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One broken rule.

    Attributes
    ----------
    rule : ``acyclic``, ``no_skipping``, ``triangle``, ``memory``, ``dynamic_memory``, ``colocation``,
        ``replication``, ``relays`` or ``support``; of wishes ``pin``, ``forbid``, ``together``, ``cut``,
        ``granularity`` or ``max_stages``.
    message : one sentence.
    operations, tensors : names involved.
    chips : chip numbers involved.
    """

    rule: str
    message: str
    operations: tuple[str, ...] = ()
    chips: tuple[int, ...] = ()
    tensors: tuple[str, ...] = ()
