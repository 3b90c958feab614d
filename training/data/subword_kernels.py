"""Kernels that draw segmentations: BPE-dropout (Provilkov 2020), unigram sampling (Kudo 2018).

A word is a sequence of symbols: its characters, or the bytes of a character that the vocabulary
lacks. Symbols are pieces too, so a segmentation of the word is a sequence of the same kind, written
in place of the symbols, and no text is needed.
"""

# Shapes: N lines, I ids of all lines, W words, Y symbols of all words, V vocabulary, Z places of a
# table, M nodes of a trie, E entries of a table.

# All of them are in one file: Numba recompiles a kernel when its own file changes, but does not
# notice a change to a function in another file that the kernel calls.

from typing import NamedTuple

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


class PairTable(NamedTuple):
    """A hash table from pairs of numbers to numbers; Z is a power of two."""

    keys: Keys
    """(Z,) see `join_key`."""
    values: Ints
    """(Z,), `_NONE` where a place is empty."""


class Merges(NamedTuple):
    """The merges of a BPE model."""

    ranks: PairTable
    """The rank of each pair of pieces that can be merged; 0 is the best."""
    merged: Ints
    """(V or fewer,) the piece that the merge of each rank makes."""
    dropped: np.uint64
    """The probability that a merge is left out, times 2^53."""


class Trie(NamedTuple):
    """All pieces of a unigram model; every symbol is a piece."""

    edges: PairTable
    """The node that follows a node and a symbol; 0 is the root."""
    ends: Ints
    """(M,) the piece that ends in each node, or -1."""
    weights: Doubles
    """(M,) the log of the weight of that piece."""


class Spelling(NamedTuple):
    """The symbols of each piece."""

    symbols: Ints
    """Those of piece i are `symbols[bounds[i]:bounds[i + 1]]`."""
    bounds: Places
    """(V + 1,)"""
    mark: int
    """The symbol that stands for a space."""


class Words(NamedTuple):
    """Words to segment."""

    symbols: Ints
    """(Y,) those of word w are `symbols[starts[w]:starts[w + 1]]`."""
    starts: Places
    """(W + 1 or more,)"""
    keys: Keys
    """(W,) what is drawn for a word depends on nothing but its key."""


@kernel
def mixed(state: np.uint64) -> np.uint64:
    """Return `splitmix64` of one number."""
    z = state + _GAMMA
    z = (z ^ (z >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return z ^ (z >> _S31)


@kernel
def join_key(left: int, right: int) -> np.uint64:
    """Return the key of a pair."""
    return np.uint64(left) << _S32 | np.uint64(right)


@kernel
def place_of(table: PairTable, key: np.uint64) -> np.uint64:
    """Find `key`, or room for it: in the first such place from that of its hash on."""
    keys, values = table
    last = np.uint64(len(keys) - 1)
    place = (key * _GAMMA >> _S32) & last
    while values[place] != _NONE and keys[place] != key:
        place = (place + _ONE) & last
    return place


@kernel
def fill_table(entries: Ints, table: PairTable) -> None:
    """Fill the table with entries (E, 3), of a pair and its value each; Z is greater than E."""
    table.values[:] = _NONE
    for e in range(len(entries)):
        key = join_key(entries[e, 0], entries[e, 1])
        place = place_of(table, key)
        table.keys[place], table.values[place] = key, entries[e, 2]


@kernel
def value_of(table: PairTable, left: int, right: int) -> int:
    """Return the value of a pair, or `_NONE`, which is greater than any value."""
    value: int = table.values[place_of(table, join_key(left, right))]
    return value


@kernel
def split_words(
    ids: Ints, lengths: Places, spelling: Spelling, seed: np.uint64, words: Words, counts: Places
) -> int:
    """Spell out lines of pieces, and divide them into words before each mark.

    Args:
        ids: (I,) the pieces of all lines.
        lengths: (N,) the number of pieces of each line.
        words: is written; there is room for I words. The key of a word is a hash of its symbols and
            of `seed`.
        counts: (N,) is written: the number of words in each line.

    Returns:
        How many words there are: at most I, because a mark can only be the first symbol of a piece.
    """
    spelt, bounds, mark = spelling
    symbols, starts, keys = words
    found, at, first = 0, 0, 0
    for n in range(len(lengths)):
        before = found
        for i in range(first, first + lengths[n]):
            for j in range(bounds[ids[i]], bounds[ids[i] + 1]):
                symbol = spelt[j]
                if symbol == mark or found == before:
                    starts[found], keys[found] = at, seed
                    found += 1
                symbols[at] = symbol
                keys[found - 1] = mixed(keys[found - 1] ^ np.uint64(symbol))
                at += 1
        first += lengths[n]
        counts[n] = found - before
    starts[found] = at
    return found


@kernel
def merge_word(merges: Merges, key: np.uint64, word: Ints, at: Ints) -> int:
    """Replace a word by a segmentation of it: Algorithm 1 of Provilkov et al. (2020).

    In every step each possible merge is left out with the same probability, and the best of the
    others is applied, the leftmost among equals. If there is none, the word is done.

    Args:
        word: (its number of symbols,).
        at: (no shorter than `word`,) is overwritten: at[i] is the rank of the merge of pieces i and
            i + 1.

    Returns:
        The number of pieces.
    """
    ranks, merged, dropped = merges
    size = len(word)
    for i in range(size - 1):
        at[i] = value_of(ranks, word[i], word[i + 1])
    while True:
        best, place = _NONE, 0
        for i in range(size - 1):
            if at[i] < best:  # it makes no difference whether the others are left out
                if mixed(key) >> _S11 >= dropped:
                    best, place = at[i], i
                key += _GAMMA
        if best == _NONE:
            return size
        word[place] = merged[best]
        size -= 1
        for i in range(place + 1, size):
            word[i], at[i - 1] = word[i + 1], at[i]
        if place > 0:
            at[place - 1] = value_of(ranks, word[place - 1], word[place])
        if place < size - 1:
            at[place] = value_of(ranks, word[place], word[place + 1])


@kernel
def merge_words(merges: Merges, words: Words, counts: Places) -> int:
    """Replace the symbols of all words by their segmentations, one after the other.

    Args:
        counts: (W,) is written: the number of pieces of each word.

    Returns:
        The number of pieces of all words.
    """
    symbols, starts, keys = words
    total, ranks = 0, np.empty(len(symbols), np.int32)
    for w in range(len(keys)):
        word = symbols[starts[w] : starts[w + 1]]
        counts[w] = merge_word(merges, keys[w], word, ranks)
        for i in range(counts[w]):
            symbols[total + i] = word[i]
        total += counts[w]
    return total


@kernel
def sum_weights(trie: Trie, word: Ints, sums: Doubles) -> None:
    """Compute the log of the sum of the weights of all segmentations of word[i:], for each i.

    The weight of a segmentation is the product of the weights of its pieces.

    Args:
        sums: (longer than `word`,) is written.
    """
    edges, ends, weights = trie
    sums[len(word)] = 0.0
    for start in range(len(word) - 1, -1, -1):
        total, node = -np.inf, 0
        for end in range(start, len(word)):
            node = value_of(edges, node, word[end])
            if node == _NONE:
                break
            if ends[node] >= 0:
                more = weights[node] + sums[end + 1]
                total = max(total, more) + np.log1p(np.exp(-abs(total - more)))
        sums[start] = total


@kernel
def draw_word(trie: Trie, key: np.uint64, word: Ints, sums: Doubles) -> int:
    """Replace a word by a segmentation of it, drawn in proportion to its weight.

    Pieces are drawn from left to right; `sums` is the result of `sum_weights`.

    Returns:
        The number of pieces.
    """
    edges, ends, weights = trie
    size, start = 0, 0
    while start < len(word):
        rest = np.float64(mixed(key) >> _S11) * 2.0**-53
        key += _GAMMA
        node, piece, next_start = 0, 0, 0
        for end in range(start, len(word)):
            node = value_of(edges, node, word[end])
            if node == _NONE:
                break  # because of rounding; the last piece is taken
            if ends[node] >= 0:
                piece, next_start = ends[node], end + 1
                rest -= np.exp(weights[node] + sums[next_start] - sums[start])
                if rest < 0:
                    break
        word[size] = piece  # size <= start: what is overwritten has been read
        size, start = size + 1, next_start
    return size


@kernel
def draw_words(trie: Trie, words: Words, counts: Places) -> int:
    """Replace words as `merge_words` does, each by a segmentation drawn by its weight."""
    symbols, starts, keys = words
    total, sums = 0, np.empty(len(symbols) + 1, np.float64)
    for w in range(len(keys)):
        word = symbols[starts[w] : starts[w + 1]]
        sum_weights(trie, word, sums)
        counts[w] = draw_word(trie, keys[w], word, sums)
        for i in range(counts[w]):
            symbols[total + i] = word[i]
        total += counts[w]
    return total
