"""Learning rates at hand-computed points."""

import pytest

from training.loop.lr_schedule import learning_rate


@pytest.mark.parametrize(
    ("kind", "step", "expected"),
    [
        ("cosine", 1, 0.01),
        ("cosine", 50, 0.5),
        ("cosine", 100, 1.0),
        ("cosine", 600, 0.5),
        ("cosine", 1100, 0.0),
        ("cosine", 5000, 0.0),
        ("inverse_sqrt", 50, 0.5),
        ("inverse_sqrt", 100, 1.0),
        ("inverse_sqrt", 400, 0.5),
    ],
)
def test_warm_up_then_decay(kind: str, step: int, expected: float) -> None:
    rate = learning_rate(
        step,
        kind=kind,  # type: ignore[arg-type]
        peak=1.0,
        warmup_steps=100,
        max_steps=1100,
    )
    assert rate == pytest.approx(expected, abs=1e-12)


def test_no_warm_up() -> None:
    rate = learning_rate(1, kind="inverse_sqrt", peak=0.5, warmup_steps=0, max_steps=9)
    assert rate == 0.5
