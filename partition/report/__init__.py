"""A result for people: a self-contained page, and the same figures as matplotlib axes."""

from partition.report.figures import convergence, loads, sram, traffic
from partition.report.page import to_html

__all__ = ["convergence", "loads", "sram", "to_html", "traffic"]
