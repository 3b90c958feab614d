"""A training that is killed wherever it stands, and resumed, ends as one that nobody killed."""

import random
from pathlib import Path

import pytest

from benchmarks.kill_training import AIMS, KillTest, cache_of, differences, stage


@pytest.fixture(scope="module")
def kill_test(tmp_path_factory: pytest.TempPathFactory) -> KillTest:
    return KillTest(tmp_path_factory.mktemp("kills"), ["run.max_steps=24"])


@pytest.mark.slow
@pytest.mark.parametrize("aim", sorted(set(AIMS)))
def test_a_killed_and_resumed_run_has_the_bytes_of_an_undisturbed_one(
    kill_test: KillTest, tmp_path: Path, aim: str
) -> None:
    kill = kill_test.kill(tmp_path / "run", aim, random.Random(aim))
    assert kill.differences == []
    assert "over" not in kill.hit


@pytest.mark.slow
def test_another_training_is_told_apart(kill_test: KillTest, tmp_path: Path) -> None:
    run = tmp_path / "run"
    kill_test.settings.append("run.seed=2")
    kill_test.train(run)
    kill_test.settings.pop()
    assert differences(run, run) == []
    assert len(differences(run, kill_test.whole)) == 4


def test_the_files_tell_what_a_start_was_at(tmp_path: Path) -> None:
    run = tmp_path / "run"
    cache_of(run).mkdir()
    (cache_of(run) / "key.lock").touch()
    assert stage(run, []) == "start before the cache"
    (cache_of(run) / "key.tmp").mkdir()
    assert stage(run, []) == "cache build"
    (cache_of(run) / "key.tmp").rename(cache_of(run) / "key")
    assert stage(run, []) == "start with the cache built"
