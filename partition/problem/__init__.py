"""What is asked: the graph of operations, the package of chips, placements, routes."""
