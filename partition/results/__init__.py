"""What comes back: the result, its progress, its confirmation and how it is shown."""
