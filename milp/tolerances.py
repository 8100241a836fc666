"""Every tolerance of the solver in one table, each with its reason; docs/proof/floating-point.md argues from them.

Where a bound is proved, the margin goes against the claim: a bound is rounded down, a row is loosened, a chip counts as
full a little later than it is. Numbers between 0 and 1 stand here or in milp/budget.py, and nowhere else
(tests/test_tables.py).
"""

from __future__ import annotations

# --- what two sums of the same figures may differ by ------------------------------------------------------------

ROUNDING = 1e-9
"""Relative difference of two sums of times that are the same, far above the true rounding error of such sums. Allowed
where a bound meets a period, a load a threshold, a sum of work a chip, and a value the limit another placement set."""

DECIMAL = 4e-16
"""Relative rounding error of a decimal figure in floating point, twice over."""

TICK = 1e-12
"""Relative rounding error of a time that is counted in ticks, many times over."""

TINIEST = 1e-300
"""Least amount that others are divided by; all amounts are 0 where the largest is less."""

LEAST_PROBABILITY = 1e-12
"""What a smaller probability counts as, so that logarithms stay finite."""

DIFFERENCE = 1e-12
"""Rounding of a difference of two sums, relative to the largest of them (loads of blocks)."""

TRIFLE = 1e-11
"""What a node weighs besides its time, relative to all work: more than rounding can be, less than matters. It puts
subsets first among ideals of equal work."""

WIDER = 1 + 1e-6
"""By how much ideals of a stretch may be wider than there is room for, beyond rounding."""

LOWERED = 1e-9
"""Least relative gain of a step of the tabu search that counts as one."""

# --- what HiGHS may be wrong by ---------------------------------------------------------------------------------

BOUND_SAFETY = 2e-6
"""Relative margin taken off a bound that rests on HiGHS: twice its feasibility tolerance."""

SAME_LOAD = 2e-6
"""Relative difference of two loads that HiGHS takes for the same."""

MARGIN = 1e-5
"""Relative distance that cut-offs for HiGHS keep from the best value known. Its presolve (1.16.0) can cut off better
solutions where a cut-off lies within its tolerance below an attainable value (tests/milp/solver/test_highs.py)."""

RESOLUTION = 2e-5
"""Least gap that thresholds may aim at, twice :data:`MARGIN`. Asking for less asks for this."""

HIGHS_GAP, HIGHS_ABSOLUTE_GAP = 1e-6, 1e-7
"""Gaps, relative and absolute, at which HiGHS may stop: below the margins that its bounds keep."""

ROW = 1e-7
"""By how much a row of constants may miss its limit before no placement keeps it. Models are scaled to about 1."""

CHOSEN = 0.5
"""Value of a binary column from which it counts as 1. HiGHS leaves it near 0 or 1."""

DROPPED = 1e-9
"""Coefficients that HiGHS takes for zero (its option ``small_matrix_value``). Rows are loosened for them first."""

# --- how finely things are looked for ---------------------------------------------------------------------------

GAP = 1e-4
"""Relative gap at which an answer is called optimal, unless the caller wants another."""

PLAN_GAIN = 1e-3
"""Relative decrease of the period from which a plan of parts counts as better."""

EXACTNESS = 1e-9
"""Relative improvement below which a better period does not count for the exact dynamic programs."""

RING_PRECISION = 1e-6
"""Relative precision of the threshold of a chain where what goes round a ring decides."""

SEPARATION_PRECISION = 1e-3
"""Relative precision to which thresholds are disproved by separations."""

WINDOW_PRECISION = 1e-4
"""Relative precision to which thresholds are disproved by windows alone."""

CAPACITY_PRECISION = 3e-3
"""The same for windows from block capacities, each of which is a question to HiGHS."""

STRETCH_PRECISION = 5e-3
"""Relative precision to which the period of stretches is looked for."""

BEAM_PRECISION = 5e-3
"""Relative precision to which the least period that a beam finds is looked for."""

NEIGHBOURHOOD_GAIN = 1e-6
"""Least relative decrease of the heaviest chip in a neighbourhood that counts."""

FIXING_GAIN = 1e-4
"""Least relative gain that a model with most nodes fixed is asked for."""

REPEATED_GAIN = 1e-4
"""Least relative rise of the bound that makes the next heavy node worth asking about."""

NEAR = 1.02
"""An instance tightened for a threshold serves those down to this much smaller."""

SPLIT = 0.4871
"""Where an interval of thresholds is split: near the middle, not on it, where round figures may be attainable."""

# --- what is left out, and what is looked at --------------------------------------------------------------------

TINY = (0.0, 1e-9, 1e-4, 5e-4, 7e-4, 1e-3, 1.4e-3, 2e-3, 1e-2)
"""Nodes of less time than this (units of the instance) are left out of the ideals where they can be; tried in turn."""

COARSE = (2e-2, 5e-2, 0.1, 0.2)
"""The same for levels that can only prepare finer ones."""

STEPS = tuple(1e-2 * 2 ** (i / 2) for i in range(10))
"""The same for stretches, where whatever is left out bounds the rest."""

FRONTIER_TINY = (0.0, 1e-2)
"""The same for frontiers."""

LIGHT = 1e-3
"""Share of the smallest SRAM up to which weights hardly matter, so that a node may be left out."""

PART = 0.6
"""Largest part of all nodes for which a stretch is worth looking at alone."""

GUESSES = (0.75, 0.5, 0.25, 0.1)
"""Guesses of the best period between bound and period, for orders that keep together what must share a chip then."""

CROWD_FROM = 0.7
"""Share of the bound from which the work of a pigeonhole set is worth asking what it costs with its transfers."""

FIRST_FREE, MOST_FREE = 0.08, 0.8
"""Share of the nodes in doubt that are free at first, and at most; doubled whenever nothing better is found."""

LARGEST_STEP = 0.02
"""Relative gain that beams of one kind are first asked for, where the gap is wide."""

TOLLS: tuple[float, ...] = (0.5, 2.0, 1.0)
"""What a unit of transfer time that crosses a boundary costs later, in a chip's time; tried in turn by beams."""

CURIOSITY, MEMORY = 0.1, 0.8
"""What a way of ordering beams may yet gain, as a share of the open gap, if little is known of it; and what part of the
turns and gains so far still counts after a turn."""

SIZES = 0.05
"""Steps of the period in which the sizes of boundaries are told apart, so that beams keep some of each."""

AT_ONCE, CROSSES_AT_ONCE = 0.05, 5e-4
"""Shares of the period: what a node takes, and what more crosses with it, at most where a block gets it at once."""

UNDONE = 0.5
"""Weight of what is undone in the choice of down-sets, where the room that is lost has the weight 1."""

LEAST_HOPE = 0.05
"""Share of time, beside those who look for less load, of a proof that has hardly begun."""

WORTHWHILE = 0.02
"""Part of a layer of down-sets that must be dropped for others with tasks exchanged, or the next layers are left so."""

NOISE = 0.5
"""The worth of a task in a random walk over down-sets lies between this part of it and all of it."""
