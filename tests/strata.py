"""Questions on which an engine says no, at sizes where its inequalities bind: what each engine is asked about first.

A stratum pins the features that an engine needs, and leaves the others to the generator. Every stratum keeps questions
small enough for brute force in a moment.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Stratum = dict[str, tuple[Any, ...]]

PLAIN: Stratum = {
    "memory": (False,),
    "dynamic_memory": (False,),
    "unsupported": ("none",),
    "profiled": ("none",),
    "wishes": ("none",),
    "computed": ("none",),
    "shared": ("none",),
    "sram": ("unlimited",),
    "dram": ("none",),
    "positions": ("default",),
    "order": ("topological",),
    "traffic": ("none",),
    "overhead": (0.0,),
    "speeds": ("equal",),
    "free_transfers": ("none",),
    "kinds": ("one",),
    "groups": ("none",),
    "backward": ("none",),
    "tensors": ("one",),
    "cheap": ("none",),
    "times": ("whole", "equal"),
}
"""Nothing but operations, tensors, chips and links."""

ORDERED: Stratum = {"acyclic": (True,)}
LINKS: Stratum = {"topology": ("chain", "ring"), "bandwidth": (1.0, 0.5, 4.0), "sizes": ("whole", "equal")}
NO_COPIES: Stratum = {"replication": (False,)}
MOVING: Stratum = {"bandwidth": (1.0, 0.5, 4.0), "sizes": ("whole", "equal", "fractions")}
WORK: Stratum = {"sizes": ("none", "equal"), "bandwidth": (4.0, 1e9)}
MIXED: Stratum = {"kinds": ("two", "three"), "speeds": ("unequal", "far"), "profiled": ("none", "some")}
SPREAD: Stratum = {"memory": (True,), "sram": ("chipwise",)}
"""Room for a fair part of the weights on a chip, so that operations have to spread."""

ROOM: Stratum = {"memory": (True,), "sram": ("part", "exact", "chipwise")}
STREAMED: Stratum = {
    "memory": (True,),
    "sram": ("part", "exact", "zero"),
    "dram": ("all",),
    "streaming": ("overlapped", "serial"),
}
"""Chips that stream what their SRAM cannot hold."""

SERIAL: Stratum = {"transfers": ("serial",)}
KINDS_ANYHOW: Stratum = {
    "kinds": ("two", "three"),
    "kind_order": ("free",),
    "speeds": ("unequal",),
    "wishes": ("none",),
}

POSITIONED: Stratum = {
    "topology": ("bichain", "biring", "mesh"),
    "bandwidth": (0.2, 0.5),
    "sizes": ("whole", "fractions", "equal"),
    "times": ("sparse",),
    "triangle": (False,),
    "shape": ("random", "grid", "layers", "parallel", "star"),
    "chips": ((4, 4),),
}
"""Links that are the bottleneck, and where the stages stand."""

PACKED: Stratum = {"times": ("pairs",), "shape": ("isolated", "parallel"), "n": ((4, 6),)}
"""Operations that fill chips in pairs, to the last tick."""

PASSING: Stratum = {
    "times": ("equal", "whole"),
    "sizes": ("equal", "whole"),
    "bandwidth": (1.0, 4.0),
    "triangle": (False,),
    "shape": ("parallel", "mirror", "grid"),
    "n": ((4, 6),),
    "chips": ((3, 3),),
}
"""Tensors that pass over chips which neither make nor read them."""

LINE: Stratum = {"topology": ("chain", "ring", "memory", "crossbar")}

LOOSE: Stratum = (
    PLAIN | ORDERED | MOVING | SERIAL | {"backward": ("any",), "triangle": (False,), "no_skipping": (False,)}
)
"""Nodes that no edge of the order joins to another, and tensors that others read as well."""

DETOURS: Stratum = LOOSE | {
    "topology": ("memory",),
    "shape": ("detours",),
    "backward": ("ways",),
    "times": ("whole", "fractions"),
    "chips": ((2, 2),),
}
"""Nodes that nothing binds on one of two ways, small ones on the other."""

STRATA: dict[str, tuple[Stratum, ...]] = {
    "trivial bounds": (
        PLAIN | WORK | {"shape": ("isolated", "random")},
        PLAIN | WORK | MIXED,
        PLAIN | WORK | STREAMED | {"shape": ("isolated",)},
    ),
    "feasibility": (PLAIN | ROOM | {"shared": ("used", "none")}, PLAIN | ROOM | MIXED | {"unsupported": ("some",)}),
    "windows": (
        PLAIN | ORDERED | WORK,
        PLAIN | ORDERED | WORK | MIXED,
        PLAIN | ORDERED | MIXED | {"unsupported": ("some",)},
        PLAIN | ORDERED | WORK | STREAMED,
    ),
    "separations": (
        PLAIN | ORDERED | LINKS | NO_COPIES,
        PLAIN | ORDERED | LINKS | {"cheap": ("inputs", "chain"), "shape": ("random", "broadcast", "star")},
        PLAIN | ORDERED | LINKS | NO_COPIES | {"tensors": ("several",), "shape": ("broadcast", "star", "parallel")},
    ),
    "ideals": (
        PLAIN | ORDERED | MOVING | SERIAL | LINE,
        PLAIN | ORDERED | MOVING | {"topology": ("memory", "crossbar")},
        PLAIN | ORDERED | MOVING | SERIAL | LINE | MIXED | {"free_transfers": ("some",)},
        PLAIN | ORDERED | WORK | ROOM | LINE | {"shared": ("used",), "triangle": (False,)},
        PLAIN | ORDERED | WORK | SPREAD | LINE | {"shared": ("used",), "triangle": (False,), "no_skipping": (False,)},
        PLAIN | ORDERED | MOVING | SERIAL | LINE | {"cheap": ("inputs", "chain"), "backward": ("last", "none")},
        PLAIN | ORDERED | LINKS,
        PLAIN | ORDERED | SERIAL | LINE | PASSING,
        PLAIN | ORDERED | WORK | LINE | STREAMED,
        LOOSE | {"topology": ("memory",), "n": ((3, 5),)},
    ),
    "forced relays": (
        PLAIN
        | ORDERED
        | MOVING
        | SERIAL
        | NO_COPIES
        | {"topology": ("ring", "chain"), "triangle": (True,), "no_skipping": (True,), "relays": (True,)},
        PLAIN
        | ORDERED
        | MOVING
        | NO_COPIES
        | {"topology": ("memory", "ring"), "triangle": (True,), "relays": (False,)},
        PLAIN
        | ORDERED
        | MOVING
        | SERIAL
        | SPREAD
        | NO_COPIES
        | {
            "topology": ("ring",),
            "triangle": (True,),
            "no_skipping": (True,),
            "relays": (True, False),
            "shape": ("random", "parallel", "layers", "isolated"),
        },
        PLAIN
        | ORDERED
        | MOVING
        | SERIAL
        | {
            "cheap": ("inputs", "chain"),
            "topology": ("ring",),
            "triangle": (True,),
            "no_skipping": (True,),
            "relays": (True,),
            "replication": (True,),
        },
        PLAIN
        | ORDERED
        | SERIAL
        | {
            "cheap": ("late",),
            "topology": ("ring", "chain"),
            "triangle": (True,),
            "no_skipping": (True,),
            "relays": (True,),
            "replication": (True,),
            "shape": ("broadcast",),
            "times": ("equal",),
            "sizes": ("equal", "fractions"),
            "bandwidth": (4.0, 1.0),
            "n": ((3, 3),),
            "chips": ((4, 4),),
        },
    ),
    "chains round a ring": (
        PLAIN
        | MOVING
        | {"topology": ("ring",), "acyclic": (True, False), "backward": ("last", "any"), "triangle": (False,)},
        PLAIN
        | SPREAD
        | {
            "topology": ("ring",),
            "acyclic": (False,),
            "triangle": (False,),
            "bandwidth": (0.2, 0.5),
            "sizes": ("whole", "equal"),
            "times": ("sparse",),
        },
        PLAIN
        | SPREAD
        | {
            "topology": ("ring",),
            "acyclic": (True,),
            "triangle": (False,),
            "shape": ("mirror",),
            "backward": ("last",),
            "groups": ("some",),
            "bandwidth": (0.2, 0.5),
            "sizes": ("whole", "equal"),
            "times": ("sparse",),
        },
    ),
    "levels": (
        PLAIN | ORDERED | MOVING | LINE,
        PLAIN | ORDERED | MOVING | LINE | {"times": ("sparse", "spread")},
        PLAIN | ORDERED | WORK | SPREAD | LINE | {"triangle": (False,)},
        PLAIN | ORDERED | WORK | MIXED | LINE | {"kind_order": ("fixed", "free"), "triangle": (False,)},
    ),
    "loose nodes": (
        LOOSE | LINE | {"groups": ("none", "some")},
        LOOSE | {"topology": ("memory",), "shape": ("star", "broadcast", "parallel"), "n": ((4, 6),)},
        LOOSE | MIXED | {"topology": ("memory",), "free_transfers": ("some",), "n": ((3, 5),), "chips": ((2, 2),)},
        DETOURS | {"n": ((4, 4),)},
        DETOURS | {"n": ((4, 6),), "times": ("sparse", "whole")},
    ),
    "stretches": (
        PLAIN | ORDERED | MOVING | SERIAL | LINE | {"shape": ("chain", "parallel", "star", "ladder")},
        PLAIN | ORDERED | MOVING | LINE | {"shape": ("chain", "parallel", "broadcast")},
    ),
    "frontiers": (
        PLAIN
        | ORDERED
        | SERIAL
        | MOVING
        | {"relays": (False,), "triangle": (True, False), "topology": ("chain", "memory", "ring")},
        PLAIN
        | ORDERED
        | WORK
        | {
            "relays": (False,),
            "triangle": (True,),
            "topology": ("chain", "memory", "ring"),
            "shape": ("random", "ladder", "grid", "parallel"),
        },
        PLAIN
        | ORDERED
        | SERIAL
        | MOVING
        | {"relays": (False,), "free_transfers": ("all",), "topology": ("memory", "ring")},
        PLAIN | ORDERED | WORK | ROOM | {"relays": (False,), "topology": ("memory",), "triangle": (False,)},
        PLAIN
        | ORDERED
        | SERIAL
        | MOVING
        | SPREAD
        | NO_COPIES
        | {
            "relays": (False,),
            "topology": ("memory",),
            "triangle": (False,),
            "shape": ("broadcast", "star", "parallel"),
            "times": ("sparse", "whole"),
        },
    ),
    "capacity": (
        PLAIN | ORDERED | SERIAL | MOVING | LINE,
        PLAIN | ORDERED | MOVING | {"topology": ("memory", "crossbar")},
        PLAIN | ORDERED | SERIAL | MOVING | PASSING | {"topology": ("memory",)},
    ),
    "crowds": (PLAIN | ORDERED | SERIAL | MOVING | LINE, PLAIN | ORDERED | WORK | {"shape": ("isolated", "layers")}),
    "down-sets": (
        PLAIN | ORDERED | WORK,
        PLAIN | ORDERED | WORK | PACKED,
        PLAIN
        | ORDERED
        | WORK
        | {"shape": ("ladder", "grid", "parallel", "layers"), "n": ((5, 7),), "chips": ((3, 4),)},
        PLAIN | ORDERED | WORK | MIXED | {"kind_order": ("fixed", "free")},
    ),
    "values that can occur": (PLAIN | MOVING, PLAIN | MOVING | SERIAL, PLAIN | MIXED | MOVING),
    "formulation": (
        PLAIN | MOVING,
        PLAIN | MOVING | SERIAL | MIXED,
        PLAIN | MOVING | {"cheap": ("inputs", "chain")},
        PLAIN | ROOM | MOVING | {"shared": ("used",)},
        PLAIN | WORK | STREAMED,
        PLAIN | MOVING | {"triangle": (True,), "topology": ("ring", "memory")},
        PLAIN | ORDERED | MOVING | SERIAL | {"triangle": (True,), "relays": (True,), "topology": ("ring", "chain")},
    ),
    "kind orders": (
        PLAIN | WORK | KINDS_ANYHOW,
        PLAIN | KINDS_ANYHOW | ROOM | {"unsupported": ("some",)},
        KINDS_ANYHOW
        | ORDERED
        | {"unsupported": ("some",), "sram": ("unlimited",), "topology": ("chain", "ring"), "cheap": ("none",)},
    ),
    "goals": (
        PLAIN | ORDERED | MOVING | LINE | SPREAD,
        PLAIN | ORDERED | MOVING | LINE | SPREAD | {"chips": ((3, 3),), "n": ((3, 5),)},
        PLAIN | MOVING | LINE | ROOM,
    ),
    "stages": (
        PLAIN | POSITIONED | {"acyclic": (True,), "n": ((4, 6),), "free_transfers": ("all",), "tensors": ("several",)},
        PLAIN | POSITIONED | {"acyclic": (True,), "n": ((4, 6),)},
        PLAIN | POSITIONED | {"acyclic": (False,), "no_skipping": (False,), "n": ((3, 4),)},
    ),
    "memory cuts": (
        PLAIN | ROOM | MOVING | {"dynamic_memory": (True,)},
        PLAIN | ROOM | MOVING | {"dynamic_memory": (True,), "sizes": ("spread",), "sram": ("part", "chipwise")},
        PLAIN | ROOM | {"shared": ("used",)},
        PLAIN
        | ROOM
        | MOVING
        | {"dynamic_memory": (True,), "cheap": ("inputs", "constants", "chain"), "sizes": ("spread", "whole")},
        PLAIN
        | ROOM
        | {"dynamic_memory": (True,), "cheap": ("constants",), "replication": (True,), "acyclic": (True,)}
        | {"sram": ("part",), "triangle": (False,), "shape": ("isolated", "random"), "n": ((2, 4),)},
    ),
}

NEEDS: dict[str, Stratum] = {
    "separations": ORDERED | {"topology": ("chain", "ring"), "bandwidth": (1.0, 0.5, 4.0, 1e-6, 1e9)},
    "ideals, separated": ORDERED | {"topology": ("chain", "ring"), "bandwidth": (1.0, 0.5, 4.0, 1e-6, 1e9)},
    "chains round a ring": {"topology": ("ring",), "backward": ("last", "any")},
    "forced relays": ORDERED | {"topology": ("ring", "memory", "crossbar"), "triangle": (True,)},
    "frontiers": ORDERED | {"relays": (False,), "kinds": ("one",), "backward": ("none",)},
    "memory cuts": ROOM,
    "stages": {"topology": ("bichain", "biring", "mesh"), "kinds": ("one",), "acyclic": (True,)},
    "kind orders": {"kinds": ("two", "three"), "kind_order": ("free",), "wishes": ("none",), "profiled": ("some",)},
    "replay of goals": {"topology": ("chain", "ring", "memory", "crossbar"), "sram": ("unlimited", "part")},
    "goals": {"bandwidth": (1.0, 0.5, 4.0), "sram": ("unlimited", "part"), "kind_order": ("fixed",)},
}
"""What an engine that is seldom asked needs to be asked at all, all else left to the generator."""

SIZES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "trivial bounds": ((2, 7), (1, 4)),
    "windows": ((3, 6), (2, 4)),
    "separations": ((2, 5), (2, 3)),
    "forced relays": ((3, 5), (3, 4)),
    "frontiers": ((3, 6), (2, 3)),
    "crowds": ((3, 6), (2, 2)),
}
"""Fewest and most operations, and chips, where they are not those of any other engine."""

ANY_SIZE = (2, 6), (2, 3)


def pinned_for(engine: str, rng: np.random.Generator) -> dict[str, Any]:
    """What :func:`questions.draw` pins for a question that tries an engine: one of its strata."""
    return _pinned(STRATA.get(engine, (NEEDS.get(engine, {}),)), SIZES.get(engine, ANY_SIZE), rng)


def needed_for(engine: str, rng: np.random.Generator) -> dict[str, Any]:
    """The same for a question that the engine can be asked about, whatever it says."""
    return _pinned((NEEDS.get(engine, {}),), ANY_SIZE, rng)


def _pinned(
    strata: tuple[Stratum, ...], size: tuple[tuple[int, int], tuple[int, int]], rng: np.random.Generator
) -> dict[str, Any]:
    stratum = strata[int(rng.integers(len(strata)))]
    n, chips = size
    values = {name: some[int(rng.integers(len(some)))] for name, some in stratum.items()}
    return {"n": n, "chips": chips} | values
