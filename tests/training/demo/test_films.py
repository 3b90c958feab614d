"""Films: the distance is that of the places, which can be read off the frames; files fit."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from model.vector_transducer import VectorTransducer
from training.demo.films import LONGEST, SHORTEST, SIDE, distances, drawn_lengths, film, main, path
from training.train import main as train


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


@pytest.mark.slow
def test_a_network_learns_the_distance_and_keeps_it_beyond_what_it_has_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute of the training that docs/vectors.md describes."""
    assert main([str(tmp_path), "--films", "1500"]) == 0
    monkeypatch.setenv("DRAGOMAN_DATA", str(tmp_path))
    config = Path(__file__).parents[3] / "configs" / "frames_to_distance.yaml"
    keys = {
        "run.max_steps": 350,
        "run.eval_every": 350,
        "run.batch_tokens": 4000,
        "run.device": "cpu",
        "optimizer.learning_rate": 0.004,
        "optimizer.warmup_steps": 50,
    }
    overrides = [f"{key}={value}" for key, value in keys.items()]
    assert train([str(config), "--output", str(tmp_path / "run"), *overrides]) == 0
    transducer = VectorTransducer.load(tmp_path / "run", device="cpu")
    for frames, most in ((512, 0.05), (5000, 0.1)):
        with (
            np.load(tmp_path / f"test_{frames}.films.npz") as films,
            np.load(tmp_path / f"test_{frames}.distances.npz") as far,
        ):
            found = transducer.transduce(list(films.values())[:4])
            apart = [
                abs(output[-1, 0] / wanted[-1, 0] - 1)
                for output, wanted in zip(found, list(far.values())[:4], strict=True)
            ]
        assert np.mean(apart) < most
