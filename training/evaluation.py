"""Evaluation of a network on the dev set: loss by teacher forcing, BLEU and chrF of beam search."""

import math
from dataclasses import dataclass

import sacrebleu
import torch

from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from model.translator import Translator
from training.batching import Rows, collate
from training.corpus import Corpus
from training.objective import output_loss

ROWS = 64  # sentences in a batch of teacher forcing


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Scores of one network on one corpus. BLEU and chrF are sacrebleu's, 0 to 100."""

    loss: float  # nats per target piece, not smoothed
    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str
    translations: list[str]

    @property
    def ppl(self) -> float:
        """Perplexity per target piece."""
        return math.exp(min(self.loss, 100.0))


def evaluate(
    network: Seq2Seq,
    corpus: Corpus,
    tokenizer: Tokenizer,
    search: SearchOptions,
    *,
    dtype: torch.dtype,
) -> Evaluation:
    """Scores of `network` (in eval mode, fp32) on `corpus`; decoding runs in `dtype`."""
    device = next(network.parameters()).device
    loss = corpus_loss(network, corpus)
    translator = Translator(network, tokenizer, search, device=device, dtype=dtype)
    translations = translator.translate(corpus.pairs.sources)
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    references = [corpus.pairs.targets]
    return Evaluation(
        loss=loss,
        bleu=float(bleu.corpus_score(translations, references).score),
        chrf=float(chrf.corpus_score(translations, references).score),
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
        translations=translations,
    )


@torch.inference_mode()
def corpus_loss(network: Seq2Seq, corpus: Corpus) -> float:
    """Unsmoothed negative log-likelihood in nats per target piece, in fp32."""
    device = next(network.parameters()).device
    order = sorted(range(len(corpus.sources)), key=lambda row: len(corpus.targets[row]))
    total, pieces = 0.0, 0
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        pairs = [corpus.sources[r] for r in rows], [corpus.targets[r] for r in rows]
        batch = collate(Rows.unweighted(*pairs))
        memory = network.encode(batch.src.to(device), batch.src_lengths.to(device))
        features, _ = network.unroll(batch.tgt_in.to(device), network.start(memory), memory)
        real = features.flatten(0, 1).index_select(0, batch.real.to(device))
        output = network.output
        gold = batch.tgt_out.to(device)
        weights = batch.weights.to(device)
        loss = output_loss(real, output.weight, output.bias, gold, weights, smoothing=0.0)
        total += loss.nll.item()
        pieces += len(gold)
    return total / pieces
