"""How a command ends: exit codes, one sentence for each error, Ctrl-C and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import click

from partition.commands.outputs import check_outputs
from partition.errors import DoubtfulModel, Infeasible, InvalidInput, NoSolutionInTime, PartitionError
from partition.stopping import Interrupts
from partition.text import printable

EXIT_RULE_BROKEN, EXIT_BAD_INPUT, EXIT_INFEASIBLE, EXIT_NO_SOLUTION, EXIT_TROUBLE, EXIT_INTERRUPTED = 1, 2, 3, 4, 5, 130


def one_sentence_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the library's exceptions into one line on stderr and the exit code that belongs to them."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            check_outputs(click.get_current_context())
            with _signals_handled() as interrupts, _doubts_in_a_line():
                try:
                    command(*args, **kwargs)
                except ImportError:
                    if interrupts.count:  # Ctrl-C while a library was being loaded, which tells of it in its own words
                        raise KeyboardInterrupt from None
                    raise
        except InvalidInput as error:
            fail(error, EXIT_BAD_INPUT)
        except Infeasible as error:
            fail(error, EXIT_INFEASIBLE)
        except NoSolutionInTime as error:
            fail(error, EXIT_NO_SOLUTION)
        except PartitionError as error:
            fail(error, 1)
        except MemoryError:
            fail("out of memory", 1)
        except KeyboardInterrupt:
            fail("interrupted", EXIT_INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(0)

    return wrapped


def fail(error: object, code: int) -> None:
    """End the command with one sentence on stderr."""
    say(f"error: {' '.join(str(error).split())}", err=True)
    sys.exit(code)


def say(line: str, *, err: bool = False) -> None:
    """One line for people: names in it come from files, and a terminal must not obey them."""
    click.echo(printable(line), err=err)


@contextlib.contextmanager
def _doubts_in_a_line() -> Iterator[None]:
    """Within, what a model file contradicts itself in is one line on stderr."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, DoubtfulModel):
            say(f"warning: {message}", err=True)
        else:
            usual(message, category, *where, **more)

    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", DoubtfulModel)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _signals_handled() -> Iterator[Interrupts]:
    """Within, Ctrl-C interrupts as always, and is counted; SIGTERM does the same, a solve ends with its best answer."""
    seen = Interrupts()
    handlers: dict[signal.Signals, Callable[..., object]] = {}
    if threading.current_thread() is threading.main_thread():
        handlers[signal.SIGTERM] = _interrupt
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else Ctrl-C is ignored, or somebody else's
            handlers[signal.SIGINT] = seen
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield seen
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)
