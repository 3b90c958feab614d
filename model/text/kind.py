"""Kind: what a model reads or writes, on each of its two sides."""

from typing import Literal

Kind = Literal["pieces", "symbols", "vectors"]
"""Pieces of text by a tokenizer, symbols of a closed alphabet, or vectors of numbers."""
