"""Measures of outputs against references."""
