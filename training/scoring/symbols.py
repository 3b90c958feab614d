"""Scoring symbols: error rates against everything that is accepted."""

import argparse
from dataclasses import asdict

from model.cli.command import OK, open_output
from model.cli.report import write_report
from model.text.alphabet import Cut
from training.scoring.score_table import score_table
from training.scoring.systems import lines_beside, read_some_lines, sources_beside, systems_of
from training.validation.accepted_sequences import (
    Comparison,
    accepted_sequences,
    compiled_pattern,
    read_alternatives,
)
from training.validation.symbol_scores import symbol_scores


def evaluate_symbols(arguments: argparse.Namespace, cut: Cut, *, of_vectors: bool) -> int:
    """Score symbols by error rates against everything that is accepted.

    Args:
        of_vectors: whether the sources are vectors; then there are no `alternatives`.
    """
    paths, beside = arguments.reference, arguments.source
    comparison = Comparison(cut=cut, ignored=compiled_pattern(arguments.ignore_pattern))
    first = paths[0] if paths else beside
    references = [read_some_lines(path) for path in paths[:1]]
    count = len(references[0]) if references else len(read_some_lines(first))
    references += [lines_beside(path, first, count) for path in paths[1:]]
    sources = sources_beside(beside, first, count, of_vectors=of_vectors)
    lines = None if of_vectors or sources is None else list(map(str, sources))
    named = arguments.alternatives
    alternatives = {} if named is None else read_alternatives(named)
    accepted = accepted_sequences(references, alternatives, lines, comparison)
    systems = systems_of(arguments, sources, first, count, of_vectors=of_vectors)
    if arguments.output is not None:
        with open_output(arguments.output) as output:
            output.writelines(f"{line}\n".encode() for line in systems[0].outputs)
    cuts = [list(map(comparison.symbols, system.outputs)) for system in systems]
    other = cuts[1] if len(cuts) > 1 else None
    draws = arguments.bootstrap
    scores = symbol_scores(cuts[0], accepted, bootstrap=draws, baseline=other)
    theirs = None if other is None else symbol_scores(other, accepted, bootstrap=draws)
    figures = {
        "references": [str(path) for path in paths],
        "alternatives": None if named is None else str(named),
        "ignore_pattern": arguments.ignore_pattern,
        "lines": count,
        **systems[0].figures,
        **{name: asdict(score) for name, score in scores.items()},
    }
    if theirs is not None:
        rates = {name: asdict(score) for name, score in theirs.items()}
        figures["baseline"] = systems[1].figures | rates
    write_report(score_table(scores, theirs), figures, arguments.json)
    return OK
