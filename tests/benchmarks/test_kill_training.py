"""A training that is killed wherever it stands, and resumed, ends as one that nobody killed."""

import random
from pathlib import Path

import pytest

from benchmarks.kill_training import AIMS, KillTest, differences

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kill_test(tmp_path_factory: pytest.TempPathFactory) -> KillTest:
    return KillTest(tmp_path_factory.mktemp("kills"), ["run.max_steps=24"])


@pytest.mark.parametrize("aim", sorted(set(AIMS)))
def test_a_killed_and_resumed_run_has_the_bytes_of_an_undisturbed_one(
    kill_test: KillTest, tmp_path: Path, aim: str
) -> None:
    kill = kill_test.kill(tmp_path / "run", aim, random.Random(aim))
    assert kill.differences == []
    assert "over" not in kill.hit


def test_another_training_is_told_apart(kill_test: KillTest, tmp_path: Path) -> None:
    run = tmp_path / "run"
    kill_test.settings.append("run.seed=2")
    kill_test.train(run)
    kill_test.settings.pop()
    assert differences(run, run) == []
    assert len(differences(run, kill_test.whole)) == 4
