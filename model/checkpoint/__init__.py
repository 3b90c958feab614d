"""Checkpoints: one directory with all that translating needs, and the run that keeps them."""
