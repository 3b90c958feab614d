"""Trees: a commit checked out beside this checkout, and commands that run with either's code."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from model.errors import DragomanError

PACKAGES = ("model", "service", "training")
WHERE = f"import {', '.join(PACKAGES)}\nfor one in {', '.join(PACKAGES)}: print(one.__file__)"


class TreeError(DragomanError):
    """There is no such commit, or a command failed in one of the trees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A checkout, and how its commands are run."""

    name: str
    """For people."""
    folder: Path
    environment: Mapping[str, str]
    core: int | None
    """To which its processes are pinned."""

    def command(self, *arguments: str) -> tuple[str, ...]:
        """Python with `arguments`; it has to run in `folder` with `environment`."""
        pinned = () if self.core is None else ("taskset", "-c", str(self.core))
        # -P: the packages are found by PYTHONPATH, never beside a script.
        return (*pinned, sys.executable, "-P", *arguments)

    def run(self, *arguments: str) -> str:
        """The standard output of Python with `arguments`.

        Raises:
            TreeError: it failed; the message has the last line that it wrote.
        """
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stderr.strip() or "nothing").splitlines()[-1]
            raise TreeError(
                f"{self.name}: a command of {self.folder} ended with status {done.returncode} "
                f"and said: {said}"
            )
        return done.stdout

    def check(self) -> None:
        """Make sure that the code which runs is that of the tree, not that of an installed copy.

        Raises:
            TreeError: it is not.
        """
        for file in self.run("-c", WHERE).splitlines():
            if not Path(file).resolve().is_relative_to(self.folder.resolve()):
                raise TreeError(
                    f"{self.name}: Python imports {file}, which is not under {self.folder}. "
                    "Use an environment that has Dragoman installed in editable mode, or not."
                )


class Trees(NamedTuple):
    """The two sides of a comparison."""

    base: Tree
    here: Tree


@contextmanager
def trees(root: Path, commit: str, *, core: int | None, threads: int) -> Iterator[Trees]:
    """`commit` of the repository at `root` in a folder for the time of the block, and `root`.

    Args:
        commit: as `commit_of` gives it.
        root: as it is, with changes that are not committed.

    Raises:
        TreeError: Python finds other code than that of the trees.
    """
    common = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory(prefix="dragoman-compare-") as name:
        place = Path(name, "base")
        try:
            _git(root, "worktree", "add", "--quiet", "--detach", str(place), commit)
            # Kernels are kept by the path of their source, and nobody will find these again.
            kept = {"NUMBA_CACHE_DIR": str(Path(name, "kernels"))}
            both = Trees(
                Tree(
                    name="base", folder=place, environment=common | kept | _path(place), core=core
                ),
                Tree(name="here", folder=root, environment=common | _path(root), core=core),
            )
            for tree in both:
                tree.check()
            yield both
        finally:
            command = ["git", "-C", str(root), "worktree", "remove", "--force", str(place)]
            subprocess.run(command, capture_output=True)  # fails if there is none yet


def commit_of(root: Path, name: str) -> str:
    """The hash of a commit, a branch, a tag.

    Raises:
        TreeError: there is none of that name.
    """
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except TreeError:
        raise TreeError(
            f"{name!r} is no commit of the repository at {root}. Give a hash, a branch or a tag."
        ) from None


def is_changed(root: Path) -> bool:
    """Whether the checkout has changes that are not committed."""
    return bool(_git(root, "status", "--porcelain").strip())


def _path(folder: Path) -> dict[str, str]:
    """PYTHONPATH that begins with `folder`: before an editable installation."""
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), before] if before else [str(folder)])}


def _git(root: Path, *arguments: str) -> str:
    command: Sequence[str] = ("git", "-C", str(root), *arguments)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise TreeError(f"git {arguments[0]} in {root}: {done.stderr.strip()}")
    return done.stdout
