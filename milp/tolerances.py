"""Every tolerance of the solver in one table, each with its reason; docs/proof.md says the same under "Floating point".

Where a bound is proved, the margin goes against the claim: a bound is rounded down, a row is loosened, a chip counts as
full a little later than it is.
"""

from __future__ import annotations

# --- what two sums of the same figures may differ by ------------------------------------------------------------

ROUNDING = 1e-9
"""Relative difference of two sums of times that are the same, far above the true rounding error of such sums. Allowed
where a bound meets a period, a load a threshold, a sum of work a chip, and a value the limit another placement set."""

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
solutions where a cut-off lies within its tolerance below an attainable value (tests/milp/test_highs.py)."""

RESOLUTION = 2e-5
"""Least gap that thresholds may aim at, twice :data:`MARGIN`. Asking for less asks for this."""

DROPPED = 1e-9
"""Coefficients that HiGHS takes for zero (its option ``small_matrix_value``). Rows are loosened for them first."""

# --- how finely things are looked for ---------------------------------------------------------------------------

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

NEIGHBOURHOOD_GAIN = 1e-6
"""Least relative decrease of the heaviest chip in a neighbourhood that counts."""

FIXING_GAIN = 1e-4
"""Least relative gain that a model with most nodes fixed is asked for."""

REPEATED_GAIN = 1e-4
"""Least relative rise of the bound that makes the next heavy node worth asking about."""

SPLIT = 0.4871
"""Where an interval of thresholds is split: near the middle, not on it, where round figures may be attainable."""
