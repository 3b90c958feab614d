"""Kernels that draw segmentations: BPE-dropout (Provilkov 2020), unigram sampling (Kudo 2018).

A word is a row of symbols, which are pieces themselves: its characters, and the bytes of those that
the vocabulary lacks. So are its segmentations: pieces take the place of symbols, and no text is
needed.
"""

# Shapes: N lines, I ids of all lines, W words, Y symbols of all words, V vocabulary, Z places of a
# table, M nodes of a trie.

# All of them are in one file: Numba recompiles a kernel when its own file changes, but does not
# see changes in another that it calls a function of.

import numpy as np
from numpy.typing import NDArray

from model.decoding.native.compiled import kernel

Ints = NDArray[np.int32]
Places = NDArray[np.int64]
Keys = NDArray[np.uint64]
Doubles = NDArray[np.float64]

# The same numbers as in training/data/counter_rng.py.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_S32, _S11, _ONE = np.uint64(32), np.uint64(11), np.uint64(1)

_NONE = np.int32(2**31 - 1)


@kernel
def mixed(state: np.uint64) -> np.uint64:
    """`splitmix64` of one number."""
    z = state + _GAMMA
    z = (z ^ (z >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return z ^ (z >> _S31)


@kernel
def join_key(left: int, right: int) -> np.uint64:
    """The key of a pair."""
    return np.uint64(left) << _S32 | np.uint64(right)


@kernel
def place_of(keys: Keys, values: Ints, key: np.uint64) -> np.uint64:
    """Where the table has `key`, or room for it: the first place from that of its hash on."""
    last = np.uint64(len(keys) - 1)
    place = (key * _GAMMA >> _S32) & last
    while values[place] != _NONE and keys[place] != key:
        place = (place + _ONE) & last
    return place


@kernel
def fill_table(entries: Ints, keys: Keys, values: Ints) -> None:
    """Put entries (E, 3), the value of a pair in the last column, into an empty table (Z,).

    Z is a power of two, and more than E.
    """
    values[:] = _NONE
    for e in range(len(entries)):
        key = join_key(entries[e, 0], entries[e, 1])
        place = place_of(keys, values, key)
        keys[place], values[place] = key, entries[e, 2]


@kernel
def value_of(keys: Keys, values: Ints, left: int, right: int) -> int:
    """Return the value of the pair in the table, or one above all others if it has none."""
    value: int = values[place_of(keys, values, join_key(left, right))]
    return value


@kernel
def split_words(
    ids: Ints,
    lengths: Places,
    bounds: Places,
    spelt: Ints,
    mark: int,
    seed: np.uint64,
    symbols: Ints,
    starts: Places,
    keys: Keys,
    counts: Places,
) -> int:
    """Spell lines of pieces in symbols (Y,), and divide them before each `mark`, which is a space.

    `spelt[bounds[id]:bounds[id + 1]]` are the symbols of a piece. Word w gets the symbols from
    `starts[w]` to `starts[w + 1]` and a key, a hash of them and of `seed`. `counts` (N,) are the
    words of each line.

    Returns:
        How many words there are: at most as many as pieces, since a mark only begins a piece.
    """
    words, at, first = 0, 0, 0
    for n in range(len(lengths)):
        before = words
        for i in range(first, first + lengths[n]):
            for j in range(bounds[ids[i]], bounds[ids[i] + 1]):
                symbol = spelt[j]
                if symbol == mark or words == before:
                    starts[words], keys[words] = at, seed
                    words += 1
                symbols[at] = symbol
                keys[words - 1] = mixed(keys[words - 1] ^ np.uint64(symbol))
                at += 1
        first += lengths[n]
        counts[n] = words - before
    starts[words] = at
    return words


@kernel
def merge_word(
    pairs: Keys, ranks: Ints, ranked: Ints, dropped: np.uint64, key: np.uint64, word: Ints, at: Ints
) -> int:
    """Put a segmentation of `word` in its place: Algorithm 1 of Provilkov et al. (2020).

    At every step each possible merge is left out with the same probability, and the best that
    remains is applied, the leftmost among equals; without one, the word is done. `at` is for the
    merges: at[i] is the rank of that of pieces i and i + 1. The rest: see `merge_words`.

    Returns:
        How many pieces it has.
    """
    size = len(word)
    for i in range(size - 1):
        at[i] = value_of(pairs, ranks, word[i], word[i + 1])
    while True:
        best, place = _NONE, 0
        for i in range(size - 1):
            if at[i] < best:  # whether the others are left out does not matter
                if mixed(key) >> _S11 >= dropped:
                    best, place = at[i], i
                key += _GAMMA
        if best == _NONE:
            return size
        word[place] = ranked[best]
        size -= 1
        for i in range(place + 1, size):
            word[i], at[i - 1] = word[i + 1], at[i]
        if place > 0:
            at[place - 1] = value_of(pairs, ranks, word[place - 1], word[place])
        if place < size - 1:
            at[place] = value_of(pairs, ranks, word[place], word[place + 1])


@kernel
def merge_words(
    pairs: Keys,
    ranks: Ints,
    ranked: Ints,
    dropped: np.uint64,
    symbols: Ints,
    starts: Places,
    keys: Keys,
    counts: Places,
) -> int:
    """Put a segmentation of each word in place of `symbols` (Y,), one after the other.

    The table (Z,) has the rank of each pair of pieces that can be merged, 0 the best; `ranked`,
    what they are merged into. A merge is left out with probability `dropped` / 2^53. What is drawn
    for word w depends on keys[w] only; its pieces are counted in counts[w].

    Returns:
        How many pieces there are.
    """
    total, merges = 0, np.empty(len(symbols), np.int32)
    for w in range(len(keys)):
        word = symbols[starts[w] : starts[w + 1]]
        counts[w] = merge_word(pairs, ranks, ranked, dropped, keys[w], word, merges)
        for i in range(counts[w]):
            symbols[total + i] = word[i]
        total += counts[w]
    return total


@kernel
def sum_weights(
    edges: Keys, nodes: Ints, ends: Ints, weights: Doubles, word: Ints, sums: Doubles
) -> None:
    """sums[i] = log of the sum over all segmentations of word[i:] of their weights.

    A segmentation's weight is the product of those of its pieces. The rest: see `draw_words`.
    """
    sums[len(word)] = 0.0
    for start in range(len(word) - 1, -1, -1):
        total, node = -np.inf, 0
        for end in range(start, len(word)):
            node = value_of(edges, nodes, node, word[end])
            if node == _NONE:
                break
            if ends[node] >= 0:
                more = weights[node] + sums[end + 1]
                total = max(total, more) + np.log1p(np.exp(-abs(total - more)))
        sums[start] = total


@kernel
def draw_word(
    edges: Keys,
    nodes: Ints,
    ends: Ints,
    weights: Doubles,
    key: np.uint64,
    word: Ints,
    sums: Doubles,
) -> int:
    """Put a segmentation of `word` in its place, drawn in proportion to its weight.

    Pieces are drawn from the left; `sums` is that of `sum_weights`. The rest: see `draw_words`.

    Returns:
        How many pieces it has.
    """
    size, start = 0, 0
    while start < len(word):
        rest = np.float64(mixed(key) >> _S11) * 2.0**-53
        key += _GAMMA
        node, piece, next_start = 0, 0, 0
        for end in range(start, len(word)):
            node = value_of(edges, nodes, node, word[end])
            if node == _NONE:
                break  # by rounding; then it is the last one
            if ends[node] >= 0:
                piece, next_start = ends[node], end + 1
                rest -= np.exp(weights[node] + sums[next_start] - sums[start])
                if rest < 0:
                    break
        word[size] = piece  # size <= start: what is overwritten has been read
        size, start = size + 1, next_start
    return size


@kernel
def draw_words(
    edges: Keys,
    nodes: Ints,
    ends: Ints,
    weights: Doubles,
    symbols: Ints,
    starts: Places,
    keys: Keys,
    counts: Places,
) -> int:
    """Like `merge_words`, but draw each segmentation in proportion to its weight.

    The table (Z,) is a trie of all pieces, from a node and a symbol to the next node; 0 is the
    root. `ends` (M,) is the piece that ends in a node, or -1; `weights` (M,) the log of its weight.
    Each symbol is a piece.
    """
    total, sums = 0, np.empty(len(symbols) + 1, np.float64)
    for w in range(len(keys)):
        word = symbols[starts[w] : starts[w + 1]]
        sum_weights(edges, nodes, ends, weights, word, sums)
        counts[w] = draw_word(edges, nodes, ends, weights, keys[w], word, sums)
        for i in range(counts[w]):
            symbols[total + i] = word[i]
        total += counts[w]
    return total
