"""HiGHS: the matrix it gets, running it, reading its answer."""
