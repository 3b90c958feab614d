"""dragoman-score: how probable a given translation is, by forced decoding (teacher forcing)."""

# Shapes: N sentence pairs, T target length with EOS.

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import torch
from torch import Tensor

from model.cli import (
    OK,
    STREAM,
    add_model_arguments,
    command_parser,
    load_model,
    open_output,
    run_command,
)
from model.decoding.precision import cast
from model.errors import ConfigError, DataError
from model.network.seq2seq import Seq2Seq
from model.progress import bar_fits, line_progress
from model.text.lines import read_lines
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID
from model.translator import WINDOW, windows

NAME = "dragoman-score"

DESCRIPTION = """\
Score given translations with a trained model. For each pair of lines, one line of two columns
with a tab between them: the natural logarithm of the probability of the target line, and its
number of pieces. Both count the end of the sentence, so a blank target line has one piece.
The perplexity of the corpus, per piece, is written to standard error. No line is cut, whatever
its length. White space at the ends of a line does not count. The score is that of the search,
log_prob, before any length penalty. It is computed in fp32 unless --precision says otherwise;
in bf16, that of the search and this one are about 0.01 a piece apart."""

EXAMPLE = """\
example:
  dragoman-score runs/demo --source test.de --target test.en > scores.tsv"""

PIECES = 2048
"""Padded pieces, on the longer side, that are scored at once."""


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    return run_command(NAME, lambda: _score(_parser().parse_args(argv)))


@torch.inference_mode()
def score_pairs(
    network: Seq2Seq, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[float]:
    """The natural logarithm of the probability of each target and EOS, given its source.

    Args:
        network: in eval mode.
        sources, targets: piece ids without BOS and EOS, as many of one as of the other. A side may
            be empty.
    """
    scores = [0.0] * len(sources)
    for batch in batches([max(len(s), len(t)) for s, t in zip(sources, targets, strict=True)]):
        found = score_batch(network, [sources[i] for i in batch], [targets[i] for i in batch])
        for i, score in zip(batch, found.sum(1).tolist(), strict=True):
            scores[i] = score
    return scores


def batches(lengths: Sequence[int], most: int = PIECES) -> Iterator[list[int]]:
    """Positions of pairs of about equal length, as many at a time as `most` padded pieces allow."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * (lengths[i] + 1) > most:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@torch.inference_mode()
def score_batch(
    network: Seq2Seq, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> Tensor:
    """Log-probabilities (N, T) fp64 of the pieces and EOS of a batch that is run at once.

    Behind the EOS of a target that is shorter than others there are zeros.
    """
    device = network.output.weight.device
    src = _padded([[*pieces, EOS_ID] for pieces in sources], device)
    lengths = torch.tensor([len(pieces) + 1 for pieces in sources], device=device)
    tgt_in = _padded([[BOS_ID, *pieces] for pieces in targets], device)
    tgt_out = _padded([[*pieces, EOS_ID] for pieces in targets], device)
    memory = network.encode(src, lengths)
    features, weights = network.unroll(tgt_in, network.start(memory), memory)
    found: list[Tensor] = []
    # The logits of one very long line are the largest tensor: they are made a stretch at a time.
    for start in range(0, tgt_out.shape[1], PIECES):
        stretch = slice(start, start + PIECES)
        wanted = tgt_out[:, stretch]
        logits = network.log_scores(features[:, stretch], weights[:, stretch], memory).float()
        log_probs = logits.gather(2, wanted.unsqueeze(2)).squeeze(2) - logits.logsumexp(2)
        found.append(log_probs.masked_fill(wanted == PAD_ID, 0).double())
    return torch.cat(found, dim=1)


def _padded(rows: list[list[int]], device: torch.device) -> Tensor:
    size = max(map(len, rows))
    return torch.tensor([row + [PAD_ID] * (size - len(row)) for row in rows], device=device)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_model_arguments(parser)
    parser.set_defaults(precision="fp32", shortlist=False)
    for side in ("source", "target"):
        parser.add_argument(
            f"--{side}",
            metavar="FILE",
            type=Path,
            required=True,
            help=f"{side} lines, UTF-8, gzip if it ends in .gz",
        )
    parser.add_argument(
        "--output",
        metavar="FILE",
        default=STREAM,
        help="appears when it is complete, or not at all; - or nothing is standard output",
    )
    return parser


def _score(arguments: argparse.Namespace) -> int:
    model = load_model(NAME, arguments)
    if model.dtype == torch.int8:
        raise ConfigError("--precision int8: scores are computed in fp32 or bf16. Use one of them.")
    network = cast(model.checkpoint.network, model.dtype, model.device)
    tokenizer, profile = model.checkpoint.tokenizer, model.checkpoint.profile
    total = sum(1 for _ in read_lines(arguments.source)) if bar_fits() else None
    lines = pieces = 0
    log_prob = 0.0
    with open_output(arguments.output) as output, line_progress(NAME, total) as advance:
        for window in windows(_pairs(arguments.source, arguments.target), WINDOW):
            # Without the white space at the ends, as the lines are searched.
            sources = [tokenizer.encode(profile.normalized(source.strip())) for source, _ in window]
            targets = [tokenizer.encode(target.strip()) for _, target in window]
            scores = score_pairs(network, sources, targets)
            for score, target in zip(scores, targets, strict=True):
                output.write(f"{score:.6f}\t{len(target) + 1}\n".encode())
            output.flush()
            lines += len(window)
            pieces += sum(len(target) + 1 for target in targets)
            log_prob += sum(scores)
            advance(len(window))
        if not lines:
            raise DataError(f"{arguments.source}: has no lines. Give text to score.")
    print(
        f"{NAME}: {lines:,} lines, {pieces:,} pieces with the ends of sentences, log-probability "
        f"{log_prob:.2f}, perplexity {math.exp(-log_prob / pieces):.3f} per piece",
        file=sys.stderr,
    )
    return OK


def _pairs(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Pairs of lines.

    Raises:
        DataError: one file has more lines than the other.
    """
    firsts, seconds = read_lines(source), read_lines(target)
    for count, (first, second) in enumerate(zip_longest(firsts, seconds)):
        if first is None or second is None:
            unpaired = 1 + sum(1 for _ in chain(firsts, seconds))  # one of them is at its end
            longer, shorter = (source, target) if second is None else (target, source)
            raise DataError(
                f"{longer} has {count + unpaired} lines, but {shorter} has {count}. "
                "Give files whose lines belong together."
            )
        yield first, second


if __name__ == "__main__":
    sys.exit(main())
