"""Discrete-event simulation of the pipelined package: what the cost model predicts, played out input by input."""

from partition.simulate.engine import simulate
from partition.simulate.outcome import Simulation, Span
from partition.simulate.trace import gantt, to_chrome_trace

__all__ = ["Simulation", "Span", "gantt", "simulate", "to_chrome_trace"]
