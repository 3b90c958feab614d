"""Dev loss and corpus scores of a network that is known."""

import math
from pathlib import Path

import pytest
import sacrebleu
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.translation.forced_decoding import score_pairs
from model.translator import Translator
from training.config.validation_config import ValidationConfig
from training.data.text_corpus import TextPairs, encode_corpus
from training.metrics.rouge import rouge_l
from training.validation.calibrate import IN_BIN
from training.validation.evaluation import corpus_loss, evaluate


def test_loss_equals_forced_decoding_and_scores_equal_sacrebleu(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    pairs = TextPairs(
        sources=["the house is red", "a dog", "man"], targets=["das Haus rot", "ein Hund", "Mann"]
    )
    corpus = encode_corpus(pairs, checkpoint.tokenizer, max_length=24)
    result = evaluate(
        checkpoint.network,
        corpus,
        checkpoint.tokenizer,
        checkpoint.search,
        profile=checkpoint.profile,
        validation=ValidationConfig(metrics=("chrf", "rouge_l", "bleu"), tokenize="13a"),
        samples=2,
        dtype=torch.float32,
    )
    scored = score_pairs(
        checkpoint.network,
        [ids.tolist() for ids in corpus.sources],
        [ids.tolist() for ids in corpus.targets],
    )
    pieces = sum(len(ids) + 1 for ids in corpus.targets)
    assert result.loss == pytest.approx(-sum(map(sum, scored)) / pieces, rel=1e-5)
    assert result.loss == corpus_loss(checkpoint.network, corpus)
    assert result.ppl == pytest.approx(math.exp(result.loss))
    expected = Translator.load(tiny_checkpoint, precision="fp32").translate(pairs.sources)
    assert result.translations == expected
    bleu = sacrebleu.corpus_bleu(expected, [pairs.targets]).score
    chrf = sacrebleu.corpus_chrf(expected, [pairs.targets]).score
    rouge = 100 * sum(map(rouge_l, expected, pairs.targets)) / 3
    assert [result.value(name) for name in ("loss", "bleu", "chrf", "rouge_l")] == [
        *(result.loss, bleu, chrf),
        pytest.approx(rouge),
    ]
    figures = result.figures()
    assert list(figures)[:5] == ["dev_loss", "dev_ppl", "dev_chrf", "dev_rouge_l", "dev_bleu"]
    assert figures["dev_bleu"] == bleu
    assert "case:mixed" in str(figures["bleu_signature"])
    assert "measure:f1" in str(figures["rouge_l_signature"])
    assert f"chrF {chrf:.2f}  ROUGE-L {rouge:.2f}  BLEU {bleu:.2f}" in result.describe()
    assert [sample.source for sample in result.samples] == pairs.sources[:2]
    assert [sample.reference for sample in result.samples] == pairs.targets[:2]
    assert [sample.translation.text for sample in result.samples] == expected[:2]


@pytest.mark.parametrize(("task", "metric"), [("translate", "chrf"), ("summarize", "rouge_l")])
def test_the_calibration_is_of_its_translations(
    tiny_checkpoint: Path, task: str, metric: str
) -> None:
    """Of each sentence the log-probability is that of forced decoding, EOS counted."""
    checkpoint = load_checkpoint(tiny_checkpoint)
    words = ["the", "house", "is", "red", "and", "a", "dog", "sees", "two", "men", "who", "run"]
    sources = [" ".join(words[i % 9 : i % 9 + 1 + i // 11]) for i in range(2 * IN_BIN)]
    targets = sources[1:] + sources[:1]
    corpus = encode_corpus(
        TextPairs(sources=sources, targets=targets), checkpoint.tokenizer, max_length=24
    )
    profile = checkpoint.profile.with_overrides(task=task)
    result = evaluate(
        checkpoint.network,
        corpus,
        checkpoint.tokenizer,
        checkpoint.search,
        profile=profile,
        validation=ValidationConfig(metrics=("chrf",), best="chrf", tokenize="13a"),
        samples=0,
        dtype=torch.float32,
    )
    translator = Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        checkpoint.search,
        device=torch.device("cpu"),
        dtype=torch.float32,
        profile=profile,
    )
    found = [one.hypotheses[0] for one in translator.search(sources)]
    ids_of = {checkpoint.tokenizer.piece(i): i for i in range(checkpoint.tokenizer.vocab_size)}
    pieces = [[ids_of[piece] for piece in one.pieces] for one in found]
    forced = score_pairs(checkpoint.network, [ids.tolist() for ids in corpus.sources], pieces)
    means = [sum(row) / (len(ids) + 1) for row, ids in zip(forced, pieces, strict=True)]
    assert [one.mean_log_prob for one in found] == pytest.approx(means, abs=1e-5)
    pairs = list(zip([one.translation for one in found], targets, strict=True))
    qualities = [rouge_l(one, right) for one, right in pairs]
    if metric == "chrf":
        qualities = [sacrebleu.sentence_chrf(one, [right]).score / 100 for one, right in pairs]
    order = sorted(range(len(means)), key=lambda i: found[i].mean_log_prob)
    lower, upper = ([qualities[i] for i in half] for half in (order[:IN_BIN], order[IN_BIN:]))
    assert means[order[IN_BIN - 1]] < means[order[IN_BIN]]
    expected = [sum(half) / IN_BIN for half in (lower, upper)]
    if expected[0] >= expected[1]:
        expected = [sum(expected) / 2]

    assert result.calibration is not None
    assert result.calibration.metric == metric
    assert result.calibration.quality == pytest.approx(expected)
    assert sum(result.calibration.sentences) == 2 * IN_BIN
