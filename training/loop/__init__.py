"""The training loop: setting up a run, its updates, and recovery from divergence."""
