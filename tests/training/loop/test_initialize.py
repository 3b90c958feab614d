"""Fine-tuning: what a run begins with, what stays as it is, and vocabularies that grow."""

from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint, load_training_state
from model.errors import ConfigError
from model.text.tokenizer import EOS_ID, Tokenizer
from training.data.learn_tokenizer import learn_tokenizer
from training.loop.initialize import frozen_names, initial_weights, piece_sources
from training.train import main


def train(config: Path, run: Path, *more: str) -> int:
    return main([str(config), "--output", str(run), *more])


def refusal(capsys: pytest.CaptureFixture[str], status: int) -> str:
    assert status == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def trained(tiny_config: Path, tmp_path: Path) -> Path:
    assert train(tiny_config, tmp_path / "first", "run.max_steps=4") == 0
    return tmp_path / "first"


def test_frozen_parameters_keep_their_bits_and_the_others_move(
    trained: Path, tiny_config: Path, tmp_path: Path
) -> None:
    start = f"finetune.init_from={trained}"
    freeze = "finetune.freeze=[encoder.*, output.weight]"
    assert train(tiny_config, tmp_path / "second", start, freeze, "run.max_steps=3") == 0
    first, second = load_checkpoint(trained), load_checkpoint(tmp_path / "second" / "last")
    assert second.tokenizer.model == first.tokenizer.model
    before, after = (dict(x.network.named_parameters()) for x in (first, second))
    state, _ = load_training_state(tmp_path / "second")
    for name, parameter in before.items():
        frozen = name.startswith("encoder.") or name == "output.weight"
        assert torch.equal(after[name], parameter) is frozen, name
        assert torch.equal(state[f"raw/{name}"], parameter) is frozen, name
        assert (f"optimizer/exp_avg/{name}" in state) is not frozen, name
    assert str(trained) in second.card


def test_a_fine_tuning_resumes_exactly_also_without_what_it_began_with(
    trained: Path, tiny_config: Path, tmp_path: Path
) -> None:
    start = (
        f"finetune.init_from={trained}",
        "finetune.freeze=[encoder.*]",
        "optimizer.schedule=inverse_sqrt",
    )
    assert train(tiny_config, tmp_path / "whole", *start, "run.max_steps=6") == 0
    assert train(tiny_config, tmp_path / "parts", *start, "run.max_steps=3") == 0
    trained.rename(tmp_path / "elsewhere")
    assert train(tiny_config, tmp_path / "parts", *start, "run.max_steps=6", "--resume") == 0
    whole, parts = (load_training_state(tmp_path / name)[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name


def test_a_run_has_an_origin_of_its_own_that_resuming_and_fine_tuning_keep(
    trained: Path, tiny_config: Path, tmp_path: Path
) -> None:
    origin = load_checkpoint(trained).origin
    assert train(tiny_config, trained, "--resume", "run.max_steps=6") == 0
    start = f"finetune.init_from={trained}"
    assert train(tiny_config, tmp_path / "second", start, "run.max_steps=2") == 0
    again, other = ("run.max_steps=2",), ("run.max_steps=2", "run.seed=2")
    assert train(tiny_config, tmp_path / "again", *again) == 0
    assert train(tiny_config, tmp_path / "other", *other) == 0
    assert load_checkpoint(trained / "last").origin == origin
    assert load_checkpoint(tmp_path / "second").origin == origin
    assert load_checkpoint(tmp_path / "again").origin == origin
    assert load_checkpoint(tmp_path / "other").origin not in (origin, None)


def test_new_pieces_begin_as_the_mean_of_what_spells_them(trained: Path) -> None:
    checkpoint = load_checkpoint(trained)
    old = checkpoint.tokenizer
    lines = ["one two red blue house hat Haus", "Tannenbaum Tannenbaum", "a Tanne one house"]
    new = Tokenizer(learn_tokenizer(lines * 5, kind="bpe", vocab_size=300))
    weights = initial_weights(checkpoint, checkpoint.config, new)
    matrix = dict(checkpoint.network.named_parameters())["output.weight"]
    assert weights["output.weight"].shape == (300, matrix.shape[1])
    assert weights["output.bias"].shape == (300,)
    known = {old.piece(id): id for id in range(old.vocab_size)}
    fresh = 0
    for id, ids in enumerate(piece_sources(old, new)):
        piece = new.piece(id)
        if piece in known:
            assert ids == [known[piece]]
        else:
            fresh += 1
            spelt = "".join(old.piece(one) for one in ids)
            assert spelt == piece or "<0x" in spelt
        torch.testing.assert_close(weights["output.weight"][id], matrix[ids].mean(0))
    assert fresh > 5
    unchanged = dict(checkpoint.network.named_parameters())["decoder.combine.weight"]
    assert torch.equal(weights["decoder.combine.weight"], unchanged)


def test_a_run_with_more_pieces_trains_and_keeps_the_old_vectors(
    trained: Path, tiny_config: Path, tmp_path: Path
) -> None:
    lines = ["one two red blue house hat Haus ein zwei rot blau Hut Tannenbaum"] * 5
    model = learn_tokenizer(lines, kind="bpe", vocab_size=310)
    (tmp_path / "more.model").write_bytes(model)
    changes = (
        f"finetune.init_from={trained}",
        "tokenizer.model=more.model",
        "finetune.freeze=[output.weight]",
        "run.max_steps=2",
    )
    assert train(tiny_config, tmp_path / "second", *changes) == 0
    second = load_checkpoint(tmp_path / "second")
    assert second.tokenizer.model == model
    assert second.config.vocab_size == 310
    old = load_checkpoint(trained).network.output.weight
    assert torch.equal(second.network.output.weight[EOS_ID], old[EOS_ID])


def test_another_architecture_is_refused_by_name(
    trained: Path, tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = f"finetune.init_from={trained}"
    capsys.readouterr()
    wider = train(tiny_config, tmp_path / "second", start, "model.decoder_size=64")
    assert "model.decoder_size is 64, not 32" in refusal(capsys, wider)
    absent = train(tiny_config, tmp_path / "second", "finetune.init_from=absent")
    assert "absent: does not exist" in refusal(capsys, absent)
    pattern = train(tiny_config, tmp_path / "second", start, "finetune.freeze=[encodr.*]")
    assert "Did you mean 'encoder." in refusal(capsys, pattern)


def test_patterns() -> None:
    names = ["encoder.forwards.0.kernel.weight", "decoder.bridge.bias", "output.bias"]
    assert frozen_names(names, ["*.bias"]) == set(names[1:])
    assert frozen_names(names, []) == set()
    with pytest.raises(ConfigError, match=r"'output' matches no parameter.*'output\.bias'"):
        frozen_names(names, ["output"])
    with pytest.raises(ConfigError, match="nothing to train"):
        frozen_names(names, ["*.bias", "encoder.*"])
