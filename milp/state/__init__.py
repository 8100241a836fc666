"""What the phases of a search share: the incumbent, advice."""
