"""The exact program over ideals (down-sets) of the graph."""
