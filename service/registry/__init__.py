"""The models being served: how they are named, loaded and renewed."""
