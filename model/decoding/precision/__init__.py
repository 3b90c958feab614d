"""The number format of the matrix products: its names, the choice, and its cache."""
