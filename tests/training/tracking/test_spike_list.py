"""Spike list: what stood out, and the batch that it came from, as text."""

from html import unescape

import pytest

from training.tracking.run_record import PairRow, SpikeRow
from training.tracking.spike_list import headline, spike_id, spike_list

PAIR = PairRow(
    corpus="train[1]",
    number=1234,
    source='<script>alert("1")</script>\n',
    target="a\u202eb",
    source_pieces=12,
    target_pieces=7,
    nll=14.25,
)
SPIKE = SpikeRow(
    step=1_500,
    kind="loss",
    nll=9.31,
    gradient_norm=45.0,
    usual=3.2,
    excess=14.3,
    target_pieces=1_903,
    pairs={"train[0]": [1, 2, 3, 7, 9, 10], "train[1]": [1234]},
    hardest=PAIR,
    longest=PAIR,
)


def test_an_entry_names_its_batch() -> None:
    page = spike_list([SPIKE])

    assert f'id="{spike_id(SPIKE)}"' in page
    assert "<dt>train[0]</dt><dd>1-3, 7, 9-10</dd><dt>train[1]</dt><dd>1234</dd>" in page
    assert "7 pairs, 1,903 target pieces" in page
    text = unescape(page)
    assert "train[1], pair 1,234: 14.25 nats per target piece, 12 + 7 pieces" in text
    assert '<script>alert("1")</script>\\n → a\\u202eb' in text
    assert "<script" not in page and "\u202e" not in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "step 1,500: loss 9.31, median before it 3.20, 14 deviations above"),
        ({"excess": None}, "step 1,500: loss 9.31, median before it 3.20"),
        (
            {"kind": "gradient", "usual": 1.5},
            "step 1,500: norm of the gradient 45.00, median before it 1.50, 14 deviations above",
        ),
        (
            {"kind": "not finite", "nll": None, "usual": None, "excess": None},
            "step 1,500: loss or gradient not finite, update skipped",
        ),
    ],
)
def test_the_headline_says_what_stands_out(changes: SpikeRow, words: str) -> None:
    assert headline({**SPIKE, **changes}) == words


def test_entries_are_in_the_order_of_steps() -> None:
    page = spike_list([SPIKE, {**SPIKE, "step": 20}])

    assert page.index("spike-20") < page.index("spike-1500")
    assert spike_list([]) == ""
