"""Films of a moving blob, and the distance that it has moved until each frame.

    python -m training.demo.films FOLDER

writes train, dev and test films with their distances into FOLDER, as .npz files with an array for
each film. docs/vectors.md trains on them.
"""

# Shapes: S frames, P pixels of a frame, row by row.

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.cli.command import OK, command_parser, run_command
from model.io.lines import atomic_output

SIDE = 10
"""Pixels of a side of a frame."""
SPREAD = 1.2
"""Standard deviation of the blob, a Gaussian, in pixels."""
SHORTEST, LONGEST = 2, 512
"""Frames of a film for training and dev; all lengths are drawn on a logarithmic scale."""
TESTED = {2: 200, 512: 40, 5000: 4}
"""Films of each length for the tests, the last of which no training has seen."""

Floats = NDArray[np.float64]


def path(frames: int, generator: np.random.Generator) -> Floats:
    """Places (S, 2) of a blob in pixels: it turns all the time, and back at the edges.

    How far it moves between two frames is drawn for each of them, so that it cannot be guessed from
    the frames before.
    """
    low, high = 1.0, SIDE - 2.0
    place = generator.uniform(low, high, 2)
    heading, turn = generator.uniform(0, 2 * np.pi), 0.0
    usual = generator.uniform(0.2, 0.8)
    places = [place]
    for _ in range(frames - 1):
        turn = 0.9 * turn + 0.1 * generator.normal()
        heading += turn
        step = usual * generator.uniform(0.5, 1.5) * np.array([np.cos(heading), np.sin(heading)])
        for axis in range(2):
            if not low <= place[axis] + step[axis] <= high:
                step[axis] = -step[axis]
        heading = np.arctan2(step[1], step[0])
        place = place + step
        places.append(place)
    return np.array(places)


def film(places: Floats) -> NDArray[np.float16]:
    """Frames (S, P) of a blob at these places, brightness from 0 to 1."""
    pixels = np.arange(SIDE)
    across, down = (
        np.exp(-((pixels - places[:, axis, None]) ** 2) / (2 * SPREAD**2)) for axis in range(2)
    )
    return (down[:, :, None] * across[:, None, :]).reshape(len(places), -1).astype(np.float16)


def distances(places: Floats) -> NDArray[np.float32]:
    """Length (S, 1) of the path until each frame, in pixels; 0 at the first."""
    moved = np.hypot(*np.diff(places, axis=0).T)
    return np.concatenate([[0], moved.cumsum()]).astype(np.float32)[:, None]


def drawn_lengths(count: int, generator: np.random.Generator) -> list[int]:
    """Frames of each of `count` films."""
    low, high = np.log([SHORTEST, LONGEST + 1]).tolist()
    return [int(length) for length in np.exp(generator.uniform(low, high, count))]


def write_films(folder: Path, name: str, lengths: Iterable[int], seed: Sequence[int]) -> None:
    """Write films of these lengths to NAME.films.npz, and to NAME.distances.npz how far."""
    generator = np.random.default_rng(seed)
    paths = [path(length, generator) for length in lengths]
    for kind, arrays in (("films", map(film, paths)), ("distances", map(distances, paths))):
        with atomic_output(folder / f"{name}.{kind}.npz") as output:
            np.savez_compressed(output, *arrays)


def _write(arguments: argparse.Namespace) -> int:
    folder, seed = Path(arguments.folder), arguments.seed
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"train": arguments.films, "dev": max(1, arguments.films // 20)}
    for number, (name, count) in enumerate(counts.items()):
        lengths = drawn_lengths(count, np.random.default_rng([seed, number, 0]))
        write_films(folder, name, lengths, [seed, number, 1])
        print(f"{name}: {count:,} films of {SHORTEST} to {LONGEST} frames")
    for length, count in TESTED.items():
        write_films(folder, f"test_{length}", [length] * count, [seed, length])
        print(f"test_{length}: {count:,} films of {length:,} frames")
    return OK


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = command_parser("python -m training.demo.films", __doc__.splitlines()[0], "")
    parser.add_argument("folder", metavar="FOLDER", help="where the films are written")
    parser.add_argument("--films", type=int, default=3000, help="films to train on (3000)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    return run_command(parser.prog, lambda: _write(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
