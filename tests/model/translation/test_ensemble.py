"""Ensembles: the average by hand in float64, and as one network in the search."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.checkpoint.run_directory import point
from model.config import ModelConfig
from model.decoding.options import SearchOptions
from model.errors import ConfigError
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID, Tokenizer
from model.translation.ensemble import Ensemble, network_of
from model.translator import Translator
from training.data.learn_tokenizer import learn_tokenizer

VOCAB = 12


def member(seed: int, **settings: object) -> Seq2Seq:
    torch.manual_seed(seed)
    sizes = {"embedding_size": 8, "encoder_size": 8, "decoder_size": 8} | settings
    network = Seq2Seq(ModelConfig(vocab_size=VOCAB, **sizes)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        network.output.weight *= 4
        if network.decoder.attention.coverage is not None:
            network.decoder.attention.coverage.fill_(-0.7)
    return network


@pytest.fixture
def members() -> list[Seq2Seq]:
    """Of different kinds and sizes."""
    return [
        member(1),
        member(2, decoder_size=12, cell="gru", decoder_layers=3),
        member(3, input_feeding=True, encoder_size=6, attention="additive"),
        member(4, copy=True, coverage=True),
        member(5, copy=True, input_feeding=True, coverage=True, embedding_size=12),
    ]


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    src = torch.tensor([[5, 6, 7, EOS_ID], [8, EOS_ID, 0, 0]])
    return src, torch.tensor([4, 2]), torch.tensor([[BOS_ID, 4, 9], [BOS_ID, 5, 5]])


def test_equals_averaging_by_hand(members: list[Seq2Seq]) -> None:
    src, lengths, tgt_in = inputs()
    parts, attention = [], []
    for network in members:
        network.double()
        memory = network.encode(src, lengths)
        features, weights = network.unroll(tgt_in, network.start(memory), memory)
        parts.append(network.log_scores(features, weights, memory).log_softmax(dim=2))
        attention.append(weights)
    expected = torch.stack(parts).mean(dim=0).log_softmax(dim=2)
    together = Ensemble(members)
    memory = together.encode(src, lengths)
    features, weights = together.unroll(tgt_in, together.start(memory), memory)
    found = together.log_scores(features, weights, memory).double().log_softmax(dim=2)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(weights, torch.stack(attention).mean(0), atol=1e-12, rtol=0)


@pytest.mark.parametrize("copy", [False, True])
def test_a_network_with_itself_is_that_network_in_bf16_too(copy: bool) -> None:
    """The attention, by which it copies, is not rounded on the way."""
    network = member(4, copy=copy, coverage=copy).bfloat16()
    src, lengths, tgt_in = inputs()
    found = []
    for one in (network, Ensemble([network, network])):
        memory = one.encode(src, lengths)
        _, features, weights = one.step(tgt_in[:, :1], one.start(memory), memory)
        found.append(one.log_scores(features, weights, memory).float().log_softmax(dim=2))
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=0)


def test_steps_equal_the_unrolled_target(members: list[Seq2Seq]) -> None:
    src, lengths, tgt_in = inputs()
    together = Ensemble(members).double()
    memory = together.encode(src, lengths)
    features, weights = together.unroll(tgt_in, together.start(memory), memory)
    state = together.start(memory)
    for t, token in enumerate(tgt_in.unbind(1)):
        state, feature, weight = together.step(token.unsqueeze(1), state, memory)
        torch.testing.assert_close(feature[:, 0], features[:, t], atol=1e-12, rtol=0)
        torch.testing.assert_close(weight[:, 0], weights[:, t], atol=1e-12, rtol=0)


def save(path: Path, tokenizer: Tokenizer, seed: int) -> Checkpoint:
    torch.manual_seed(seed)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, embedding_size=8, encoder_size=8, decoder_size=8
    )
    directory = save_checkpoint(
        path,
        1,
        config=config,
        weights=dict(Seq2Seq(config).named_parameters()),
        tokenizer=tokenizer,
        search=SearchOptions(max_length_a=1.0, max_length_b=3),
        card="",
        training_state=None,
        training_meta=None,
    )
    point(path, "best", directory)
    return load_checkpoint(path)


def test_several_runs_translate_as_one(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    texts = ["der Hund läuft.", "", "ein Mann"]
    paths = [tmp_path / "a", tmp_path / "b"]
    for seed, path in enumerate(paths):
        save(path, tiny_tokenizer, seed)

    def translate(which: list[Path]) -> list[float]:
        translator = Translator.load(which, device="cpu", precision="fp32")
        return [found.hypotheses[0].score for found in translator.search(texts)]

    one, other, both = translate(paths[:1]), translate(paths[1:]), translate(paths)
    assert translate([paths[0]] * 2) == pytest.approx(one, abs=1e-5)  # with itself: as alone
    assert both != one
    assert both != other


def test_other_tokenizers_are_refused(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    lines = ["ein ganz anderer Text, aus dem ein anderes Vokabular wird"] * 3
    other = Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=300))
    checkpoints = [save(tmp_path / "a", tiny_tokenizer, 1), save(tmp_path / "b", other, 1)]
    with pytest.raises(ConfigError, match=r"b.*: an ensemble needs one tokenizer"):
        network_of(checkpoints)
    with pytest.raises(ConfigError, match=r"have 300 and 320 pieces"):
        Ensemble([checkpoint.network for checkpoint in checkpoints])
