"""Models in the box: packs that come with Dragoman, each of which has a name."""

import os
from pathlib import Path

from model.checkpoint.archive import SUFFIX
from model.text.nearest import nearest

FOLDER = Path(__file__).resolve().parents[2] / "pretrained"
"""Where they lie: beside our packages, in a checkout as in an installation."""


def names() -> list[str]:
    """The names of all of them, in order."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def in_box(path: Path, folder: Path = Path()) -> Path:
    """The pack that the name `path` stands for, or else the path itself.

    Whatever lies at the path comes before a model of that name, be it a link to nothing.

    Args:
        folder: what a relative path is relative to.
    """
    place = folder / path
    # Only a name that is in the list becomes part of a path.
    if os.path.lexists(place) or str(path) not in names():
        return place
    return FOLDER / f"{path}{SUFFIX}"


def suggestion(path: Path) -> str:
    """Ask, after a space, whether the name that was meant by a wrong `path` is that of a model."""
    meant = nearest(path.name.removesuffix(SUFFIX), names())
    return f" Did you mean {' or '.join(meant)}?" if meant else ""


def or_in_box() -> str:
    """Go on from what else is allowed to the list of the names; nothing if there are none."""
    known = names()
    return f", or a model in the box: {', '.join(known)}" if known else ""
