"""A dev set that cannot be read is refused before the training, not by its first validation."""

from pathlib import Path

import pytest

from training.train import main as train

SUMMARIES = ["data.task=summarize", "data.source_language=en", "model.max_length=24"]


@pytest.fixture
def long_dev(tiny_config: Path) -> Path:
    """The config of a dev set whose third source has 200 words."""
    path = tiny_config.with_name("dev.de")
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = "ein Haus " * 100
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tiny_config


@pytest.mark.parametrize("flags", [["--output", "RUN"], ["--output", "RUN", "--dry-run"]])
def test_long_texts_are_refused_before_anything_is_written(
    long_dev: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    run = tmp_path / "run"
    named = [str(run) if flag == "RUN" else flag for flag in flags]

    assert train([str(long_dev), *named, *SUMMARIES]) == 2

    message = capsys.readouterr().err.splitlines()[-1]
    assert "data.dev: 1 of 8 sources are longer than the model reads" in message
    assert "search.on_long to cut" in message
    assert not (run / "checkpoints").exists()


@pytest.mark.parametrize(
    "change", ["search.on_long=cut", "model.max_length=2000", "data.task=translate"]
)
def test_what_the_message_names_helps(long_dev: Path, tmp_path: Path, change: str) -> None:
    flags = ["--output", str(tmp_path / "run"), *SUMMARIES, change, "run.max_steps=2"]

    assert train([str(long_dev), *flags]) == 0
