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
