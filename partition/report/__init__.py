"""A result for people: a self-contained page, what a notebook shows, and the same figures as matplotlib axes.

``Result.to_html`` and ``Result._repr_html_`` are bound here, so that results need no report; the front door imports
this package.
"""

from partition.report.figures import convergence, loads, sram, traffic
from partition.report.notebook import notebook_html
from partition.report.page import to_html
from partition.results.result import Result

__all__ = ["Result", "convergence", "loads", "sram", "to_html", "traffic"]

Result.to_html = to_html
Result._repr_html_ = notebook_html
