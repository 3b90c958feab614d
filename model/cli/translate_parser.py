"""The parser of dragoman-translate, and its help text."""

import argparse

from model.cli.cluster import add_cluster_arguments
from model.cli.command import (
    STREAM,
    add_ensemble_argument,
    add_model_arguments,
    add_search_arguments,
    add_shortlist_argument,
    command_parser,
)
from model.jobs.columns import COLUMNS
from model.jobs.formats import FORMATS

NAME = "dragoman-translate"

DESCRIPTION = """\
Translate text with a trained model: one line out for each line in, in the same order.
Blank lines come back unchanged. Sentences of a line are translated one by one and joined,
unless the model has learned from lines of several (--split-sentences); a sentence that is too
long for the model is cut, and joined again. Bullets, emoji and white space stay in their place.
See docs/text.md. A model of symbols reads each line whole (docs/symbols.md), one of vectors reads
sequences of numbers (docs/vectors.md). Outputs that hit their length limit are counted on standard
error.

A line ends at LF; a CR before it is dropped. A line break that the model itself produces is
written as a space. Up to 4,096 piped lines are translated together, fewer if the pipe is slow:
none waits long for the next. Input that is not UTF-8 ends the command with the number of the
line, unless --quarantine is given.

From file to file, what is done is kept in OUTPUT.parts until all is done: after a kill,
--resume goes on with it, and --shard lets several processes share the work. The output has the
same bytes in any case. See docs/translate.md."""

EXAMPLE = """\
example:
  echo 'Das Brot kostet 4,20 Euro.' | dragoman-translate runs/demo
  dragoman-translate runs/demo chapter1.txt chapter2.txt > book.txt
  dragoman-translate runs/demo --input in.txt --output out.txt
  dragoman-translate runs/demo --input in.tsv.zst --field 2 --output out.tsv.zst --shard 3/8
  dragoman-translate runs/demo --engine ray --input in/ --output out/
  dragoman-translate runs/traffic --windows load.csv --output forecast.csv

--print: the columns are INDEX ||| TRANSLATION ||| SCORE ||| LINKS, of which those are left out that
were not asked for. nbest gives a line for each of the --n-best translations, with the index of the
input line, from 0, and the score; scores gives the score; alignment gives links of words, such as
0-0 1-2, source first.

tsv: a column with the translation is added at the end of each line.

jsonl: each line is an object with the key "text" and, if you like, "options" (search options for
this line, such as {"beam_size": 1}). It comes back with all its keys and, in the place of any of
the same name, with translation, score, log_prob, pieces, token_log_probs (of each piece),
alignment (for each piece the index of the source piece that it attended to most), word_alignment
(the same for words), word_sources (for each word where the words that it comes from stand in the
text: a list of [start, end) in characters), source_pieces and truncated (the length limit was
hit); with an n_best above 1 also with alternatives, a list of the other translations; and with
windows, if the text was read in windows (--on-long windows).

parquet: the table comes back with a column "translation"."""


def translate_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_model_arguments(parser)
    _add_files(parser)
    add_ensemble_argument(parser)
    add_shortlist_argument(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="of input and output (default: what the name of the input ends in, else text); an "
        "--n-best above 1 needs jsonl, or --print nbest",
    )
    parser.add_argument(
        "--print",
        metavar="COLUMNS",
        help="what lines of text say besides the translation: one or more of "
        f"{', '.join(COLUMNS)}, with commas between them (see below)",
    )
    parser.add_argument(
        "--field",
        metavar="NAME",
        help="where the text is: in tsv the number of a column, from 1, or its name in the header "
        "(default: 1), in jsonl a key and in parquet a column (default: text)",
    )
    parser.add_argument(
        "--quarantine",
        metavar="FILE",
        help="where lines go that cannot be translated, with the reason, as jsonl; an empty line "
        "takes their place (default: the first such line ends the command)",
    )
    parser.add_argument(
        "--line-buffered",
        action="store_true",
        help="translate and write each line by itself, as soon as it is read, even if more are "
        "there (default: with all lines that arrive within 0.05 s, which is faster)",
    )
    job = parser.add_argument_group("from file to file")
    job.add_argument(
        "--shard",
        metavar="I/N",
        help="do one of N shares; the last one to finish writes the output that all N name",
    )
    job.add_argument(
        "--resume", action="store_true", help="go on with what an earlier run has done, if anything"
    )
    add_cluster_arguments(parser)
    add_search_arguments(parser)
    parser.add_argument(
        "--mbr",
        action="store_true",
        help="of all beam-size hypotheses, best of all samples (--temperature), take the one that "
        "is most like all of them by chrF: minimum Bayes risk (see docs/search.md)",
    )
    return parser


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        default=[],
        help="files to translate one after the other, as if --input had all their lines; - is "
        "standard input. They stand before --ensemble",
    )
    parser.add_argument(
        "--input",
        metavar="FILE",
        help="UTF-8, decompressed if it ends in .gz or .zst; - or nothing is standard input",
    )
    parser.add_argument(
        "--windows",
        metavar="TABLE",
        help="a .csv or .parquet file of series, of each of which the next steps are forecast, for "
        "a model that was trained on windows of series (see docs/vectors.md); the output is JSON, "
        "or a table if it ends in .csv",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        default=STREAM,
        help="appears when it is complete, or not at all; compressed if it ends in .gz or .zst; - "
        "or nothing is standard output",
    )
