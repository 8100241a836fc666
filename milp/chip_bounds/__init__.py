"""What one chip can hold: block capacities and pigeonhole sets."""
