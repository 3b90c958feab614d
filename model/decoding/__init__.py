"""Decoding: the search arithmetic and the one decode loop."""
