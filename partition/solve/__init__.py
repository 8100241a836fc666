"""The front door: one question in, one result out, in one process or several.

What a result can do beyond its figures (its page, reading it back) is bound to it by the modules imported here.
"""

import partition.report
import partition.results.saved  # noqa: F401
from partition.results.result import Result

__all__ = ["Result"]
