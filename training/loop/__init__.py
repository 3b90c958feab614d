"""The training loop: what a run begins with, its updates, and how it recovers."""
