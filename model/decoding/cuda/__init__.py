"""How the steps of a search are launched on a CUDA device."""
