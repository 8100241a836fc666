"""The guide: what it foresees of the states of a beam, and how it learned that."""
