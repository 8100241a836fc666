"""What a threshold implies before any search: windows of chips, nodes that cannot be separated."""
