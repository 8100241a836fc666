"""The formulation inside a larger Pyomo model: chips cost money, and two operations must not share one.

Minimises period plus price: every chip that is used costs what 60% of the best period is worth.
"""

from __future__ import annotations

import pyomo.environ as pyo

from milp.embedding import partition_block
from partition import check, evaluate_placement, load_hardware, load_model, partition

graph, hardware = load_model("mobilenet").graph, load_hardware("ring4")
best = partition(graph, hardware, time_limit=20)

model = pyo.ConcreteModel()
embedded = partition_block(graph, hardware, longest=2 * best.period)
model.pipeline = embedded.block

chips = range(hardware.chips)
heavy = sorted(graph.names, key=lambda name: -graph.flops[graph.index[name]])[:12]
model.used = pyo.Var(chips, domain=pyo.Binary)
model.pays = pyo.ConstraintList()
for name in graph.names:
    for c in chips:
        model.pays.add(embedded.on_chip(name, c) <= model.used[c])
for c in chips:
    model.pays.add(embedded.on_chip(heavy[0], c) + embedded.on_chip(heavy[1], c) <= 1)
price = 0.6 * best.period / embedded.unit
model.cost = pyo.Objective(expr=embedded.period + price * sum(model.used[c] for c in chips))

pyo.SolverFactory("appsi_highs").solve(model)
placement = embedded.placement()
period = float(evaluate_placement(graph, hardware, placement).period[0])
used = sorted(set(placement.assignment.tolist()))
assert not check(graph, hardware, placement)
assert placement.assignment[graph.index[heavy[0]]] != placement.assignment[graph.index[heavy[1]]]
print(f"best period {best.period:.4g} s on {hardware.chips} chips; with prices {period:.4g} s on {len(used)}")
