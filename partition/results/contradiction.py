"""Why no placement keeps all wishes: the wishes and rules that contradict each other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Contradiction:
    """Wishes and rules that no placement keeps together.

    Attributes
    ----------
    wishes : in words, such as ``'a' is on chip 2``.
    rules : names of switches of the package, and ``throughput`` where one was required.
    irreducible : whether, without any one of them, a placement was found that keeps all the others; False where time
        was up before that was known of each.
    """

    wishes: tuple[str, ...]
    rules: tuple[str, ...]
    irreducible: bool

    def sentence(self) -> str:
        """All of them in one sentence."""
        listed = [*self.wishes, *(f"rule {name}" if name != "throughput" else "the throughput" for name in self.rules)]
        if len(listed) == 1:
            return f"no placement keeps this wish: {listed[0]}"
        end = "and without any one of them the others can be kept" if self.irreducible else "perhaps fewer of them too"
        return f"these contradict each other, {end}: {'; '.join(listed)}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
