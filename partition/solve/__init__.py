"""The front door: one question in, one result out, in one process or several."""

import partition.report  # noqa: F401  (binds Result.to_html)
