"""Every share of time of the search in one table, and what each step costs where the clock is a meter of work.

The clock is that of the search (partition/stopping.py): seconds, or units of work. Modules read the table when they
spend (``budget.STRETCHES``), so that a change here is a change everywhere.

Where nobody limits the work, the clock counts the seconds that processors worked for the process. What is left is told
at the pace so far. So a share is of the work that will be done. A slice is as much work on a busy machine as on an idle
one. Shares that must leave something to those who come after are of the wall too (``Stop.part``): those at the front
door, of each goal, of each order of the kinds, and of what comes before any valid placement is known.
"""

from __future__ import annotations

# --- shares at the front door ---------------------------------------------------------------------------------

CONFIRMATION = 0.25
"""The second solver, where its opinion is asked for; of the whole time."""

PERIOD = 0.6
"""The period, where other goals follow; of the whole time."""

STABILITY = 0.3
"""The fewest moves, where an answer to stay near to is given; of the time left before the later goals."""

APPROACH = 0.5
"""Bringing the placement that moves least within the limit on the period, before the fewest moves are looked for."""

SINGLE_NODES = 0.5
"""Moves of single nodes and what must come along, of :data:`APPROACH`."""

WITHOUT_PARTS = 0.3
"""The answer without parts, where operations may be computed in parts; of the time left."""

PLANS = 0.75
"""All plans of parts that are compared, of the time left; the rest is for the best one."""

ONE_PLAN = 0.03
"""One plan while plans are compared; of the whole time."""

# --- shares of the time left, in the order of the phases -----------------------------------------------------

STATIC_MEMORY = 0.3
"""The problem without dynamic memory, whose answer may fit as it is."""

TIGHTENING = 0.05
"""Finding inseparable neighbours, once."""

DOWN_SETS, WHOLE_LINE = 0.6, 0.95
"""The search over down-sets, where transfers are free; where no rule is beside them, so that nobody knows better."""

COMPLETION = 0.25
"""Completing the best chain of ideals."""

BLOCKS = 0.1
"""The cheapest blocks around heavy nodes."""

CROWDS = 0.1
"""What heavy nodes cost that must share chips, before other bounds are asked."""

BEAMS, BEAMS_IN_VAIN = 0.3, 0.06
"""Beams over down-sets: as long as they find better placements, and without finding any."""

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

TRAFFIC = 0.7
"""Placements of little traffic, where a model of the whole has not proved the least or cannot be afforded at once."""

TRAFFIC_FIRST = 0.2
"""The same, ahead of a model of the whole, which may heed its limit late."""

TRAFFIC_MODEL = 0.45
"""That model, before more time goes to placements."""

ROUTED_PAIRS = 0.15
"""The bound on traffic by pairs that are routed, of the time left."""

HOPEFUL = 0.5
"""Bound over value from which on that model gets the rest: it will prove the least."""

WALK = 0.4
"""Neighbourhoods of another goal than the period; the rest is for the whole model and its bound."""

FEWER_CHIPS = 0.5
"""One number of chips of the bisection for the fewest."""

ANY_ORDER = 0.7
"""The search of all orders of the kinds by down-sets, where it is all there is or transfers are free."""

ONE_BY_ONE = 0.6
"""The orders that are searched one by one, where there are too many to list."""

FIRST_PASS = 0.5
"""The first pass over all orders of the chips' kinds."""

WRITING = 0.2
"""Until HiGHS can begin with a model, which heeds no limit before that. Larger models are not built."""

# --- slices, on the search's clock ------------------------------------------------------------------------------

FIRST_SLICE = 2.0
"""What the first unresolved thresholds get; doubled each time the search comes round again."""

CROWD_QUESTION = 0.5
"""What a question about the blocks around one node of a pigeonhole set gets at least."""

ADJACENT_CHIPS = 3.0
"""One neighbourhood of adjacent chips, solved exactly."""

DOUBTFUL_NODES = 8.0
"""One model in which doubtful nodes alone may move."""

LEAST = 0.01
"""What a solver is given at least, since none takes a limit of zero."""

# --- waiting, in seconds on the wall ----------------------------------------------------------------------------

LOOK = 0.1
"""Between two looks whether a solver in a thread must end."""

JOURNAL = 0.2
"""Between two notes of a worker, and two looks at the notes of all."""

GRACE = 0.5
"""Seconds after the end in which members may hand in their answers; from then on, what they wrote down counts."""

OVERRUN = 2.0
"""Beyond its limit, after which a run of HiGHS is interrupted, and again after which it is left behind. HiGHS 1.16.0
can stay inside a heuristic for minutes (a randomly wired network on 8 chips)."""

LAST_WAIT = 3.0
"""At the end of a program, for runs left behind."""

# --- what a step costs: seconds, or units of work ---------------------------------------------------------------

WRITTEN_NONZERO = 1.5e-6
"""A nonzero of a model until HiGHS can begin: 1e-7 to 3e-7 to write it (benchmarks/building.py), the rest to load and
presolve it. It decides which models are built."""

COMPILED_NONZERO = 2e-7
"""A nonzero of a model that is written and compiled."""

LOADED_NONZERO = 1e-6
"""A nonzero of a model that HiGHS loads and presolves."""

ITERATION, ITERATION_NONZERO = 2.5e-4, 1.1e-8
"""An iteration of the simplex method, and besides for each nonzero of the model."""

CHECK_NONZERO = 1.5e-6
"""What HiGHS does at the root of a tree between two of its checks, for each nonzero: cuts and heuristics. Of 915 runs
none took over 2.6 times the larger of that and its iterations, and 7.9 times the iterations alone."""

WINDOWS = 3e-9
"""Windows for a threshold: for each pair of nodes and each chip."""

FLOW_ARC = 1e-6
"""A flow: for each arc."""

ROUTED = 2.5e-7
"""Shortest ways from a node to all others, for a bound on traffic: for each end of a tensor."""

CLOSURE = 1e-9
"""The tables of order of the down-sets: for each triple of nodes."""

LAYER, DOWN_SET, EXCHANGE, OPENED = 5e-4, 7e-7, 2e-7, 7e-7
"""A layer of down-sets, however small; besides for each child of a state, for two tasks that may change places, and for
each station that is opened behind a full one."""

PATTERN = 2e-8
"""A load for a fractional packing: for each task and each tick of a station."""

ANNEALING_STEP, ANNEALED = 5e-5, 2e-7
"""A step of an annealed population, and besides for each solution."""

IDEAL, LOOK_AT_IDEAL = 3e-6, 1e-9
"""An ideal that is found, and one that is looked at once more."""

IDEAL_IN_CHAIN, BLOCK = 5e-5, 4e-7
"""An ideal at which blocks begin, and each of these blocks."""

STRETCH_EFFORT, STRETCH_OVERHEAD = 2e-6, 1.0
"""A unit of effort for a threshold of stretches before any was measured, and what a threshold takes besides."""

FRONTIER_MOVE, FRONTIER_ROW = 1e-4, 2e-5
"""A node that is placed on one more chip, and each partial placement that this gives."""

BEAM_STEP, BEAM_NODE = 5e-4, 4e-7
"""A node more for all blocks of a beam, and besides for each that it might be and each tensor that this one reads."""

BEAM_SIGHT, BEAM_SEEN = 1.2e-4, 1e-6
"""What a guide adds to that step, and besides for each node that a block might get."""

TABU_NODE = 1e-7
"""A node of a candidate of the tabu search."""
