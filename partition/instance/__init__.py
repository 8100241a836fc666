"""The contracted problem: nodes, rows of tensors, orders."""
