"""The pages about the proof: sections are complete, names and features real, figures of examples computed."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from milp.chip_bounds.capacity import BlockCapacity
from milp.chip_bounds.pigeonholes import Crowd, Shares, heaviest_crowd
from milp.frontiers.program import Frontiers
from milp.ideals.leaving_out import kept_nodes
from milp.ideals.loose import loose_nodes
from milp.ideals.program import Ideals, best_chain
from milp.search.period import PHASES, search
from milp.state.attainable import grid_of
from milp.state.incumbent import Incumbent
from milp.state.names import Doing
from milp.state.run import Run
from milp.windows.separation import Separation
from milp.windows.windows import WindowRules
from partition import Graph, GraphBuilder, Hardware, load_hardware, partition
from partition.heuristics.completion import close_gaps
from partition.instance.contract import contract
from partition.instance.features import PERIOD_ALONE, Feature, Scope
from partition.instance.instance import Instance
from partition.problem.hardware import override
from partition.problem.placement import Placement
from partition.scoring.generosity import factors
from partition.stopping import Stop

ROOT = Path(__file__).parent.parent
PARTS = ("Claim", "Why", "Covers", "Where", "Used by")


@dataclass(frozen=True)
class Section:
    """One section of a page: its title, and its paragraphs by the word in bold that they begin with."""

    page: str
    title: str
    parts: Mapping[str, str]

    @property
    def where(self) -> list[tuple[str, list[str]]]:
        """(file, names in it) of the paragraph *Where*."""
        return code_named(self.parts["Where"])


def code_named(text: str) -> list[tuple[str, list[str]]]:
    """(file, names in it) where a file in backquotes is followed by what is in it."""
    found: list[tuple[str, list[str]]] = []
    for quoted in re.findall(r"`([^`]+)`", text):
        if quoted.endswith(".py"):
            found.append((quoted, []))
        else:
            found[-1][1].append(quoted)
    return found


def _sections() -> list[Section]:
    found = []
    for path in sorted((ROOT / "docs" / "proof").glob("*.md")):
        for text in re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            title, _, body = text.partition("\n")
            pieces = re.split(r"^\*\*([A-Z][a-z ]+)\.\*\* ", body, flags=re.M)
            parts = {name: piece.strip() for name, piece in zip(pieces[1::2], pieces[2::2], strict=True)}
            found.append(Section(path.name, title, parts))
    return found


SECTIONS = _sections()


def section(title: str) -> Section:
    return next(each for each in SECTIONS if each.title == title)


@pytest.mark.parametrize("each", SECTIONS, ids=lambda each: each.title)
def test_a_section_has_all_its_parts(each: Section) -> None:
    assert [part for part in each.parts if part != "Example"] == list(PARTS)


def _defined(path: Path) -> set[str]:
    """The names of a module at its top, and ``Class.member`` for its classes."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        own = _names(node)
        names |= own
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{member}" for inner in node.body for member in _names(inner)}
    return names


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    names = [each for target in targets for each in getattr(target, "elts", [target])]
    return {each.id for each in names if isinstance(each, ast.Name)}


@pytest.mark.parametrize("each", SECTIONS, ids=lambda each: each.title)
def test_the_code_that_a_section_names_exists(each: Section) -> None:
    assert each.where
    assert not missing(each.where)


def missing(named: list[tuple[str, list[str]]]) -> list[str]:
    """Files, and names in files, that do not exist."""
    return [file for file, _ in named if not (ROOT / file).is_file()] + [
        f"{file}: {name}"
        for file, names in named
        if (ROOT / file).is_file()
        for name in sorted(set(names) - _defined(ROOT / file))
    ]


def test_what_is_missing_is_seen() -> None:
    assert missing([("milp/nowhere.py", ["x"]), ("milp/budget.py", ["TABU", "SIESTA"])]) == [
        "milp/nowhere.py",
        "milp/budget.py: SIESTA",
    ]


def test_the_code_that_the_architecture_names_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.search(r"^## Where to look\n(.*?)^## ", page, re.M | re.S)
    assert rows is not None
    found = [
        named for line in rows.group(1).splitlines() for named in code_named(line.split("|")[-2] if "|" in line else "")
    ]
    assert len(found) > 15 and not missing(found)


def _scopes() -> Iterable[Scope]:
    spec = importlib.util.spec_from_file_location("scopes_for_the_pages", ROOT / "docs" / "scopes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return [scope for _, scope in module.scopes()]


@pytest.mark.parametrize("scope", _scopes(), ids=lambda scope: scope.engine)
def test_a_section_says_what_an_engine_refuses(scope: Scope) -> None:
    """Goals aside, which most engines refuse alike."""
    features = {feature.value for feature in Feature}
    told = [each.parts["Covers"] for each in SECTIONS if f"Engine *{scope.engine}*" in each.parts["Covers"]]
    refused = {f.value for f in scope.refuses if scope.refuses[f] != PERIOD_ALONE.get(f)}
    said = [features & set(re.findall(r"\*([^*]+)\*", text)) for text in told]
    assert any(refused == each for each in said), f"{refused} against {said}"


@pytest.mark.parametrize("each", SECTIONS, ids=lambda each: each.title)
def test_a_section_names_phases_that_exist(each: Section) -> None:
    names = {doing.value for doing in Doing}
    for sentence in re.findall(r"[Tt]he phases? ([^.]*)\.", each.parts["Used by"]):
        found = set(re.findall(r"\*([^*]+)\*", sentence))
        assert found and found <= names, found - names


def test_every_phase_that_proves_something_is_used_by_a_section() -> None:
    told = " ".join(each.parts["Used by"] for each in SECTIONS)
    proves_nothing = {Doing.SEEDS, Doing.SAMPLES, Doing.TABU, Doing.BEAMS}
    assert {f"*{phase.name.value}*" for phase in PHASES if phase.name not in proves_nothing} <= set(
        re.findall(r"\*[a-z -]+\*", told)
    )


# --- the figures of the examples --------------------------------------------------------------------------------


def graph(times: Mapping[str, float], reads: Mapping[str, str], sizes: Mapping[str, float] | None = None) -> Graph:
    """Operations that take ``times`` and read what each letter of ``reads`` makes; tensors take 1 s by default."""
    b = GraphBuilder("example")
    for name, time in times.items():
        size = (sizes or {}).get(name, 1.0)
        b.operation(name, "Op", inputs=[*reads.get(name, "")], outputs={name: size}, times={"edge": time})
    return b.build()


def package(chips: int, transfers: str = "overlapped", more: str = "") -> Hardware:
    topology = "chain" if transfers == "overlapped" else "ring"
    return load_hardware(f"{topology}{chips}:transfers={transfers},link_bandwidth=1,memory=off{more}")


def trivial(instance: Instance) -> float:
    """The bound that every search begins with, in seconds."""
    incumbent = Incumbent(instance, 0.0, lambda: 0.0, None)
    search(Run.begin(instance, incumbent, Stop()), phases=())
    return round(incumbent.bound, 6)


def counting() -> list[str]:
    instance = contract(graph({"a": 5, "b": 4, "c": 3, "d": 3}, {}), package(3))
    crowd = heaviest_crowd(instance)
    assert crowd is not None
    work, longest = instance.fastest.sum() * instance.unit / 3, instance.fastest.max() * instance.unit
    return [
        f"Work divided by chips is {work:g} s, and the longest operation takes {longest:g} s",
        f"the two quickest take {crowd.work * instance.unit:g} s together. So the bound is {trivial(instance):g} s",
    ]


def capacity() -> list[str]:
    instance = contract(graph(dict.fromkeys("abcd", 2), {"b": "a", "c": "b", "d": "c"}), package(4, "serial"))
    most = BlockCapacity(instance).most_work(5 / instance.unit, time_limit=10, stop=Stop()) * instance.unit
    return [f"Within 5 s a chip at an end computes {most:.0f} s", f"Hence `M(5)` is {most:.0f} s"]


def cheapest() -> list[str]:
    row = graph(dict.fromkeys("abc", 4), {"b": "a", "c": "b"}, dict.fromkeys("abc", 2))
    instance = contract(row, package(3, "serial"))
    found = BlockCapacity(instance).cheapest(1, upper=12 / instance.unit, time_limit=10, stop=Stop())
    load = round(found.bound * instance.unit, 3)
    assert partition(row, package(3, "serial"), work_limit=2).period == pytest.approx(load)
    return [
        f"4 + 2 + 2 = {load:g} s",
        f"So the bound is {load:g} s, where the trivial bound is {trivial(instance):g} s",
    ]


def shares() -> list[str]:
    instance = contract(graph(dict.fromkeys("xyz", 4), {}), package(2))
    found = Shares(instance, Crowd(np.ones(3, dtype=bool), 2, 8 / instance.unit))
    period = 8.5 / instance.unit
    fit = int(np.searchsorted(found.work, period))
    charges = found.dear(period) / 1 + (3 - found.dear(period)) / fit
    return [
        f"so `m` is {fit}",
        f"1 + 1 + 1/{fit} = {charges:g}, more than 2 chips",
        f"{found.dear(period)} dear nodes are needed",
    ]


def windows() -> list[str]:
    instance = contract(graph({"a": 3, "b": 2, "c": 2, "d": 3}, {"b": "a", "c": "b", "d": "c"}), package(2))
    rules = WindowRules(instance)
    five = rules.windows(5 / instance.unit)
    assert five.lo.tolist() == five.hi.tolist() == [0, 0, 1, 1]
    assert rules.windows(4 / instance.unit).empty
    return ["All four places are known", "so 4 s is impossible"]


def separated() -> list[str]:
    row = graph(dict.fromkeys("abcd", 2), {"b": "a", "c": "b", "d": "c"}, {"b": 9})
    instance = contract(row, package(2))
    joined = Separation(instance).tightened(7 / instance.unit, Stop(), seconds=10)
    assert joined.node_of[1] == joined.node_of[2]
    return [f"{instance.nodes} nodes become {joined.nodes}"]


def ideals() -> list[str]:
    diamond = graph({"a": 2, "b": 3, "c": 3, "d": 2}, {"b": "a", "c": "a", "d": "bc"})
    hardware = package(2, "serial")
    instance = contract(diamond, hardware)
    chain = best_chain(instance, 99)
    assert chain is not None and chain.chip is not None and chain.chip.tolist() == [0, 0, 1, 1]
    period = chain.period * instance.unit
    assert partition(diamond, hardware, work_limit=2).period == pytest.approx(period)
    count = len(Ideals(instance, 99, Stop(), 1000).levels[0].words)
    return [
        f"There are {count} ideals",
        f"2 + 3 + 1 + 1 = {period:g} s on either",
        f"The trivial bound is {trivial(instance):g} s, and {period:g} s is the optimum",
    ]


def loose() -> list[str]:
    b = GraphBuilder("adds gradients")
    b.operation("a", "Op", outputs={"ab": 1.0}, times={"edge": 3.0}, group="a")
    b.operation("b", "Op", inputs=["ab"], times={"edge": 3.0}, group="b")
    b.operation("b back", "Op", outputs={"g1": 2.0, "g2": 2.0}, times={"edge": 1.0}, group="b", backward=True)
    b.operation("sum", "Op", inputs=["g1", "g2"], outputs={"s": 1.0}, times={"edge": 1.0}, backward=True)
    b.operation("a back", "Op", inputs=["s"], times={"edge": 1.0}, group="a", backward=True)
    hardware = package(2, "serial")
    instance = contract(b.build(), hardware)
    kept = kept_nodes(instance, 0.0) & ~loose_nodes(instance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("milp.ideals.program.kept_nodes", lambda *_: kept)
        chain = best_chain(instance, 99)
    assert chain is not None
    bound, period = chain.period * instance.unit, partition(b.build(), hardware, work_limit=2).period
    return [f"So the bound is {bound:g} s, and {period:g} s is the optimum"]


def triangle() -> Graph:
    return graph(dict.fromkeys("abc", 2), {"b": "a", "c": "ba"})


def forced() -> list[str]:
    found = [best_chain(contract(triangle(), package(3, "serial", more)), 99) for more in ("", ",triangle=off")]
    with_rule, without = (chain.period * 2 for chain in found if chain is not None)
    return [
        f"2 + 1 + 1 + 1 = {with_rule:g} s",
        f"so the bound is {with_rule:g} s. Without the triangle rule it would be {without:g} s",
    ]


def frontiers() -> list[str]:
    instance = contract(triangle(), package(3, "overlapped", ",relays=off"))
    program = Frontiers(instance, np.arange(3), np.ones(3, dtype=bool))
    assert program.decide(3.9 / instance.unit).possible is False
    assert program.decide(4 / instance.unit).possible is True
    return ["3.9 s is impossible, and 4 s is possible", f"The trivial bound is {trivial(instance):g} s"]


def down_sets() -> list[str]:
    four = graph({"a": 4, "b": 3, "c": 3, "d": 2}, {})
    bounds = []
    for chips in (2, 3):
        bounds.append(trivial(contract(four, package(chips))))
        assert partition(four, package(chips), work_limit=2).bound == pytest.approx(bounds[-1])
    return [f"The trivial bound is {bounds[0]:g} s", f"On three chips the trivial bound is {bounds[1]:g} s"]


def values() -> list[str]:
    three = graph({"a": 3, "b": 5, "c": 7}, {}, {"a": 3, "b": 5, "c": 7})
    grid = grid_of(three, package(2))
    assert grid is not None
    instance = contract(three, package(2))
    sums = sorted({round(grid.up(x - 0.5)) for x in range(1, 16)})
    return [
        f"a trivial bound of {float(instance.fastest.sum()) * instance.unit / 2:g} s",
        f"are {', '.join(map(str, sums[:-1]))} and {sums[-1]} s",
        f"So the bound becomes {grid.up(7.5):g} s",
    ]


def slower() -> list[str]:
    diamond = graph({"a": 2, "b": 3, "c": 3, "d": 2}, {"b": "a", "c": "a", "d": "bc"})
    slow = package(2, "serial")
    fast = override(slow, {"link_bandwidth": 2.0})
    periods = [partition(diamond, hw, work_limit=2).period for hw in (slow, fast)]
    k = factors(diamond, [fast, slow], [slow, fast])
    return [
        f"a least period of {periods[0]:g} s",
        f"With links twice as fast it is {periods[1]:g} s",
        f"so `k` is {k[0, 0]:g} and {periods[1] / k[0, 0]:g} s is a bound",
        f"`k` is {k[1, 1]:g}, so {periods[0] / k[1, 1]:g} s is a bound",
    ]


def streams(chips: int) -> Hardware:
    return override(package(chips), {"memory": True, "sram_bytes": 20.0, "dram_bandwidth": 5.0})


def room() -> list[str]:
    b = GraphBuilder("one")
    b.operation("a", "Op", times={"edge": 1.0})
    one = contract(b.build(), streams(1), unit=1.0)
    return [f"Within 4 s it has at most {one.room(4.0)[0]:g} bytes of weights"]


def streamed_evenly() -> list[str]:
    b = GraphBuilder("heavy")
    for name, time in (("a", 2.0), ("b", 3.0)):
        b.operation(name, "Op", outputs={name: 0.0}, times={"edge": time}, weights=35.0)
    hardware = streams(2)
    even = contract(b.build(), hardware, unit=1.0)
    alone = contract(b.build(), override(hardware, {"streaming": "serial"}), unit=1.0)
    return [
        f"so no period is below {even.least_spread:g} s",
        f"In turn the second takes {alone.least_alone[1]:g} s alone",
    ]


def joined() -> list[str]:
    b = GraphBuilder("group")
    for name, read, group in (("a", [], "g"), ("b", ["a"], None), ("c", ["b"], "g")):
        b.operation(name, "Op", inputs=read, outputs={name: 1.0}, times={"edge": 1.0}, group=group)
    return [f"three operations become {contract(b.build(), package(2)).nodes} node"]


def free_source() -> list[str]:
    b = GraphBuilder("source")
    b.operation("x", "Input", outputs={"x": 1.0})
    b.operation("conv", "Op", inputs=["x"], outputs={"y": 1.0}, times={"edge": 1.0})
    return [f"two operations become {contract(b.build(), package(2)).nodes} node"]


def equal_tensors() -> list[str]:
    b = GraphBuilder("pair")
    b.operation("a", "Op", outputs={"s": 1.0, "t": 2.0}, times={"edge": 1.0})
    b.operation("b", "Op", inputs=["s", "t"], outputs={"u": 1.0}, times={"edge": 1.0})
    instance = contract(b.build(), package(2))
    assert instance.tensors == 1
    return [f"They count as one tensor of {instance.tau[0] * instance.unit:g} s"]


def gaps() -> list[str]:
    chips = close_gaps(Placement(np.array([0, 2, 2])), 3).assignment.tolist()
    return ["homes on chips {}, {} and {}".format(*chips)]


EXAMPLES: dict[str, Callable[[], list[str]]] = {
    "The trivial bound": counting,
    "What one chip can compute": capacity,
    "The cheapest chip around an operation": cheapest,
    "Pigeonholes with shares": shares,
    "Windows": windows,
    "Separations": separated,
    "Chains of ideals": ideals,
    "Nodes that nothing binds": loose,
    "Forced relays": forced,
    "Frontiers": frontiers,
    "Down-sets": down_sets,
    "Values that can occur": values,
    "Slower by a factor": slower,
    "Room within a period": room,
    "Streaming spread evenly": streamed_evenly,
    "Groups and cycles": joined,
    "Free sources": free_source,
    "Equal tensors": equal_tensors,
    "Gaps": gaps,
}


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_figures_of_an_example_are_computed(title: str) -> None:
    example = section(title).parts["Example"]
    for phrase in EXAMPLES[title]():
        assert phrase in example


def test_no_example_is_left_unchecked() -> None:
    """The one about presolve is a test of its own, which the page names."""
    told = {each.title for each in SECTIONS if "Example" in each.parts}
    assert told == {*EXAMPLES, "A fault of presolve"}
