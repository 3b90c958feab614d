"""How long tests wait."""

PATIENCE_S = 600.0
"""Seconds that a test waits for what must come. A busy machine is no failure; only a hang is."""
