"""What stands in the source, counted by hand."""

import pytest

from training.metrics.source_use import names_of, source_use, stands_in


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


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A Survey of BiLSTM-CRF models", ["BiLSTM-CRF"]),
        ("COVID-19: what (GPT-4) says in 3 steps", ["COVID-19", "GPT-4", "3"]),
        ("Learning Deep Things", []),
        ("Die ÖBB, die NÖ und Österreich; США и Россия", ["ÖBB", "NÖ", "США"]),
        ("the -Xmx flag, a 4K screen, 'A' --", ["4K"]),
        ("the $L_2$ norm of Cosmos-Reason1, and mRNA.", ["L_2", "Cosmos-Reason1", "mRNA"]),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    assert names_of(text) == names


@pytest.mark.parametrize(
    ("name", "source", "there"),
    [
        ("BERT", "we use bert.", True),
        ("Cosmos-Reason1B", "the model Cosmos-Reason1 is", False),
        ("Reason1", "the model Cosmos-Reason1 is", True),
        ("GPT-4", "a GPT-4-based system", True),
        ("19", "in 2019", False),
        ("C++11", "with C++11", True),
    ],
)
def test_a_name_stands_there_as_a_whole(name: str, source: str, there: bool) -> None:
    assert stands_in(name, source) is there
