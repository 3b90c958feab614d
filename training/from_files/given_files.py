"""Given files: what a user trains on without a config, checked, as corpora and as keys."""

import glob
import json
import os
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint.pretrained import in_box
from model.errors import ConfigError, DataError
from training.config.data_config import CorpusConfig, DataConfig
from training.data.readers import file_kind


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenFiles:
    """The files that a user gave, and what was said of them."""

    source: Path | None
    target: Path | None
    tsv: Path | None
    dev_source: Path | None
    dev_target: Path | None
    task: str | None
    source_language: str | None
    target_language: str | None
    begun_from: Path | None = None
    """A trained model to go on from."""
    old_dev_source: Path | None = None
    old_dev_target: Path | None = None

    def __post_init__(self) -> None:
        if self.tsv is not None and (self.source is not None or self.target is not None):
            raise ConfigError("--tsv: it holds both sides. Leave --source and --target out.")
        if self.tsv is None and (self.source is None or self.target is None):
            missing = "--source" if self.source is None else "--target"
            raise ConfigError(
                f"{missing} is missing: line i of one file translates line i of the other."
            )
        if (self.dev_source is None) != (self.dev_target is None):
            missing = "--dev-source" if self.dev_source is None else "--dev-target"
            raise ConfigError(
                f"{missing} is missing. Give both sides, or neither: then a dev set is split off."
            )
        if (self.old_dev_source is None) != (self.old_dev_target is None):
            missing = "--old-dev-source" if self.old_dev_source is None else "--old-dev-target"
            raise ConfigError(f"{missing} is missing. Give both sides, or neither.")
        if self.old_dev_source is not None and self.begun_from is None:
            raise ConfigError("--old-dev-source: without --from there is nothing to forget.")
        if self.tsv is not None and file_kind(self.tsv) != "tsv":
            raise ConfigError(f"--tsv {self.tsv}: not named .tsv, .tsv.gz or .tsv.zst. Rename it.")
        self._check_different()

    def _check_different(self) -> None:
        """Check that no file is given twice."""
        named = [(f"--{name.replace('_', '-')}", path) for name, path in self.files()]
        for number, (flag, path) in enumerate(named):
            if not path.is_file():
                what = "is a directory" if path.is_dir() else "no such file"
                raise DataError(f"{flag} {path}: {what}. Name a text file, a sentence a line.")
            if path.suffix in (".npz", ".npy"):
                raise ConfigError(
                    f"{flag} {path}: these are vectors, and files without a config are text. Write "
                    "a CONFIG, as docs/vectors.md shows."
                )
            for other, before in named[:number]:
                if path.samefile(before):
                    raise ConfigError(
                        f"{flag} {path} is the same file as {other}. Name the other side."
                    )

    def files(self) -> list[tuple[str, Path]]:
        """List what was given, by the name of the field."""
        own = ("tsv", "source", "target", "dev_source", "dev_target")
        names = (*own, "old_dev_source", "old_dev_target")
        return [(name, path) for name in names if (path := getattr(self, name)) is not None]

    def corpus(self) -> CorpusConfig:
        """The pairs to train on."""
        if self.tsv is not None:
            return CorpusConfig(files=_literal(self.tsv))
        assert self.source is not None and self.target is not None
        return CorpusConfig(source=_literal(self.source), target=_literal(self.target))

    def dev(self) -> CorpusConfig | None:
        """The dev set, if there is one."""
        if self.dev_source is None or self.dev_target is None:
            return None
        return CorpusConfig(source=_literal(self.dev_source), target=_literal(self.dev_target))

    def old_dev(self) -> CorpusConfig | None:
        """The dev set of the model to go on from, if it is given."""
        if self.old_dev_source is None or self.old_dev_target is None:
            return None
        source, target = map(_literal, (self.old_dev_source, self.old_dev_target))
        return CorpusConfig(source=source, target=target)

    def section(self) -> DataConfig:
        """A section `data`, to read the files with."""
        corpus = self.corpus()
        return DataConfig(
            train=(corpus,),
            dev=self.dev() or corpus,
            data_dir=Path.cwd(),
            task=self.task or "translate",
            source_language=self.source_language or "",
            target_language=self.target_language or "",
            license="",
        )

    def overrides(self) -> list[str]:
        """The keys that were said on the command line; other values are refused later."""
        names = ("task", "source_language", "target_language")
        said = [f"data.{name}={json.dumps(v)}" for name in names if (v := getattr(self, name))]
        if self.begun_from is not None:
            path = in_box(self.begun_from).resolve()
            said.append(f"finetune.init_from={json.dumps(str(path))}")
        return said


def _literal(path: Path) -> Path:
    """Make an absolute path that no character of is taken for a pattern."""
    return Path(glob.escape(os.path.abspath(path)))
