"""Pair scores: how probable given translations of given texts are."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.tokenizer import Tokenizer
from model.translation.forced_decoding import score_pairs


@dataclass(frozen=True, kw_only=True, slots=True)
class PairScore:
    """The probability of a target, given its source."""

    log_prob: float
    """Natural logarithm of the probability of the pieces and EOS."""
    token_log_probs: tuple[float, ...]
    """The same for each piece, given those before it; EOS is left out."""
    pieces: tuple[str, ...]
    """The pieces of the target, without EOS; U+2581 stands for a space."""


def score_texts(
    network: Seq2Seq,
    tokenizer: Tokenizer,
    profile: TextProfile,
    sources: Sequence[str],
    targets: Sequence[str],
) -> list[PairScore]:
    """The score of each target, given the source at its place; by forced decoding.

    No text is cut, whatever its length. White space at the ends of a text does not count, as in
    the search.

    Args:
        network: in eval mode.
        sources, targets: of equal number.
    """
    src = [tokenizer.encode(profile.normalized(source.strip())) for source in sources]
    tgt = [tokenizer.encode(target.strip()) for target in targets]
    return [
        PairScore(
            log_prob=sum(log_probs),
            token_log_probs=log_probs[:-1],
            pieces=tuple(map(tokenizer.piece, pieces)),
        )
        for log_probs, pieces in zip(score_pairs(network, src, tgt), tgt, strict=True)
    ]
