"""Every share of time of the search in one table: what a phase may spend, in parts of the time left when it begins.

The clock is that of the search (partition/stopping.py): seconds, or units of work. Modules read the table when they
spend (``budget.STRETCHES``), so that a change here is a change everywhere. What a step costs on that clock stands
beside the step; how long a model may take to write, in milp/formulation/building_time.py.
"""

from __future__ import annotations

# --- shares of the time left, in the order of the phases -----------------------------------------------------

STATIC_MEMORY = 0.3
"""The problem without dynamic memory, whose answer may fit as it is."""

TIGHTENING = 0.05
"""Finding inseparable neighbours, once."""

DOWN_SETS = 0.6
"""The search over down-sets, where transfers are free."""

COMPLETION = 0.25
"""Completing the best chain of ideals."""

BLOCKS = 0.1
"""The cheapest blocks around heavy nodes."""

TABU = 0.06
"""A first look around the best placement, before what takes the longer the worse that is."""

STRETCHES = 0.75
"""Stretches of the graph between waists."""

STRETCH_ATTEMPT = 0.65
"""One period of stretches, of what is left of :data:`STRETCHES`."""

STRETCH_STEP = 0.6
"""Largest part of the open gap that one threshold of stretches may close."""

FRONTIERS = 0.4
"""The program over frontiers."""

ADVICE = 0.1
"""Placements of an adviser."""

LOOKING_AROUND = 0.2
"""Each way of looking around the best placement, once the quick ways have failed."""

CAPACITY = 0.15
"""Bounds from block capacities, and questions about a pigeonhole set."""

CAPACITY_QUESTION = 0.2
"""One question about the most work of a block."""

WALK = 0.4
"""Neighbourhoods of another goal than the period; the rest is for the whole model and its bound."""

ANY_ORDER = 0.7
"""The search of all orders of the kinds by down-sets, where it is all there is or transfers are free."""

ONE_BY_ONE = 0.6
"""The orders that are searched one by one, where there are too many to list."""

FIRST_PASS = 0.5
"""The first pass over all orders of the chips' kinds."""

# --- slices, on the search's clock ------------------------------------------------------------------------------

FIRST_SLICE = 2.0
"""What the first unresolved thresholds get; doubled each time the search comes round again."""

CROWD_QUESTION = 0.5
"""What a question about the blocks around one node of a pigeonhole set gets at least."""

ADJACENT_CHIPS = 3.0
"""One neighbourhood of adjacent chips, solved exactly."""

DOUBTFUL_NODES = 8.0
"""One model in which doubtful nodes alone may move."""
