"""Films: the distance is that of the places, which can be read off the frames; files fit."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from training.demo.films import LONGEST, SHORTEST, SIDE, distances, drawn_lengths, film, main, path


def test_the_path_turns_stays_within_the_frame_and_is_as_long_as_is_said() -> None:
    places = path(400, np.random.default_rng(0))
    assert places.shape == (400, 2)
    assert (places >= 1).all()
    assert (places <= SIDE - 2).all()
    expected = [0.0]
    for before, after in pairwise(places):
        expected.append(expected[-1] + float(np.linalg.norm(after - before)))
    np.testing.assert_allclose(distances(places)[:, 0], expected, rtol=1e-5)
    headings = np.arctan2(*np.diff(places, axis=0).T)
    assert len(np.unique(headings.round(3))) > 300


def test_the_middle_of_the_brightness_is_the_place() -> None:
    places = np.array([[4.5, 4.5], [4.0, 5.3], [5.1, 3.7]])
    frames = film(places).astype(np.float64).reshape(3, SIDE, SIDE)
    pixels = np.arange(SIDE)
    total = frames.sum(axis=(1, 2))
    np.testing.assert_allclose((frames.sum(axis=1) @ pixels) / total, places[:, 0], atol=0.02)
    np.testing.assert_allclose((frames.sum(axis=2) @ pixels) / total, places[:, 1], atol=0.02)


def test_lengths_are_drawn_over_the_whole_range() -> None:
    lengths = drawn_lengths(5000, np.random.default_rng(0))
    assert min(lengths) == SHORTEST
    assert LONGEST - 10 < max(lengths) <= LONGEST
    assert 25 < np.median(lengths) < 40  # of 2 to 512 on a logarithmic scale: 32


def test_films_and_distances_fit_together(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--films", "20"]) == 0
    for name, count in (("train", 20), ("dev", 1), ("test_2", 200)):
        with (
            np.load(tmp_path / f"{name}.films.npz") as films,
            np.load(tmp_path / f"{name}.distances.npz") as far,
        ):
            assert len(films.files) == len(far.files) == count
            for one, other in zip(films.values(), far.values(), strict=True):
                assert one.shape == (len(other), SIDE**2)
                assert other.shape == (len(one), 1)
