"""The settings of a first training, at points computed by hand."""

import pytest

from training.from_files.choose_settings import (
    Setting,
    Statistics,
    choose_length,
    choose_network,
    choose_training,
    choose_vocabulary,
    default_minutes,
    network_of,
    warn_of_few_updates,
)


def statistics(pairs: int, *, pieces: float = 20.0, longest: int = 40) -> Statistics:
    return Statistics(
        pairs=pairs, source_pieces=pieces / 2, target_pieces=pieces / 2, longest=longest
    )


def chosen(pairs: int, *, minutes: float, pieces: float = 20.0) -> dict[str, object]:
    found = choose_training(statistics(pairs, pieces=pieces), minutes=minutes, pieces_per_s=5000.0)
    assert all(setting.reason for setting in found)
    return {setting.key: setting.value for setting in found}


def test_few_passes_over_many_pairs_need_little_dropout() -> None:
    """155,000 pairs of 20 pieces, 40 minutes at 5,000 pieces/s: 3.9 passes, 4,000 updates."""
    found = chosen(155_000, minutes=40)
    assert found["model.dropout"] == 0.2
    assert "objective.rdrop" not in found
    assert found["optimizer.warmup_steps"] == 400
    assert found["optimizer.ema"] == 0.999  # 1 - 4 / 4000


def test_many_passes_have_rdrop_and_are_half_as_many() -> None:
    """29,000 pairs of 30 pieces, 40 minutes: 13.8 passes, or 6.9 with R-Drop: 2,000 updates."""
    found = chosen(29_000, minutes=40, pieces=30)
    assert found["objective.rdrop"] == 3.0
    assert found["model.dropout"] == 0.3
    assert found["optimizer.warmup_steps"] == 250
    assert found["optimizer.ema"] == 0.998
    assert "objective.rdrop" not in chosen(29_000, minutes=30, pieces=30)


def test_few_pairs_get_a_small_network_and_much_dropout() -> None:
    found = chosen(2_000, minutes=10)
    assert (found["model.dropout"], found["model.word_dropout"]) == (0.4, 0.1)
    assert "model.word_dropout" not in chosen(29_000, minutes=40)
    sizes = {setting.key: setting.value for setting in choose_network(2_000)}
    assert sizes["model.decoder_size"] == 256
    assert network_of(choose_network(2_000), 4_000).embedding_size == 256
    large = network_of(choose_network(29_000), 8_000)
    assert (large.encoder_layers, large.decoder_size) == (2, 512)


@pytest.mark.parametrize(
    ("pairs", "characters", "size"),
    [(2_000, 80, 4_000), (10_000, 80, 4_000), (29_000, 80, 8_000), (2_000, 3_000, 5_000)],
)
def test_the_vocabulary_grows_with_the_pairs_and_holds_all_characters(
    pairs: int, characters: int, size: int
) -> None:
    assert choose_vocabulary(pairs, characters).value == size


@pytest.mark.parametrize(
    ("pairs", "minutes"), [(2_000, 10), (20_000, 15), (155_000, 105), (1_000_000, 120)]
)
def test_minutes_for_ten_passes(pairs: int, minutes: int) -> None:
    assert default_minutes(statistics(pairs), 5000.0) == minutes


@pytest.mark.parametrize(
    ("longest", "summary", "length"),
    [(12, False, 50), (61, False, 70), (900, False, 250), (900, True, 800)],
)
def test_the_length_keeps_nearly_all_pairs(longest: int, summary: bool, length: int) -> None:
    kept = choose_length(statistics(1000, longest=longest), summary=summary)
    assert kept.value == length
    assert f"at most {longest}" in kept.reason


def test_a_single_update_is_planned_without_a_division_by_zero() -> None:
    found = choose_training(statistics(100), minutes=0.001, pieces_per_s=1.0)
    assert Setting("optimizer.ema", 0.9, "averages about a quarter of the updates") in found
    assert found[-1].value == 1


@pytest.mark.parametrize(("minutes", "every"), [(1, 5), (8, 40), (10, 50), (40, 50)])
def test_a_short_run_logs_more_often(minutes: int, every: int) -> None:
    """155,000 pairs, 100 updates a minute: about twenty lines, more if there are many updates."""
    assert chosen(155_000, minutes=minutes)["run.log_every"] == every


@pytest.mark.parametrize(
    ("pairs", "minutes", "pieces_per_s", "warned"),
    [
        (20_000, 8, 1_000.0, True),  # 160 updates, 1.2 passes
        (155_000, 8, 5_000.0, True),  # 800 updates, 0.8 passes
        (155_000, 10, 5_000.0, False),  # 1,000 updates
        (400, 1, 5_000.0, False),  # 37 passes
        (100_000_000, 120, 100.0, False),  # no more than the most that is chosen
    ],
)
def test_too_few_minutes_are_told(
    pairs: int, minutes: float, pieces_per_s: float, warned: bool
) -> None:
    warning = warn_of_few_updates(statistics(pairs), minutes=minutes, pieces_per_s=pieces_per_s)
    assert bool(warning) == warned
    if warning:
        enough = default_minutes(statistics(pairs), pieces_per_s)
        assert warning.endswith(f"--minutes {enough}") and f"{minutes:g} minutes" in warning
