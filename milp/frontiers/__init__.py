"""The exact program over frontiers, for the triangle rule."""
