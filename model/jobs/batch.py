"""Batch: a table in, the same table with columns of translations out, for whatever runs it.

    BatchTranslator("runs/demo")(pyarrow.table({"text": ["Am 3. Mai hat Anna Geburtstag."]}))

Ray, Spark and whatever else calls a function in many processes need no more than this class; it
knows none of them. See docs/scale-out.md.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import resolve_device, resolve_precision
from model.errors import ConfigError, DataError, DragomanError, RequestError
from model.io.lines import decode_line
from model.jobs.formats import TRANSLATION
from model.jobs.parquet import check_text_column
from model.jobs.window import Search, refuse_long_words
from model.text.charset import half_character
from model.transducer import Transducer
from model.translation.assemble import Translation
from model.translation.ensemble import network_of, shortlist_of
from model.translation.mbr import candidate_options, chrf
from model.translator import WINDOW, Translator, windows

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import Schema, Table

# One of the two comes back as what it was.
Batch = TypeVar("Batch", "Table", "DataFrame")

ADDED = (TRANSLATION, "score", "truncated", "error")
"""The columns that are added, in this order."""

_MODELS_KEPT = 4  # in a process: a pipeline may have several


class Outcome(NamedTuple):
    """What became of a text."""

    found: Translation | None
    """None for a missing text, and for one that cannot be translated."""
    error: str | None
    """Why it cannot be translated."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Settings:
    """What the model of a process is loaded from."""

    runs: tuple[str, ...]
    options: str
    """A JSON object."""
    mbr: bool
    device: str
    precision: Literal["auto", "fp32", "bf16", "int8"]
    threads: int
    shortlist: bool
    digests: tuple[str, ...]


class BatchTranslator:
    """Translates a column of a table, in whatever process it is called; it can be pickled.

    The model is loaded by the first call in a process, and kept for all later ones. What is found
    for a text does not depend on the others of its batch; a batch of some thousands is fast.
    """

    def __init__(
        self,
        run: str | Path | Sequence[str | Path],
        *,
        field: str = "text",
        options: Mapping[str, object] | None = None,
        mbr: bool = False,
        device: str = "auto",
        precision: Literal["auto", "fp32", "bf16", "int8"] = "auto",
        threads: int = 1,
        shortlist: bool = False,
        digests: Sequence[str] = (),
    ) -> None:
        """
        Args:
            run: as in `Translator.load`, also of a model of symbols. Every process that calls the
                translator must be able to read it. A relative path is resolved here.
            field: the column with the text.
            options: search options that differ from those of the checkpoint, such as
                `{"beam_size": 1}`.
            mbr: choose translations by minimum Bayes risk, as `Translator.mbr` does.
            device: `auto` takes the GPU that the scheduler shows to the process, if it shows one.
            precision: `auto` is measured on each machine, so machines of several kinds may differ:
                name one for the same bytes.
            threads: CPU threads of torch, for the whole process that translates.
            shortlist: score only the pieces that the checkpoint lists for a source.
            digests: if given, those of the checkpoints; a process that finds others at the same
                paths refuses them.

        Raises:
            ConfigError: `threads` is too small.
        """
        if threads < 1:
            raise ConfigError(f"threads: {threads} is too small. Use 1 or more.")
        paths = [run] if isinstance(run, str | Path) else run
        self.field = field
        self._settings = _Settings(
            runs=tuple(map(_absolute, paths)),
            options=json.dumps(dict(options or {})),
            mbr=mbr,
            device=device,
            precision=precision,
            threads=threads,
            shortlist=shortlist,
            digests=tuple(digests),
        )

    def __call__(self, batch: Batch) -> Batch:
        """Add the columns of `ADDED`: translation, score, truncated and error.

        A missing text has null in all four. A text that cannot be translated has its reason in
        `error` and null in the others; for all that are translated `error` is null. An existing
        column `translation` is replaced, as dragoman-translate does; all others come back as they
        are.

        Raises:
            CheckpointError, ConfigError, RequestError: as `Translator.load` and `Translator.check`.
            DataError: there is no such column of strings, or there is another column `score`,
                `truncated` or `error`.
        """
        if hasattr(batch, "column_names"):
            return _with_columns_of_table(batch, self.field, self)
        return _with_columns_of_frame(batch, self.field, self)

    def outcomes(self, texts: Iterable[str | bytes | None]) -> list[Outcome]:
        """Translate texts; bytes are UTF-8, or have an error.

        Raises:
            CheckpointError, ConfigError, RequestError: as `Translator.load` and `Translator.check`.
        """
        search, options = _loaded(self._settings)
        found: list[Outcome] = []
        for window in windows(texts, WINDOW):
            found += _window(search, options, window)
        return found


def _absolute(path: str | Path) -> str:
    """The path from the root; the name of a model in the box is no path."""
    return str(Path(path).absolute()) if Path(path).exists() else str(path)


@lru_cache(_MODELS_KEPT)
def _loaded(settings: _Settings) -> tuple[Search, SearchOptions]:
    """Load the model, for all calls in this process."""
    device = resolve_device(settings.device)
    torch.set_num_threads(settings.threads)
    checkpoints = [load_checkpoint(Path(run)) for run in settings.runs]
    for run, checkpoint, digest in zip(settings.runs, checkpoints, settings.digests, strict=False):
        if checkpoint.digest != digest:
            raise ConfigError(
                f"{run}: is another model here than where the job began. Give all machines the "
                "same files."
            )
    first, network = checkpoints[0], network_of(checkpoints)
    dtype = resolve_precision(settings.precision, device, network)
    options = from_dict(
        SearchOptions, to_dict(first.search) | json.loads(settings.options), "options."
    )
    if not first.is_text:
        if network.config.source_width:
            raise ConfigError(
                f"{settings.runs[0]}: this model reads vectors, and tables of text are for models "
                "that read text or symbols. Use dragoman-translate without --engine."
            )
        if settings.mbr:
            raise ConfigError("mbr: it compares words, but the model has symbols. Leave it out.")
        transducer = Transducer(network, first.lines, options, device=device, dtype=dtype)
        return transducer.search_each, options
    translator = Translator(
        network,
        first.tokenizer,
        options,
        device=device,
        dtype=dtype,
        profile=first.profile,
        shortlist=shortlist_of(checkpoints, settings.shortlist),
    )
    if not settings.mbr:
        return translator.search_each, options
    candidate_options(options)
    return partial(translator.search_each, utility=chrf()), options


def _window(
    search: Search, options: SearchOptions, texts: Sequence[str | bytes | None]
) -> list[Outcome]:
    outcomes = [Outcome(None, None)] * len(texts)
    readable: dict[int, str] = {}
    for number, text in enumerate(texts):
        try:
            if text is not None:
                readable[number] = _readable(text)
        except DragomanError as error:
            outcomes[number] = Outcome(None, str(error))
    results = search([(text, options) for text in readable.values()], lambda count: None)
    for number, result in zip(readable, results, strict=True):
        if isinstance(result, RequestError):
            outcomes[number] = Outcome(None, str(result))
        else:
            outcomes[number] = Outcome(result, None)
    return outcomes


def _readable(text: str | bytes) -> str:
    """The text, if it is one that a quarantine would not get; see `model.jobs.window`."""
    if isinstance(text, bytes):
        text = decode_line(text)
    elif wrong := half_character(text):
        raise DataError(wrong)
    refuse_long_words(text)
    return text


def _columns(outcomes: Sequence[Outcome]) -> dict[str, list[object]]:
    """The values of the columns of `ADDED`."""
    rows = [
        (found.text, found.hypotheses[0].score, _truncated(found), error)
        if found
        else (None, None, None, error)
        for found, error in outcomes
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(ADDED)
    return {name: list(values) for name, values in zip(ADDED, columns, strict=True)}


def _truncated(found: Translation) -> bool:
    """Whether the output hit its length limit, or only a part of the text was read."""
    return (
        found.hypotheses[0].truncated
        or found.truncated_source is not None
        or not all(window.used for window in found.windows)
    )


def check_columns(path: str, schema: "Schema", field: str) -> None:
    """Check that a table can be given to a `BatchTranslator`; `path` names it in messages.

    Raises:
        DataError: it cannot, see `BatchTranslator.__call__`.
    """
    check_text_column(path, schema, field)
    _check_added(path, schema.names)


def _check_added(path: str, names: Sequence[object]) -> None:
    for name in ADDED:
        if name != TRANSLATION and name in names:
            raise DataError(
                f"{path}: there is a column {name!r} already, which would be lost. Rename or drop "
                "it."
            )


def _with_columns_of_table(table: "Table", field: str, translator: BatchTranslator) -> "Table":
    import pyarrow

    check_columns("the table", table.schema, field)
    # Not as strings: values that are not UTF-8 are set aside.
    values = table.column(field).cast(pyarrow.string()).cast(pyarrow.binary()).to_pylist()
    columns = _columns(translator.outcomes(values))
    if TRANSLATION in table.column_names:
        table = table.drop_columns([TRANSLATION])
    types = (pyarrow.string(), pyarrow.float64(), pyarrow.bool_(), pyarrow.string())
    for (name, added), kind in zip(columns.items(), types, strict=True):
        table = table.append_column(name, pyarrow.array(added, kind))
    return table


def _with_columns_of_frame(
    frame: "DataFrame", field: str, translator: BatchTranslator
) -> "DataFrame":
    names = list(frame.columns)
    if names.count(field) != 1:
        raise DataError(
            f"the frame: no column {field!r}, or several, only {', '.join(map(str, names))}. Name "
            "one of them."
        )
    _check_added("the frame", names)
    missing = frame[field].isna().tolist()
    values = [None if gone else text for gone, text in zip(missing, frame[field], strict=True)]
    for value in values:
        if value is not None and not isinstance(value, str):
            raise DataError(
                f"the frame: column {field!r} holds {type(value).__name__}, not strings. Name "
                "another one."
            )
    columns = _columns(translator.outcomes(values))
    return frame.drop(columns=TRANSLATION, errors="ignore").assign(**columns)
