"""A rule and a cost term of one's own, without touching the library: secrets stay on trusted chips, heat is limited.

The rule: whatever reads the input directly must run on chips 0 or 1. The cost: each operation heats its chip by its
FLOPs, and the hottest chip counts half as much as the period does.
"""

from __future__ import annotations

import pyomo.environ as pyo

from milp.embedding import partition_block
from partition import check, load_hardware, load_model, partition

graph, hardware = load_model("mobilenet").graph, load_hardware("ring4")
best = partition(graph, hardware)
embedded = partition_block(graph, hardware, longest=1.5 * best.period)

model = pyo.ConcreteModel()
model.pipeline = embedded.block
model.own = pyo.ConstraintList()

secret = {graph.names[w] for w in graph.consumers[graph.is_input[graph.edge_source]].tolist()}
for name in secret:
    model.own.add(embedded.on_chip(name, 0) + embedded.on_chip(name, 1) == 1)

model.heat = pyo.Var(domain=pyo.NonNegativeReals)
share = graph.flops / graph.flops.sum()
for c in range(hardware.chips):
    model.own.add(sum(share[v] * embedded.on_chip(name, c) for v, name in enumerate(graph.names)) <= model.heat)
model.goal = pyo.Objective(expr=embedded.period + 0.5 * model.heat)

pyo.SolverFactory("appsi_highs").solve(model)
placement = embedded.placement()
assert not check(graph, hardware, placement)
assert all(placement.assignment[graph.index[name]] <= 1 for name in secret)
period = embedded.period.value * embedded.unit
print(f"period {period:.4g} s (best {best.period:.4g}), hottest chip {model.heat.value:.1%}")
