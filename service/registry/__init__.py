"""The models being served: naming, loading, selecting and reloading them."""
