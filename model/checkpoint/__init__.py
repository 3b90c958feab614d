"""Checkpoints: directories with all that translation needs, and the run that holds them."""
