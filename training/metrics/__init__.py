"""Metrics that compare outputs with references."""
