"""Nearest: the known names that a mistyped one most likely means."""

from collections.abc import Collection

_LONGEST = 40
"""Characters of the given name that are compared: a name from outside may be of any length."""


def nearest(given: str, known: Collection[str]) -> list[str]:
    """The names of `known` that `given` most likely means: usually one, none if none is near.

    Case, and whether words are joined by `_` or `-`, does not matter. A name is near if at most a
    third of the characters of `given` must be edited, or if `given` is its first words and those of
    no other name, as "beam" is of "beam_size".
    """
    given = _plain(given[:_LONGEST])
    distances = {name: edit_distance(given, _plain(name)) for name in known}
    least = min(distances.values(), default=0)
    if least <= len(given) // 3:
        return [name for name, distance in distances.items() if distance == least]
    begun = [name for name in known if _plain(name).startswith(f"{given}_")]
    return begun if len(begun) == 1 else []


def edit_distance(one: str, other: str) -> int:
    """Characters to insert, leave out, replace or swap with their neighbour between two words.

    This is the restricted distance of Damerau (1964), in which nothing is edited twice.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                row[j] = min(row[j], before[j - 2] + 1)
        before, last = last, row
    return last[-1]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
