"""Where machine code is kept."""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from model.decoding.native import compiled
from model.decoding.native.compiled import (
    NUMBA,
    bound,
    kernel,
    kernel_folder,
    sources_digest,
    usable_folder,
)

NOWHERE = "/dev/null/nowhere"
"""Where not even root can make a folder."""


def test_the_folder_is_the_users_cache_or_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = kernel_folder()
    assert own.parent == tmp_path / "cache/dragoman"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert kernel_folder() == tmp_path / "numba" / own.name


def test_numba_keeps_its_own_folder_for_others() -> None:
    before = NUMBA.CACHE_DIR

    @kernel
    def double(x: int) -> int:
        return 2 * x

    assert before == NUMBA.CACHE_DIR
    assert double(21) == 42


class Line(NamedTuple):
    """What the kernel of the next test takes."""

    factor: NDArray[np.float32]
    values: NDArray[np.float32]


@kernel
def scaled_sum(line: Line, start: int) -> float:
    total: float = line.factor[0] * line.values.sum() + start
    return total


def test_a_bound_kernel_takes_any_structure_of_its_types() -> None:
    lines = [
        Line(np.array([factor], np.float32), np.arange(size, dtype=np.float32))
        for factor, size in ((2, 1), (3, 4), (-1, 9))
    ]
    compiled_for_lines = bound(scaled_sum, lines[0], 0)
    assert [compiled_for_lines(line, 5) for line in lines] == [5, 23, -31]
    assert [scaled_sum(line, 5) for line in lines] == [5, 23, -31]


def test_a_folder_is_used_itself_where_it_can_be_written_to(tmp_path: Path) -> None:
    assert usable_folder(tmp_path / "new") == tmp_path / "new"


def test_a_folder_that_cannot_be_written_to_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    (kept / "native_1").mkdir(parents=True)
    (kept / "native_1" / "a.nbi").write_bytes(b"a")
    monkeypatch.setattr("os.access", lambda path, mode: path != kept)  # permissions stop no root
    copy = usable_folder(kept)
    assert copy is not None and copy != kept
    assert (copy / "native_1" / "a.nbi").read_bytes() == b"a"


def test_kernels_need_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", NOWHERE)
    assert usable_folder(Path(NOWHERE)) is None
    monkeypatch.setattr(compiled, "_FOLDER", None)

    @kernel
    def triple(x: int) -> int:
        return 3 * x

    assert triple(14) == 42


def test_a_full_disk_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=compiled.ROOM - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    assert usable_folder(tmp_path) is None


def test_a_change_in_any_folder_of_kernels_is_another_digest(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    seen = {sources_digest(tmp_path)}
    for name, content in (("a.py", "1"), ("deeper/b.py", "1"), ("deeper/b.py", "2")):
        (tmp_path / name).write_text(content)
        seen.add(sources_digest(tmp_path))
    (tmp_path / "deeper" / "b.py").rename(tmp_path / "c.py")  # moved, with the same content
    seen.add(sources_digest(tmp_path))
    assert len(seen) == 5
