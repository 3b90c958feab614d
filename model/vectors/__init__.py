"""Sequences of vectors, such as frames: their files, and the Python API for models of them."""
