"""What a run tells: progress, metrics, curves, the report, the model card."""
