"""Sides: what reads the sources of a network and what writes its outputs, of lines or of vectors.

Here, and where the network is built, the kinds of a model are chosen between; text from text has a
`Translator` instead.
"""

from model.network.seq2seq import Seq2Seq
from model.text.symbols import Symbols
from model.text.vocabulary import Vocabulary
from model.translation.line_source import LineSource
from model.translation.piece_target import PieceTarget
from model.translation.symbol_target import SymbolTarget
from model.vectors.series_window import SeriesWindow
from model.vectors.vector_source import VectorSource


def make_source(
    network: Seq2Seq, lines: Vocabulary | None, most: int, window: SeriesWindow | None = None
) -> LineSource | VectorSource:
    """What reads sources of up to `most` steps: lines of this vocabulary, or vectors if None.

    Args:
        window: what each sequence of vectors is, if all are windows of series.
    """
    if network.config.source_width:
        return VectorSource(network, most, window)
    assert lines is not None
    encode = lines.source.encode_known if isinstance(lines, Symbols) else lines.encode
    return LineSource(lines, encode, most)


def make_target(lines: Vocabulary) -> SymbolTarget | PieceTarget:
    """What makes lines of what a search finds."""
    return SymbolTarget(lines) if isinstance(lines, Symbols) else PieceTarget(lines)
