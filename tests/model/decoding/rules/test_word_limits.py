"""Limits of words against the words of the texts, in every search that there is."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from model.decoding.beam_search import Hypothesis, length_penalty
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import runnable
from model.decoding.request import Request
from model.decoding.rules.word_limits import PieceWords, WordProgress
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

MakeNetwork = Callable[..., Seq2Seq]
Pieces = tuple[int, ...]
Search = Callable[..., list[tuple[Hypothesis, ...]]]

# A word, the rest of one, a space, two words, one that ends in a space.
TEXTS = ["", "", "", "", " a", "b", " ", " c d", "e "]
VOCAB, LIMIT, SRC = len(TEXTS), 3, (4, 5, 6, 5)
BEAM = 64
WORDS = PieceWords.of(TEXTS)


def words(output: Pieces) -> int:
    return len("".join(TEXTS[piece] for piece in output).split())


def goes_on(before: Pieces, piece: int) -> bool:
    """Whether the piece does nothing but continue the last word."""
    after = (*before, piece)
    text = "".join(TEXTS[piece] for piece in after)
    return piece != EOS_ID and words(after) == words(before) and not text[-1].isspace()


def cut_off(output: Pieces, most: int, best: Callable[[Pieces], int]) -> bool:
    """Whether a piece follows the last word that may be, other than to continue it.

    `best` is the piece that the network would write next: that must continue the word, too.
    """
    for place in range(len(output)):
        before = output[:place]
        if words(before) == most and not (
            goes_on(before, output[place]) and goes_on(before, best(before))
        ):
            return True
    return False


@pytest.mark.parametrize("length", range(1, 4))
def test_words_are_counted_as_in_the_text(
    all_outputs: Callable[[int, int], Iterator[Pieces]], length: int
) -> None:
    for output in all_outputs(VOCAB, length):
        progress = WordProgress(torch.zeros(1, 1).long(), torch.zeros(1, 1).long())
        for piece in (*output, EOS_ID):
            progress = progress.after(torch.tensor([[piece]]), WORDS)
        assert progress.begun.item() == words(output)


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Pieces], bool]]] = {
    "one at most": ({}, {"max_words": 1}, lambda y: words(y) <= 1),
    "two at most": ({}, {"max_words": 2}, lambda y: words(y) <= 2),
    "one at least": ({}, {"min_words": 1}, lambda y: words(y) >= 1),
    "two at least": ({}, {"min_words": 2}, lambda y: words(y) >= 2),
    "as many as fit": ({}, {"min_words": 3}, lambda y: words(y) >= 3),
    "two": ({}, {"min_words": 2, "max_words": 2}, lambda y: words(y) == 2),
    "with other rules": (
        {"no_repeat_ngram": 1, "word_reward": 0.4},
        {"min_words": 1, "max_words": 2, "prefix": (5,), "constraints": ((4,),)},
        lambda y: y[:1] == (5,) and 4 in y and len(set(y)) == len(y) and words(y) <= 2,
    ),
}
"""Options, limits, and which outputs they allow if `cut_off` does."""


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("copy", [False, True])
def test_a_wide_beam_is_exhaustive(
    make_network: MakeNetwork,
    forced: Callable[..., Any],
    search_all: Search,
    all_outputs: Callable[[int, int], Iterator[Pieces]],
    name: str,
    copy: bool,
) -> None:
    """No beam holds all 156 outputs: the best ones are those that it must find."""
    network = make_network(VOCAB, copy=copy)
    given, limits, allowed = CASES[name]
    options = SearchOptions(
        beam_size=BEAM, n_best=8, max_length_a=0, max_length_b=LIMIT, alpha=0.7, **given
    )

    def best(before: Pieces) -> int:
        log_probs = forced(network, SRC, before).log_probs[len(before)]
        used = before if options.no_repeat_ngram else ()
        pieces = [piece for piece in range(EOS_ID, VOCAB) if piece not in used]
        return max(pieces, key=lambda piece: float(log_probs[piece]))

    expected = []
    for output in filter(allowed, all_outputs(VOCAB, LIMIT)):
        if (most := limits.get("max_words")) and cut_off(output, most, best):
            continue
        length = len(output) + 1
        penalty = float(length_penalty(options, torch.tensor(length)))
        log_prob = forced(network, SRC, output).log_prob
        expected.append((-log_prob / penalty - options.word_reward * length, output))
    expected.sort()
    request = Request(src=SRC, options=options, **limits)
    (found,) = search_all(network, [request], words=WORDS)
    assert [h.pieces for h in found] == [output for _, output in expected[:8]]
    assert [h.score for h in found] == pytest.approx([-s for s, _ in expected[:8]], abs=1e-4)
    first = dataclasses.replace(request, options=dataclasses.replace(options, n_best=1))
    assert search_all(network, [first], words=WORDS)[0] == found[:1]  # the early stop loses nothing


SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"beam_size": 1},
    "beam": {"beam_size": 5, "n_best": 5},
    "samples": {"beam_size": 5, "n_best": 5, "temperature": 2.0},
    "groups": {"beam_size": 6, "n_best": 6, "diverse_groups": 3},
    "trigrams": {"beam_size": 4, "n_best": 4, "no_repeat_ngram": 3},
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("name", SEARCHES)
def test_limits_hold_to_the_letter(
    make_network: MakeNetwork, search_all: Search, name: str, precision: str
) -> None:
    """In every search and precision, where the network would end sooner, and where it would not."""
    for bias in (-8.0, 8.0):
        network = make_network(VOCAB)
        with torch.no_grad():
            network.output.bias[EOS_ID] = bias
            network.output.bias[4] += 4  # it likes to begin words
        options = SearchOptions(max_length_a=0, max_length_b=12, **SEARCHES[name])
        limits = [(0, 3), (4, 0), (3, 5), (2, 2), (12, 12)]
        requests = [
            Request(src=SRC, options=options, min_words=least, max_words=most)
            for least, most in limits
        ]
        laid_out = runnable(network, getattr(torch, precision))
        found = search_all(laid_out, requests, words=WORDS)
        for (least, most), hypotheses in zip(limits, found, strict=True):
            assert hypotheses
            for hypothesis in hypotheses:
                assert least <= words(hypothesis.pieces) <= (most or 12 * 2)
        (free,) = search_all(laid_out, [Request(src=SRC, options=options)], words=WORDS)
        assert words(free[0].pieces) > 5 if bias < 0 else words(free[0].pieces) < 2


def test_the_most_words_end_an_output_before_its_fewest_pieces(
    make_network: MakeNetwork, search_all: Search
) -> None:
    options = SearchOptions(beam_size=BEAM, n_best=BEAM, min_length=9, max_length_b=12)
    request = Request(src=SRC, options=options, max_words=1)
    found = search_all(make_network(VOCAB), [request], words=WORDS)[0]
    assert min(len(h.pieces) for h in found) < 9
    assert {words(h.pieces) for h in found} == {1}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_last_word_is_continued_only_where_the_network_would_or_a_constraint_must(
    make_network: MakeNetwork, search_all: Search, precision: str
) -> None:
    """The network likes best to begin words, and next best to continue them: not to end."""
    network = make_network(VOCAB)
    with torch.no_grad():
        network.output.bias[4] += 40
        network.output.bias[5] += 20
    laid_out = runnable(network, getattr(torch, precision))
    options = SearchOptions(beam_size=4, max_length_a=0, max_length_b=6)
    limits: list[dict[str, Any]] = [{}, {"constraints": ((4, 5),)}, {"prefix": (4, 5)}]
    requests = [Request(src=SRC, options=options, max_words=1, **given) for given in limits]
    found = [h[0].pieces for h in search_all(laid_out, requests, words=WORDS)]
    assert found == [(4,), (4, 5), (4, 5)]


def test_without_a_table_every_piece_is_a_word(
    make_network: MakeNetwork, search_all: Search
) -> None:
    request = Request(src=SRC, options=SearchOptions(), min_words=4, max_words=4)
    assert len(search_all(make_network(VOCAB), [request])[0][0].pieces) == 4
