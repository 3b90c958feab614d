"""The state of a search: slots, beams, back-pointers, stable prefixes."""
