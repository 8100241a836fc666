"""The search for the least period, and around it kinds, places of stages and further goals."""
