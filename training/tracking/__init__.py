"""Tracking of a run: progress, metrics, curves, the report, the model card."""
