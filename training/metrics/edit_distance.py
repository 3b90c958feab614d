"""Edit distance: the fewest changes that turn one sequence into another (Levenshtein 1966)."""

from collections.abc import Sequence


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the insertions, deletions and substitutions of single symbols, each at a cost of 1."""
    row = list(range(len(other) + 1))  # distances of the empty beginning of `one`
    for number, symbol in enumerate(one, 1):
        before, row[0] = row[0], number
        for place, wanted in enumerate(other, 1):
            cost = min(before + (symbol != wanted), row[place] + 1, row[place - 1] + 1)
            before, row[place] = row[place], cost
    return row[-1]
