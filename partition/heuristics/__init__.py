"""Ways to a valid placement: slicing, repair, completion."""
