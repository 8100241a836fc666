"""Files of other fields' formats."""

from __future__ import annotations

import json

ALB = """<number of tasks>
4

<cycle time>
1000

<order strength>
0,5

<task times>
1 4
2 2,5
3 3
4 5

<precedence relations>
1,2
1,3
3,4

<end>
"""


IN2 = "4\n4\n2.5\n3\n5\n1,2\n1,3\n3,4\n-1,-1\n"


LAYERS = (("node1", "Input0", "0.000", "0.000", "0.0", "0.000"),
          ("node2", "Conv2d(3, 64, kernel_size=(3, 3))", "2.500", "1.500", "8.000", "32.000"),
          ("node3", "ReLU", "1.000", "2.000", "[4.0; 2.0]", "0.000"))  # fmt: skip


PIPEDREAM = (
    "".join(
        f"{name} -- {layer} -- forward_compute_time={forward}, backward_compute_time={backward}, "
        f"activation_size={activations}, parameter_size={parameters}\n"
        for name, layer, forward, backward, activations, parameters in LAYERS
    )
    + "\tnode1 -- node2\n\tnode2 -- node3"
)


DOT = """// two parts
digraph "tiny" {
  node [shape=box];
  a [label="x -> y", weight=4]; b [weight=3];
  c
  a -> b [weight=7];
  a -> c;
  b -> d -> e;
}
"""


HMETIS = "% comment\n2 4 11\n5 1 2 3\n1 3 4\n4\n3\n2\n6\n"


MINOS = json.dumps({"name": "m", "runtime": [1.0, 2.0, 3.0], "size": [8, 0, 0], "edges": [[0, 1, 0.5], [1, 2, 0.25]]})


def pairs(graph):
    return sorted((graph.names[u], graph.names[v]) for u, v in zip(graph.edge_source, graph.consumers, strict=True))
