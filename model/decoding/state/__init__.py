"""The state of a search: slots, beams, back-pointers, what is certain already."""
