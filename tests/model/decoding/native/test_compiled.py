"""Where machine code is kept."""

from pathlib import Path

import pytest

from model.decoding.native.compiled import NUMBA, cache_folder, kernel


def test_the_folder_is_the_users_cache_or_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = cache_folder()
    assert own.parent == tmp_path / "cache/dragoman"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert cache_folder() == tmp_path / "numba" / own.name


def test_numba_keeps_its_own_folder_for_others() -> None:
    before = NUMBA.CACHE_DIR

    @kernel
    def double(x: int) -> int:
        return 2 * x

    assert before == NUMBA.CACHE_DIR
    assert double(21) == 42
