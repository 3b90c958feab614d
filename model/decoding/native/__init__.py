"""The int8 engine for CPUs: kernels compiled by Numba, with the network and search using them."""
