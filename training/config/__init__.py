"""The configuration of a training run, checked when it is read."""
