"""The int8 engine of CPUs: kernels compiled by Numba, and the network and search that call them."""
