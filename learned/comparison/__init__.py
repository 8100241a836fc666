"""The policy beside random search and annealing."""
