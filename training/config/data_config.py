"""DataConfig: files and columns of the text, how corpora are mixed, and filters."""

import glob
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from model.errors import ConfigError, DataError
from model.io.cache_folder import cache_folder
from model.text.charset import half_character
from model.text.languages import UNKNOWN, language_tag
from model.text.length_pieces import MAX_BUCKETS
from model.text.profile import check_task
from training.config.windows_config import WindowsConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """A parallel corpus: two sets of text files, or files with columns, or a `datasets` name."""

    source: Path | tuple[Path, ...] = ()
    """Text, a sentence a line: a path, a glob, or a list of them; plain, .gz or .zst."""
    target: Path | tuple[Path, ...] = ()
    """The same number of files; line i of each translates line i of its counterpart."""
    files: Path | tuple[Path, ...] = ()
    """The same for .tsv, .jsonl (both also .gz or .zst) and .parquet, by their endings."""
    dataset: str = ""
    """A name on the Hugging Face hub, or a folder, for the library `datasets`."""
    dataset_config: str = ""
    """Configuration of the dataset, if it has several."""
    split: str = "train"
    """Split of the dataset."""
    source_column: int | str = ""
    """Number of a tsv column, from 1, or a name in the header (left out: 1); elsewhere the name of
    a field, with dots into nested ones (left out: "source")."""
    target_column: int | str = ""
    """Likewise; left out: 2, or "target"."""
    weight_column: int | str = ""
    """Likewise: the weight of each pair in the loss; left out: 1."""
    weight: float = 1.0
    """Relative frequency of lines of this corpus; see `epoch_counts`."""
    tag: str = ""
    """A word put before each source: a piece of the tokenizer, which learns it as one."""

    def __post_init__(self) -> None:
        pair = bool(self.source) or bool(self.target)
        if pair + bool(self.files) + bool(self.dataset) != 1:
            raise ConfigError("a corpus has source and target, or files, or dataset. Name one.")
        if pair and not (self.source and self.target):
            raise ConfigError("a corpus of text needs both source and target. Add the other.")
        if pair and (self.source_column or self.target_column or self.weight_column):
            raise ConfigError("source and target have no columns. Use files: x.tsv for them.")
        for name in ("source_column", "target_column", "weight_column"):
            column = getattr(self, name)
            if isinstance(column, int) and column < 1:
                raise ConfigError(f"{name}: {column} is too small. Columns count from 1.")
        if not self.dataset and (self.dataset_config or self.split != "train"):
            raise ConfigError(
                "dataset_config and split are for a dataset. Leave them out, or name one."
            )
        if not 0 < self.weight < math.inf:
            raise ConfigError(f"weight: {self.weight} must be above 0.")
        if self.tag and self.tag.split() != [self.tag]:
            raise ConfigError(f"tag: {self.tag!r} has spaces. Use one word, like <news>.")
        if self.tag.isalnum():
            raise ConfigError(
                f"tag: {self.tag!r} is an ordinary word, and the tokenizer would cut it off longer "
                f"ones. Write it with signs, like <{self.tag}>."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterConfig:
    """Filters for pairs, besides blank and too long ones; all are off by default."""

    max_ratio: float = 0.0
    """Greatest ratio of the pieces of the longer side to those of the shorter one; 0 = off."""
    duplicates: bool = False
    """Drop all but the first of equal pairs of a corpus."""
    identical: bool = False
    """Drop pairs whose target is the source."""
    encoding: bool = False
    """Drop lines that are not UTF-8 (else an error), or hold control characters or U+FFFD."""

    def __post_init__(self) -> None:
        if self.max_ratio and not 1 <= self.max_ratio < math.inf:
            raise ConfigError(
                f"data.filters.max_ratio: {self.max_ratio} would leave nothing. Use 0 (off), or 1 "
                "or more; 3 is usual."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Location and kind of the text, and which lines are left out."""

    train: tuple[CorpusConfig, ...]
    dev: CorpusConfig
    data_dir: Path | None = None
    """Base of relative paths; if left out, the variable DRAGOMAN_DATA, else the working folder."""
    cache_dir: Path | None = None
    """Where the ids of the training text are kept; if left out, in the user's cache."""
    temperature: float = 1.0
    """Above 1, small corpora come more often than their size says; see `epoch_counts`."""
    filters: FilterConfig = field(default_factory=FilterConfig)
    joined: float = 0.0
    """Share of the training lines that are two or three pairs of a corpus, drawn in each pass."""
    noise: float = 0.0
    """Share of the training pairs whose source is disturbed as people type; drawn in each pass."""
    task: str = "translate"
    """Task of the model: translate, or summarize, which reads a text whole."""
    source_language: str = UNKNOWN
    """Language of the sources: a BCP 47 tag (de, pt-BR), or a name, which becomes one."""
    target_language: str = UNKNOWN
    """Language of the targets, likewise."""
    length_buckets: int = 0
    """Buckets of lengths, each with a piece that asks for it (2 to 100); 0 = none."""
    windows: WindowsConfig | None = None
    """How files of series, .csv or .parquet, are cut into pairs of vectors; docs/vectors.md."""
    license: str = "none stated, private data"
    """License of the data, for the model card."""
    attribution: str = ""

    def __post_init__(self) -> None:
        if not self.train:
            raise ConfigError("data.train: an empty list. Name a corpus at least.")
        if not 0 < self.temperature < math.inf:
            raise ConfigError(f"data.temperature: {self.temperature} must be above 0.")
        for name, usual in (("joined", 0.3), ("noise", 0.2)):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"data.{name}: {getattr(self, name)} is no share. Use 0 (off) to below 1, such "
                    f"as {usual}."
                )
        if self.dev.weight != 1 or self.dev.weight_column:
            raise ConfigError("data.dev: weights are for training. Leave them out.")
        if self.length_buckets and not 2 <= self.length_buckets <= MAX_BUCKETS:
            raise ConfigError(
                f"data.length_buckets: {self.length_buckets} is out of range. Use 2 to "
                f"{MAX_BUCKETS}, 8 is usual, or 0 for none."
            )
        self._check_profile()

    def _check_profile(self) -> None:
        """Check the task, and turn the languages into tags."""
        try:
            check_task(self.task)
        except ConfigError as error:
            raise ConfigError(f"data.{error}") from None
        for name in ("source_language", "target_language"):
            try:
                object.__setattr__(self, name, language_tag(getattr(self, name)))
            except ConfigError as error:
                raise ConfigError(f"data.{name}: {error}") from None

    def path(self, name: Path) -> Path:
        """Resolve `name` under the base folder.

        Raises:
            DataError: it is not there, and no base folder is set.
        """
        path = self.base() / name
        if not path.exists() and not self.data_dir and "DRAGOMAN_DATA" not in os.environ:
            raise DataError(
                f"{path}: no such file. Check the path: relative ones of a config start at "
                "data.data_dir or the variable DRAGOMAN_DATA, without these in the current folder."
            )
        return path

    def paths(self, names: Path | tuple[Path, ...]) -> list[Path]:
        """Expand names and globs to files, those of a glob sorted by name.

        Raises:
            DataError: one means no file.
        """
        found: list[Path] = []
        for name in (names,) if isinstance(names, Path) else names:
            if glob.has_magic(str(name)):
                base = self.base()
                matching = sorted(map(Path, glob.glob(str(base / name), recursive=True)))
                if not matching:
                    raise DataError(f"{base / name}: no file has such a name. Check the pattern.")
                found += matching
                continue
            path = self.path(name)
            if not path.exists():
                raise DataError(f"{path}: no such file. Check the path.")
            found.append(path)
        return found

    def base(self) -> Path:
        """Folder that relative paths start from."""
        return self.data_dir or Path(os.environ.get("DRAGOMAN_DATA", "."))

    def cache(self) -> Path:
        """Folder of the cached corpora."""
        return self.cache_dir or cache_folder() / "corpora"


SOME_CORPUS = CorpusConfig(source=Path("source"), target=Path("target"))
"""In place of a corpus with mistakes, so that the rest of the section can be checked."""


def missing_files(data: Mapping[str, object], tokenizer: object) -> list[str]:
    """Tell of each file in a config that does not exist, in a line.

    Args:
        data: the section as it is written; what is not a name of a file is told elsewhere.
        tokenizer: the value of `tokenizer.model`.
    """
    folder = data.get("data_dir")
    base = Path(folder) if isinstance(folder, str) else None
    config = DataConfig(train=(SOME_CORPUS,), dev=SOME_CORPUS, data_dir=base)
    lines: list[str] = []
    nowhere = not config.base().is_dir()  # then one line tells of all relative names
    for key, name in [*_named_files(data), ("tokenizer.model", tokenizer)]:
        if not isinstance(name, str) or not name or half_character(name):
            continue
        try:
            config.paths(Path(name))
        except DataError as error:
            relative = not Path(name).is_absolute()
            if relative and nowhere and any("no such folder" in line for line in lines):
                continue
            if relative and nowhere:
                where = "data.data_dir" if base else "the variable DRAGOMAN_DATA"
                lines.append(f"{key}: {name}: in {config.base()}: no such folder. Mend {where}.")
            else:
                lines.append(f"{key}: {error}")
    return lines


def _named_files(data: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    train = data.get("train")
    corpora = list(enumerate(train)) if isinstance(train, list) else []
    for path, corpus in [
        *((f"data.train[{i}]", one) for i, one in corpora),
        ("data.dev", data.get("dev")),
    ]:
        for key in ("source", "target", "files"):
            names = corpus.get(key) if isinstance(corpus, dict) else None
            for name in names if isinstance(names, list) else [names]:
                yield f"{path}.{key}", name


def as_corpora(data: dict[str, object]) -> dict[str, object]:
    """Convert corpora in the section `data` to their present form.

    Configs and checkpoints of version 0.1 have one corpus instead of a list, and the key `tsv`
    instead of `files`.
    """

    def renamed(corpus: object) -> object:
        if not isinstance(corpus, dict):
            return corpus
        return {"files" if key == "tsv" else key: value for key, value in corpus.items()}

    changed = dict(data)
    if isinstance(data.get("train"), dict):
        changed["train"] = [data["train"]]
    if isinstance(changed.get("train"), list):
        changed["train"] = [renamed(corpus) for corpus in cast(list[object], changed["train"])]
    if "dev" in data:
        changed["dev"] = renamed(data["dev"])
    return changed
