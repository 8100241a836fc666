"""Proofs replayed: the file of a proof is proved again, by arithmetic of its own, from what the user gave alone.

This room shares no code with the search, nor with the cost model and the rule checker. What another program would
have to know is in docs/problem.md and docs/replay.md; everything here was written from those pages.
"""
