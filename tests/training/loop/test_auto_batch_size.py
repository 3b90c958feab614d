"""`run.batch_tokens: auto`: the largest batch that the memory holds, found once and kept."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.checkpoint.run_directory import point
from model.errors import ConfigError
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from training.config.train_config import TrainConfig, load_config
from training.loop.auto_batch_size import MOST_TOKENS, auto_batch_tokens, largest_rows
from training.system.distributed import World
from training.train import main


@pytest.mark.parametrize(
    ("need", "room", "most", "rows"),
    [
        (lambda rows: 10.0 * rows, 10_000, 10_000, 992),  # 1,000 in multiples of 16
        (lambda rows: 500 + 10.0 * rows, 10_000, 10_000, 944),
        (lambda rows: 10.0 * rows, 10_000, 100, 100),
        (lambda rows: 10.0 * rows, 100, 100, 0),
        (lambda rows: 10.0 * rows, 100, 5, 5),
        (lambda rows: math.inf if rows > 200 else 1.0, 100, 10_000, 128),
    ],
)
def test_rows_grow_as_far_as_room_and_limit_allow(
    need: Callable[[int], float], room: float, most: int, rows: int
) -> None:
    asked: list[int] = []

    def recorded(rows: int) -> float:
        asked.append(rows)
        return need(rows)

    assert largest_rows(recorded, room, most) == rows
    assert asked == sorted(asked)
    assert all(need(rows) <= room for rows in asked[:-1])


def test_a_line_so_far_above_the_room_is_not_tried() -> None:
    """On a CPU the attempt itself would end the process."""
    asked: list[int] = []

    def need(rows: int) -> float:
        asked.append(rows)
        return 10.0 * rows

    largest_rows(need, 1_999, 10_000)
    assert 10 * max(asked) <= 1_999


def largest(config: TrainConfig, tokenizer: Tokenizer) -> int:
    return auto_batch_tokens(config, tokenizer, torch.device("cpu"), torch.float32, World())


def test_what_is_found_is_a_whole_batch_for_each_part(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    config = load_config(
        tiny_config, ["run.batch_tokens=auto", "model.max_length=49", "model.input_feeding=false"]
    )
    one = largest(config, tiny_tokenizer)
    assert one == MOST_TOKENS // 100 * 100
    parts = replace(config, run=replace(config.run, accumulate=4))
    four = largest(parts, tiny_tokenizer)
    assert four == MOST_TOKENS // 400 * 400


@pytest.fixture
def wide_teacher(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A network of random weights, larger than those it may teach in these tests."""
    model = load_checkpoint(tiny_checkpoint)
    network = Seq2Seq(replace(model.config, embedding_size=512, decoder_size=512, encoder_size=512))
    directory = save_checkpoint(
        tmp_path / "wide",
        1,
        config=network.config,
        weights=dict(network.named_parameters()),
        tokenizer=model.tokenizer,
        search=model.search,
        card="",
        training_state=None,
        training_meta=None,
    )
    point(tmp_path / "wide", "best", directory)
    return tmp_path / "wide"


def test_a_teacher_and_risk_training_leave_less_room_for_the_batch(
    tiny_config: Path,
    tiny_tokenizer: Tokenizer,
    wide_teacher: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where others come and go, what is free would differ from one measurement to the next.
    monkeypatch.setattr("training.loop.auto_batch_size.available_bytes", lambda device: 250_000_000)
    general = ["run.batch_tokens=auto", "model.max_length=49", "model.input_feeding=false"]
    config = load_config(tiny_config, general)
    config = replace(config, model=replace(config.model, vocab_size=tiny_tokenizer.vocab_size))
    taught = replace(config.objective, teacher=(wide_teacher,), distillation=0.5)
    risked = replace(config.objective, risk_weight=0.5)
    alone = largest(config, tiny_tokenizer)
    for objective in (taught, risked):
        assert 0 < largest(replace(config, objective=objective), tiny_tokenizer) < alone / 2


def test_truncated_gradients_leave_more_room_for_the_batch(
    tiny_config: Path, tiny_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop.auto_batch_size.available_bytes", lambda device: 500_000_000)
    long = ["run.batch_tokens=auto", "model.max_length=199", "model.input_feeding=false"]
    wide = ["model.encoder_layers=3", "model.encoder_size=128", "model.dropout=0"]
    config = load_config(tiny_config, [*long, *wide])
    config = replace(config, model=replace(config.model, vocab_size=tiny_tokenizer.vocab_size))
    truncated = replace(config, run=replace(config.run, truncated_bptt=25))
    assert largest(truncated, tiny_tokenizer) > 1.3 * largest(config, tiny_tokenizer) > 0


def test_it_is_stored_and_a_resumed_run_goes_on_with_it(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tiny_config), "--output", str(tmp_path / "run"), "model.max_length=20"]
    command += ["run.batch_tokens=auto"]
    assert main([*command, "run.max_steps=2"]) == 0
    stored = tmp_path / "run" / "config.yaml"
    found = load_config(stored).run.tokens
    assert 130_000 < found <= MOST_TOKENS
    assert f"batches of {found:,} tokens" in capsys.readouterr().err
    text = stored.read_text(encoding="utf-8")
    stored.write_text(text.replace(f"batch_tokens: {found}", "batch_tokens: 400"), encoding="utf-8")
    assert main([*command, "run.max_steps=4", "--resume"]) == 0
    assert load_config(stored).run.tokens == 400
    assert "batches of 400 tokens" in capsys.readouterr().err
    assert main([*command, "run.max_steps=4", "--resume"]) == 0
    assert "is finished" in capsys.readouterr().out


def test_auto_is_no_number_and_knows_its_limits(tiny_config: Path) -> None:
    with pytest.raises(ConfigError, match=r"'most' .* whole number\. Or write auto"):
        load_config(tiny_config, ["run.batch_tokens=most"])
    with pytest.raises(ConfigError, match="batch_tokens: 0 is too small"):
        load_config(tiny_config, ["run.batch_tokens=0"])
