"""What stands in the source, counted by hand."""

import pytest

from training.metrics.source_use import source_use


def test_shares_by_hand() -> None:
    """Words: a cat sat (copied), quietly (new). Pairs: 3, of which "sat quietly" is new."""
    use = source_use(["Once a cat sat here."], ["A cat sat quietly!"])
    assert use.copied == 75.0
    assert use.novel == pytest.approx((25.0, 100 / 3, 50.0, 100.0))
    assert use.names == 0
    assert use.names_in_source == 0.0


def test_shares_are_over_all_lines() -> None:
    use = source_use(["a b c", "d"], ["a b c", "e"])
    assert use.copied == 75.0
    assert use.novel == (25.0, 0.0, 0.0, 0.0)
