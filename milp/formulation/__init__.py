"""The MILP: variables and row families."""
