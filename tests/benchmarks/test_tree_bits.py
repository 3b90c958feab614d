"""What counts as equal to the last bit."""

import pytest

from benchmarks.tree_bits import equality


def test_all_is_equal_to_itself() -> None:
    things: dict[str, dict[str, object]] = {"line 1": {"text": "a", "score": -0.1}, "line 2": {}}
    found = equality("x", things, things)
    assert (found.compared, found.different, found.first) == (2, 0, "")


@pytest.mark.parametrize(("base", "here"), [(0.1, 0.1 + 2**-56), (0.0, -0.0), (1, 1.0), ("a", "b")])
def test_one_bit_is_a_difference_and_the_first_one_is_told(base: object, here: object) -> None:
    same: dict[str, object] = {"score": [1.5]}
    found = equality(
        "x",
        {"line 1": same, "line 2": {"score": [base]}, "line 3": {"score": [base]}},
        {"line 1": same, "line 2": {"score": [here]}, "line 3": {"score": [here]}},
    )
    assert (found.compared, found.different) == (3, 2)
    assert found.first == f"line 2, score: {[base]!r} in the base, {[here]!r} here"


def test_a_new_key_is_no_difference_and_a_missing_line_is() -> None:
    assert equality("x", {"line 1": {"a": 1}}, {"line 1": {"a": 1, "b": 2}}).different == 0
    found = equality("x", {"line 1": {"a": 1}, "line 2": {"a": 1}}, {"line 1": {"a": 1}})
    assert (found.different, found.first) == (1, "line 2: only in the base")
