"""Loss spikes: an update that stands out is seen, an ordinary one is not."""

import math

import numpy as np
import pytest

from training.loop.loss_spikes import SpikeDetector


def calm(count: int = 200, *, clip_norm: float = 1.0) -> SpikeDetector:
    """A detector after losses of N(3, 0.2) and norms of N(1, 0.1), none of which was a spike."""
    rng = np.random.default_rng(1)
    detector = SpikeDetector([], clip_norm=clip_norm)
    for _ in range(count):
        assert not detector.watch(rng.normal(3.0, 0.2), rng.normal(1.0, 0.1))
    return detector


def test_a_high_loss_is_a_spike_and_its_excess_counts_deviations() -> None:
    spike = calm().watch(5.0, 1.0)

    assert spike is not None
    assert spike.kind == "loss" and spike.usual == pytest.approx(3.0, abs=0.05)
    assert spike.excess == pytest.approx(10.0, rel=0.2)
    assert calm().watch(3.8, 1.0) is None
    assert calm().watch(0.5, 1.0) is None


def test_a_gradient_is_a_spike_if_it_is_both_unusual_and_clipped_heavily() -> None:
    spike = calm().watch(3.0, 6.0)

    assert spike is not None and (spike.kind, round(spike.usual)) == ("gradient", 1)
    assert calm().watch(3.0, 4.0) is None  # unusual, but little is clipped
    assert calm(clip_norm=0.1).watch(3.0, 1.2) is None  # as usual, though all are clipped


@pytest.mark.parametrize(("nll", "norm"), [(math.nan, 1.0), (3.0, math.inf)])
def test_what_is_not_finite_is_a_spike_at_once(nll: float, norm: float) -> None:
    detector = SpikeDetector([], clip_norm=1.0)
    spike = detector.watch(nll, norm)

    assert spike is not None and (spike.kind, spike.excess) == ("not finite", math.inf)
    assert not detector.losses


def test_the_first_losses_are_no_spikes_and_a_lasting_rise_is_one_only_for_a_while() -> None:
    young = calm(19)
    assert young.watch(9.0, 1.0) is None
    rising = calm()
    found = [bool(rising.watch(6.0 + 0.1 * (n % 3), 1.0)) for n in range(200)]
    assert found[0] and not any(found[100:])


def test_equal_losses_do_not_make_a_small_rise_a_spike() -> None:
    detector = SpikeDetector([2.0] * 50, clip_norm=1.0)

    assert detector.watch(2.4, 1.0) is None
    spike = detector.watch(2.6, 1.0)
    assert spike is not None and spike.excess > 1e3
