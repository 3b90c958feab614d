"""Taking a text apart and putting translations together, without any network."""

import itertools
import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.search import Hypothesis
from model.text.tokenizer import Tokenizer
from model.translation import assemble, best_combinations, plan_sources, plan_text

LIMIT = 16
SENTENCES = "der Hund läuft. das Haus ist klein! eine Frau schläft unter der Straße. 10 Hunde."


def hypothesis(score: float, pieces: tuple[int, ...], weights: list[list[float]]) -> Hypothesis:
    return Hypothesis(
        pieces=pieces,
        log_prob=2 * score,
        score=score,
        truncated=score < -5,
        weights=torch.tensor(weights),
    )


def scored(score: float) -> Hypothesis:
    return hypothesis(score, (), [[1.0]])


@given(st.data())
def test_a_plan_holds_the_whole_text(tiny_tokenizer: Tokenizer, data: st.DataObject) -> None:
    words = st.sampled_from(["Hund", "Straße.", " ", "\u00a0", "\n", "x" * 30, "日", "e\u0301", ""])
    text = "".join(data.draw(st.lists(words, max_size=20)))
    plan = plan_text(text, tiny_tokenizer, LIMIT)
    written = [part if isinstance(part, str) else tiny_tokenizer.decode(part) for part in plan]
    assert "".join(written) == unicodedata.normalize("NFC", text)
    assert all(1 <= len(src) <= LIMIT for src in plan_sources(plan))
    assert all(part.isspace() for part in plan if isinstance(part, str) and part)


@pytest.mark.parametrize("text", ["", " ", "\t \u3000", "\r", "\u2028\x85\v"])
def test_a_blank_text_has_nothing_to_search_and_stays(tiny_tokenizer: Tokenizer, text: str) -> None:
    plan = plan_text(text, tiny_tokenizer, LIMIT)
    assert plan_sources(plan) == []
    translation = assemble(plan, [], 3, tiny_tokenizer)
    assert translation.text == text
    (only,) = translation.hypotheses
    assert (only.score, only.log_prob, only.pieces, only.alignment) == (0, 0, (), ())
    assert not only.truncated
    assert only.weights is None


def test_white_space_at_the_ends_is_not_searched(tiny_tokenizer: Tokenizer) -> None:
    plan = plan_text("\t Hund  ", tiny_tokenizer, LIMIT)
    src = tuple(tiny_tokenizer.encode("Hund"))
    assert plan_sources(plan) == [src]
    found = [[hypothesis(-1, src, [[1.0] * (len(src) + 1)] * (len(src) + 1))]]
    assert assemble(plan, found, 1, tiny_tokenizer).text == "\t Hund  "


def test_alignment_leaves_out_both_ends_of_sentence(tiny_tokenizer: Tokenizer) -> None:
    plan = plan_text("Hund rot", tiny_tokenizer, LIMIT)
    (src,) = plan_sources(plan)
    rows = torch.zeros(3, len(src) + 1)
    rows[0, 1], rows[0, -1] = 0.3, 0.7  # most of it on EOS: the best real piece counts
    rows[1, 0] = 1.0
    rows[2, 1] = 1.0  # of the target's EOS
    found = [[hypothesis(-1, src[:2], rows.tolist())]]
    (only,) = assemble(plan, found, 1, tiny_tokenizer).hypotheses
    assert only.alignment == (1, 0)
    assert only.weights is not None
    assert only.weights.equal(rows)


def test_parts_are_joined_with_their_separators_sums_and_offsets(
    tiny_tokenizer: Tokenizer,
) -> None:
    plan = plan_text("  " + SENTENCES + "\n", tiny_tokenizer, LIMIT)
    sources = plan_sources(plan)
    assert len(sources) >= 3
    found = []
    for number, src in enumerate(sources):
        weights = torch.zeros(2, len(src) + 1)
        weights[0, len(src) - 1] = 1.0
        found.append([hypothesis(-1.5 - 4 * number, (src[0],), weights.tolist())])
    translation = assemble(plan, found, 1, tiny_tokenizer)

    ends = list(itertools.accumulate(len(src) for src in sources))
    (only,) = translation.hypotheses
    assert only.alignment == tuple(end - 1 for end in ends)
    assert len(translation.source_pieces) == ends[-1]
    assert translation.source_pieces[: ends[0]] == tuple(map(tiny_tokenizer.piece, sources[0]))
    assert only.score == sum(one[0].score for one in found)
    assert only.log_prob == sum(one[0].log_prob for one in found)
    assert only.truncated, "one part was"
    assert only.weights is None
    assert only.translation.startswith("  ")
    assert only.translation.endswith("\n")
    assert (
        only.translation.split()
        == "  ".join(tiny_tokenizer.decode(src[:1]) for src in sources).split()
    )


numbers = st.integers(-9, 0).map(float)  # sums of whole numbers are exact, and ties are frequent


@given(st.lists(st.lists(numbers, min_size=1, max_size=4), max_size=4), st.integers(1, 6))
def test_best_combinations_are_those_of_all(parts: list[list[float]], count: int) -> None:
    lists = [[scored(x) for x in sorted(part, reverse=True)] for part in parts]
    every = sorted(
        (sum(h.score for h in choice) for choice in itertools.product(*lists)), reverse=True
    )
    found = best_combinations(lists, count)
    assert [sum(h.score for h in choice) for choice in found] == every[:count]
    assert len({tuple(map(id, choice)) for choice in found}) == len(found)
