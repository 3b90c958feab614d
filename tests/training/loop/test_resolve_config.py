"""What `auto` comes to in a run that goes on: what it came to at the beginning."""

from pathlib import Path

import pytest

from model.errors import ConfigError
from training.config.train_config import TrainConfig, load_config, save_config
from training.loop.resolve_config import as_begun
from training.system.distributed import World

AUTO = ("run.batch_tokens=auto", "run.precision=auto")


def begun(path: Path, run: Path, *overrides: str) -> TrainConfig:
    """The config of a run that was killed before its first checkpoint."""
    config = load_config(path, ["run.batch_tokens=400", "run.precision=bf16", *overrides])
    run.mkdir()
    save_config(config, run / "config.yaml")
    return config


def test_what_auto_came_to_stays_without_a_checkpoint(tiny_config: Path, tmp_path: Path) -> None:
    stored = begun(tiny_config, tmp_path / "run")
    config = as_begun(load_config(tiny_config, AUTO), tmp_path / "run", None, World())
    assert config == stored
    given = load_config(tiny_config)  # asks for no auto
    assert as_begun(given, tmp_path / "run", None, World()) == given
    assert (
        as_begun(load_config(tiny_config, AUTO), tmp_path, None, World()).run.batch_tokens == "auto"
    )


@pytest.mark.parametrize("other", ["model.decoder_size=64", "run.seed=7"])
def test_what_auto_came_to_for_another_config_does_not(
    tiny_config: Path, tmp_path: Path, other: str
) -> None:
    begun(tiny_config, tmp_path / "run", other)
    config = load_config(tiny_config, AUTO)
    assert as_begun(config, tmp_path / "run", None, World()) == config
    with pytest.raises(ConfigError, match="another config"):
        as_begun(config, tmp_path / "run", {"precision": "fp32"}, World())


def test_the_precision_of_a_checkpoint_counts(tiny_config: Path, tmp_path: Path) -> None:
    begun(tiny_config, tmp_path / "run")
    config = load_config(tiny_config, AUTO)
    saved = as_begun(config, tmp_path / "run", {"precision": "fp32"}, World())
    older = as_begun(config, tmp_path / "run", {"steps": 1}, World())
    assert (saved.run.precision, older.run.precision) == ("fp32", "bf16")
