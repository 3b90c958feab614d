"""Minimum risk training: better candidates become more probable (Shen et al. 2016)."""

# Shapes: N sentences, S source length, C candidates of all sentences together, K the most of one,
# T target length, M target pieces of all candidates, F feature size.

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from typing import NamedTuple

import sacrebleu
import torch
import torch.nn.functional as F
from torch import Tensor

from model.decoding.engine import Engine, room_for
from model.decoding.options import SearchOptions
from model.decoding.request import Finished, Request
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID
from model.text.vocabulary import Vocabulary
from training.config.objective_config import ObjectiveConfig, Risk
from training.data.batching import Batch, Ids, Rows, collate
from training.losses.likelihood import gate_and_copied, likelihood
from training.losses.output_loss import CHUNK
from training.metrics.bleu_tokenization import BleuTokenization, bleu_tokenizer, make_bleu
from training.metrics.rouge import rouge_l

RiskScore = Callable[[str, str], float]
"""Score, 0 to 1, of a translation (first) against its reference (second)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RiskMeasure:
    """How candidates are sampled and scored."""

    tokenizer: Vocabulary
    score: RiskScore
    samples: int
    sharpness: float

    @classmethod
    def of(
        cls, config: ObjectiveConfig, tokenizer: Vocabulary, tokenize: BleuTokenization
    ) -> "RiskMeasure":
        """Make the measure of a config; see `score_named`."""
        return cls(
            tokenizer=tokenizer,
            score=score_named(config.risk, tokenize),
            samples=config.risk_samples,
            sharpness=config.risk_sharpness,
        )


class RiskCandidates(NamedTuple):
    """Candidates for some sentences, those of one sentence adjacent, its reference first."""

    pieces: list[Ids]  # C
    sentence: list[int]  # C, the row of the batch
    risk: list[float]  # C, 1 - score


def score_named(name: Risk, tokenize: BleuTokenization) -> RiskScore:
    """BLEU with smoothing, or chrF, of a sentence (sacrebleu's), or the F1 of ROUGE-L.

    Args:
        tokenize: of BLEU; auto goes by the letters of each reference.

    Raises:
        ConfigError: the tokenizer cannot be had.
    """
    if name == "rouge":
        return rouge_l
    if name == "chrf":
        chrf = sacrebleu.CHRF()
        return lambda candidate, reference: (
            float(chrf.sentence_score(candidate, [reference]).score) / 100
        )
    bleu_by = cache(partial(make_bleu, effective_order=True))
    if tokenize != "auto":
        bleu_by(tokenize)  # fail early

    def bleu(candidate: str, reference: str) -> float:
        metric = bleu_by(bleu_tokenizer(tokenize, "", [reference]))
        return float(metric.sentence_score(candidate, [reference]).score) / 100

    return bleu


def expected_risk(log_prob: Tensor, risk: Tensor, sharpness: float) -> tuple[Tensor, Tensor]:
    """Expected risk (N,) of candidates, and its gradient (N, K) for their log-probabilities.

    With `log_prob` (N, K), -inf where there is no candidate, and `risk` Delta (N, K); eq. 11 to 13:

        Q(y | x) = P(y | x)^alpha / sum_y' P(y' | x)^alpha
        R = sum_y Q(y | x) Delta(y)             dR / d log P(y | x) = alpha Q(y | x) (Delta(y) - R)
    """
    q = (sharpness * log_prob).softmax(dim=1)
    expected = (q * risk).sum(dim=1)
    return expected, sharpness * q * (risk - expected.unsqueeze(1))


def risk_loss(network: Seq2Seq, batch: Batch, memory: Memory, measure: RiskMeasure) -> Tensor:
    """Sum () of the expected risks of the sentences, each weighted by its target pieces.

    `memory` is that of the batch. The gradient is that of `expected_risk`; no gradient goes through
    the choice of the candidates.
    """
    candidates = draw_candidates(network, batch, measure)
    nothing: list[Ids] = [ids[:0] for ids in candidates.pieces]
    forced = collate(Rows.unweighted(nothing, candidates.pieces)).to(batch.src.device)
    count, (rows, length) = len(candidates.pieces), forced.tgt_in.shape
    sentence = torch.tensor(candidates.sentence, dtype=torch.long, device=batch.src.device)
    repeated = torch.cat([sentence, sentence.new_zeros(rows - count)])
    forced = forced._replace(src=batch.src.index_select(0, repeated))
    memory = Memory(*(field.index_select(0, repeated) for field in memory))
    features, attention = network.unroll(forced.tgt_in, network.start(memory), memory)
    real = features.flatten(0, 1).index_select(0, forced.real)  # (M, F)
    owner = forced.real // length  # (M,) the candidate
    each = piece_log_probs(network, forced, real, attention)
    log_prob = each.new_zeros(count).index_add(0, owner, each)
    place = torch.tensor(_places(candidates.sentence), dtype=torch.long, device=sentence.device)
    at = sentence, place
    shape = len(batch.src), int(place.max()) + 1 if count else 1
    padded = each.new_full(shape, -torch.inf).index_put(at, log_prob)
    risks = each.new_zeros(shape).index_put(at, each.new_tensor(candidates.risk))
    padded[padded.isneginf().all(dim=1)] = 0  # rows that only fill the batch: their risk is 0
    expected, gradient = expected_risk(padded, risks, measure.sharpness)
    row = batch.real // batch.tgt_in.shape[1]
    pieces = each.new_zeros(len(batch.src)).index_add(0, row, batch.weights.to(each.dtype))
    # Of weighted log-likelihoods, the gradient for log P is the weight: see `expected_risk`.
    weights = -(gradient * pieces.unsqueeze(1))[at][owner]
    surrogate, _ = likelihood(network, forced._replace(weights=weights), real, attention, 0.0)
    return surrogate - surrogate.detach() + (expected * pieces).sum()


@torch.no_grad()
def piece_log_probs(network: Seq2Seq, batch: Batch, real: Tensor, attention: Tensor) -> Tensor:
    """log p (M,), fp32 at least, of each target piece of `batch`.

    Args:
        real: (M, F) features of the target pieces.
        attention: (N, T, S), read where the network copies.
    """
    output, wide = network.output, torch.promote_types(real.dtype, torch.float32)
    found = [real.new_zeros(0, dtype=wide)]
    for start in range(0, len(real), CHUNK):
        logits = output(real[start : start + CHUNK]).to(wide)
        gold = batch.tgt_out[start : start + CHUNK].unsqueeze(1)
        found.append((logits.gather(1, gold) - logits.logsumexp(dim=1, keepdim=True)).squeeze(1))
    generated = torch.cat(found)
    if network.copy_gate is None:
        return generated
    gate, copied = gate_and_copied(network.copy_gate, batch, real, attention)
    return torch.logaddexp(
        F.logsigmoid(-gate) + generated, F.logsigmoid(gate) + copied.to(wide).log()
    )


def draw_candidates(network: Seq2Seq, batch: Batch, measure: RiskMeasure) -> RiskCandidates:
    """Collect the reference and distinct samples of the network for each sentence.

    The seeds are drawn from torch's random numbers. `network` is in training mode before and after.
    """
    length = batch.tgt_in.shape[1]
    references: dict[int, list[int]] = {
        row: [int(piece) for _, piece in group if piece != EOS_ID]
        for row, group in groupby(
            zip((batch.real // length).tolist(), batch.tgt_out.tolist(), strict=True),
            key=lambda pair: pair[0],
        )
    }
    sampled = _sampled(network, batch, list(references), measure.samples)
    drawn = RiskCandidates([], [], [])
    for row, reference in references.items():
        right = measure.tokenizer.target.decode(reference)
        for pieces in dict.fromkeys([tuple(reference), *sampled[row]]):
            drawn.pieces.append(torch.tensor(pieces, dtype=torch.int32).numpy())
            drawn.sentence.append(row)
            drawn.risk.append(1 - measure.score(measure.tokenizer.target.decode(pieces), right))
    return drawn


@torch.no_grad()
def _sampled(
    network: Seq2Seq, batch: Batch, rows: list[int], samples: int
) -> dict[int, list[tuple[int, ...]]]:
    """Sample translations of these rows of the batch with the engine."""
    seeds = torch.randint(2**62, (len(rows),)).tolist()
    longest = int(batch.src_lengths.max())
    was_training = network.training
    with torch.autocast(network.device.type, enabled=False):
        network.eval()
        engine = Engine(
            network,
            device=network.device,
            dtype=torch.float32,
            max_source=longest,
            max_length=room_for(SearchOptions(), longest),
        )
        network.train(was_training)
        owner: dict[int, int] = {}
        for row, seed in zip(rows, seeds, strict=True):
            options = SearchOptions(beam_size=samples, n_best=samples, temperature=1.0, seed=seed)
            src = batch.src[row, : int(batch.src_lengths[row]) - 1].tolist()
            owner[engine.add(Request(src=tuple(src), options=options))] = row
        found: dict[int, list[tuple[int, ...]]] = {}
        while engine.busy:
            for event in engine.step():
                if isinstance(event, Finished):
                    found[owner[event.id]] = [one.pieces for one in event.hypotheses]
    return found


def _places(sentence: list[int]) -> list[int]:
    """Index of each candidate among those of its sentence."""
    return [place for _, group in groupby(sentence) for place, _ in enumerate(group)]
