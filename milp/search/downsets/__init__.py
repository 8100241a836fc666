"""Anytime exact search over down-sets: chips are filled one after the other, operation by operation."""
