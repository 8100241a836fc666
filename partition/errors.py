"""The exceptions of the library: each carries one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

from partition.text import printable


class PartitionError(Exception):
    """Base of every error the library raises on purpose.

    Messages quote names and values from files, and other libraries' errors about them: all are made printable here, so
    that no file can write to a terminal or forge a second line of a log.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InvalidInput(PartitionError, ValueError):
    """Something the caller handed in cannot be used (exit code 2 on the command line)."""


class InvalidGraph(InvalidInput):
    """The operations, tensors or weights do not form a valid graph."""


class InvalidModelFile(InvalidInput):
    """A model file cannot be read: corrupt, truncated, of another format, or with parts missing."""


class InvalidHardware(InvalidInput):
    """The hardware description is unknown, incomplete or contradicts itself."""


class InvalidAssignment(InvalidInput):
    """An assignment does not fit the graph or the hardware it is used with (not: it breaks a rule)."""


class Infeasible(PartitionError):
    """No valid assignment exists, and this is proved.

    Attributes
    ----------
    rule : name of the rule that cannot be kept.
    operations : names of the operations the proof speaks of (possibly empty).
    """

    def __init__(self, message: str, *, rule: str, operations: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.rule = rule
        self.operations = operations


class NoSolutionInTime(PartitionError):
    """The time limit passed before any valid assignment was found, and none was proved impossible."""


class StageFailed(PartitionError):
    """A stage of a running pipeline could not load or run its part, was killed, or hangs; it is named."""


class SolverError(PartitionError):
    """The MILP solver does not know what it was asked, or gave an answer that fails its check."""


class RefutedBound(UserWarning):
    """A proved bound turned out to be false and was withdrawn: a defect of the solver or of this library, to report."""


class SearchFault(RuntimeWarning):
    """A step of a search ended with an error of the library itself; the answer of the others and its bound hold."""


class DoubtfulModel(UserWarning):
    """A model file contradicts itself; the message says in what, and what is believed."""
