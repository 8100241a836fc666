"""Placements of little traffic: starts by closures of least cut along smooth directions, refined by moves and flows."""
