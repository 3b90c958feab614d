"""Preparation of a training from two files: the split, the settings, and the config of the run."""

import glob
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from model.checkpoint.run_directory import is_begun, lock_run
from model.decoding.precision.precision import resolve_device
from model.errors import CheckpointError, ConfigError, DataError
from model.io.lines import atomic_output
from model.text.tokenizer import Tokenizer
from training.config.data_config import CorpusConfig, DataConfig
from training.config.train_config import TrainConfig, load_config, parse_config
from training.data.learn_tokenizer import learn_tokenizer
from training.data.readers import file_kind
from training.data.text_corpus import TextPairs, all_lines, read_pairs
from training.from_files.choose_settings import (
    BATCH_TOKENS,
    KEPT,
    MOST_MINUTES,
    Setting,
    Statistics,
    choose_length,
    choose_network,
    choose_training,
    choose_vocabulary,
    default_minutes,
    network_of,
    warn_of_few_updates,
)
from training.from_files.commented_config import commented_config
from training.from_files.dev_split import FILES, choose_dev, overlap, write_split
from training.from_files.fine_tune import (
    Base,
    fine_tuning_minutes,
    load_base,
    network_settings,
    old_dev_settings,
    search_settings,
    training_settings,
)
from training.from_files.machine_speed import Speed, measure_speed
from training.from_files.survey import Survey, take_survey
from training.system.distributed import usable_cores

ORIGIN = "origin.json"
"""In the folder of the split: what it was made of."""
COVERAGE = 0.9999  # of the characters of the text; the rest are byte pieces
LEAST = 261  # pieces besides characters: 256 bytes, 4 for control, the space mark


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


def prepare(
    given: GivenFiles,
    run: Path,
    *,
    minutes: float | None,
    overrides: Sequence[str],
    say: Callable[[str], None],
) -> TrainConfig:
    """Return the config of the training of `given` into `run`, and write it there if it is new.

    Raises:
        CheckpointError: `run` is in use, or is not a run of this kind.
        ConfigError, DataError: the files are no corpus, or are not those that `run` began with.
    """
    folder = run / "data"
    changes = [*overrides, *([f"run.max_minutes={minutes}"] if minutes is not None else [])]
    device = resolve_device(_check(given, changes).run.device)
    with lock_run(run):
        begins = not (run / "config.yaml").exists()
        base = load_base(given.begun_from) if given.begun_from and begins else None
        if base is not None:
            given = as_trained(given, base)
        survey = take_survey(given.corpus(), _plain(given), any_ratio=given.task == "summarize")
        origin = {"pairs": survey.digest, "dev": _dev_digest(given)}
        if (run / "config.yaml").exists():
            _check_origin(folder, origin, run)
            return load_config(run / "config.yaml", [*_said(given), *changes])
        if is_begun(run):
            raise CheckpointError(f"{run}: its config.yaml is missing. Choose another --output.")
        folder.mkdir(exist_ok=True)
        data, pairs, sample = _divide(given, survey, folder, say)
        with atomic_output(folder / ORIGIN) as file:
            file.write(json.dumps(origin).encode())
        if base is None:
            text = _configure(given, data, pairs, sample, minutes=minutes, device=device, say=say)
        else:
            data += old_dev_settings(base, given.old_dev(), _plain(given), folder, say)
            text = _go_on(base, given, data, pairs, sample, minutes=minutes, device=device, say=say)
        config = parse_config(text, changes)
        with atomic_output(run / "config.yaml") as file:
            file.write(text.encode())
        say(f"settings and reasons: {run / 'config.yaml'}")
        return config


def _check(given: GivenFiles, changes: Sequence[str]) -> TrainConfig:
    """Check what was said on the command line before anything is read or written.

    Returns:
        A config with nothing else in it that means anything.

    Raises:
        ConfigError: see `parse_config`.
    """
    settings = [
        Setting("data.train", [{"source": "a", "target": "b"}], ""),
        Setting("data.dev", {"source": "a", "target": "b"}, ""),
        Setting("data.source_language", "", ""),
        Setting("data.target_language", "", ""),
        Setting("data.license", "", ""),
        Setting("run.max_minutes", MOST_MINUTES, ""),
    ]
    return parse_config(commented_config([], settings) + "model: {}\n", [*_said(given), *changes])


def _plain(given: GivenFiles) -> DataConfig:
    """A section `data`, to read the files that were given."""
    corpus = given.corpus()
    return DataConfig(
        train=(corpus,),
        dev=given.dev() or corpus,
        data_dir=Path.cwd(),
        task=given.task or "translate",
        source_language=given.source_language or "",
        target_language=given.target_language or "",
        license="",
    )


def _literal(path: Path) -> Path:
    """Make an absolute path that no character of is taken for a pattern."""
    return Path(glob.escape(os.path.abspath(path)))


def _dev_digest(given: GivenFiles) -> str:
    dev = given.dev()
    return take_survey(dev, _plain(given)).digest if dev else ""


def _check_origin(folder: Path, origin: dict[str, str], run: Path) -> None:
    """Make sure that `run` was begun with the same pairs.

    Raises:
        CheckpointError: it was begun with a config.
        DataError: it was begun with other pairs.
    """
    path = folder / ORIGIN
    if not path.exists():
        raise CheckpointError(
            f"{run} holds a run with a config of its own. Go on with dragoman-train "
            f"{run / 'config.yaml'} --output {run} --resume, or choose another --output."
        )
    if json.loads(path.read_bytes()) != origin:
        raise DataError(
            f"{run} was begun with other pairs than these. Put them back, or choose another "
            "--output."
        )


def _said(given: GivenFiles) -> list[str]:
    """The keys that were said on the command line, as overrides; other values are refused later."""
    names = ("task", "source_language", "target_language")
    said = [f"data.{name}={json.dumps(v)}" for name in names if (v := getattr(given, name))]
    if given.begun_from is not None:
        said.append(f"finetune.init_from={json.dumps(str(given.begun_from.resolve()))}")
    return said


def _divide(
    given: GivenFiles, survey: Survey, folder: Path, say: Callable[[str], None]
) -> tuple[list[Setting], int, TextPairs]:
    """Write the split of the pairs to `folder`, or find the dev set that was given.

    Returns:
        Where the data are, how many pairs the training has, and a sample of them.
    """
    dev = given.dev()
    if dev is not None:
        shared = overlap(survey, take_survey(dev, _plain(given)))
        say(f"{survey.pairs:,} pairs for the training; the dev set was given")
        if shared:
            say(
                f"warning: {shared:,} of them share a side with the dev set, so its scores are "
                "better than those on new text will be"
            )
        settings = [
            Setting("data.train", [_files(given.corpus())], "as given"),
            Setting("data.dev", _files(dev), "as given"),
        ]
        return settings, survey.pairs, survey.sample
    split = choose_dev(survey)
    write_split(folder, given.corpus(), _plain(given), split)
    held, lost = int(split.dev.sum()), int(split.lost.sum())
    kept = survey.pairs - held - lost
    say(
        f"{survey.pairs:,} pairs: {kept:,} for the training, {held:,} held out as a dev set"
        + (f", {lost:,} left out because they share a side with it" if lost else "")
    )
    train_source, train_target, dev_source, dev_target = FILES
    settings = [
        Setting("data.data_dir", str(folder.resolve()), "where the split was written"),
        Setting(
            "data.train", [{"source": train_source, "target": train_target}], f"{kept:,} pairs"
        ),
        Setting(
            "data.dev",
            {"source": dev_source, "target": dev_target},
            f"{held:,} pairs, none of whose sides is in the training",
        ),
    ]
    return settings, kept, survey.sampled(split.train)


def _files(corpus: CorpusConfig) -> dict[str, str]:
    """The files of a corpus, as in a config."""
    found = {name: getattr(corpus, name) for name in ("source", "target", "files")}
    return {name: str(path) for name, path in found.items() if path}


def _configure(
    given: GivenFiles,
    data: list[Setting],
    pairs: int,
    sample: TextPairs,
    *,
    minutes: float | None,
    device: torch.device,
    say: Callable[[str], None],
) -> str:
    """Choose every setting; return the text of the config."""
    summary = given.task == "summarize"
    say("learning a vocabulary, then measuring the speed of this machine")
    vocabulary, tokenizer = _tokenizer(pairs, sample)
    statistics = measure_lengths(pairs, sample, tokenizer)
    network = choose_network(pairs)
    speed = measure_speed(
        network_of(network, tokenizer.vocab_size),
        batch_tokens=BATCH_TOKENS,
        source_pieces=statistics.source_pieces,
        target_pieces=statistics.target_pieces,
        device=device,
        cores=usable_cores(),
    )
    if minutes is None:
        wanted: float = default_minutes(statistics, speed.pieces_per_s)
        why = "ten passes over the data, but 10 to 120 minutes; see --minutes"
    else:
        wanted, why = minutes, "--minutes"
    training = choose_training(statistics, minutes=wanted, pieces_per_s=speed.pieces_per_s)
    warning = warn_of_few_updates(statistics, minutes=wanted, pieces_per_s=speed.pieces_per_s)
    settings = [
        *data,
        *_profile(given, data),
        vocabulary,
        *network,
        *(one for one in training if one.key.startswith("model.")),
        choose_length(statistics, summary=summary),
        *(one for one in training if not one.key.startswith("model.")),
        Setting("run.max_minutes", wanted, why),
        *_machine(speed),
        Setting("search.beam_size", 5, "hypotheses kept in parallel; 1 is greedy and faster"),
    ]
    _tell(settings, say)
    if warning:
        say(warning)
    head = ["Written by dragoman-train, which chose the values from the data and this machine."]
    return commented_config(head, settings)


def _go_on(
    base: Base,
    given: GivenFiles,
    data: list[Setting],
    pairs: int,
    sample: TextPairs,
    *,
    minutes: float | None,
    device: torch.device,
    say: Callable[[str], None],
) -> str:
    """Choose every setting of a fine-tuning; return the text of the config."""
    checkpoint = base.checkpoint
    statistics = measure_lengths(pairs, sample, checkpoint.tokenizer)
    batch = Setting("run.batch_tokens", BATCH_TOKENS, "source and target pieces of an update")
    speed = measure_speed(
        checkpoint.config,
        batch_tokens=BATCH_TOKENS,
        source_pieces=statistics.source_pieces,
        target_pieces=statistics.target_pieces,
        device=device,
        cores=usable_cores(),
    )
    wanted = minutes or fine_tuning_minutes(statistics, speed.pieces_per_s)
    why = "--minutes" if minutes else "ten passes over the data, but 5 to 60 minutes; see --minutes"
    files = [one for one in data if one.key.startswith("data.")]
    settings = [
        *files,
        *_profile(given, files),
        *(one for one in data if one not in files),
        *network_settings(base),
        *training_settings(
            base,
            statistics,
            minutes=wanted,
            pieces_per_s=speed.pieces_per_s,
            batch_tokens=BATCH_TOKENS,
        ),
        Setting("run.max_minutes", wanted, why),
        batch,
        *_machine(speed),
        *search_settings(base),
    ]
    _tell(settings, say)
    head = ["Written by dragoman-train --from, from the model, the data and this machine."]
    return commented_config(head, settings)


def as_trained(given: GivenFiles, base: Base) -> GivenFiles:
    """Add the task of the model, and its languages unless others are given.

    Raises:
        ConfigError: another task is given.
    """
    profile = base.checkpoint.profile
    if given.task not in (None, profile.task):
        raise ConfigError(f"--task {given.task}: the model of --from is for {profile.task}.")
    return replace(
        given,
        task=profile.task,
        source_language=given.source_language or profile.source_language or None,
        target_language=given.target_language or profile.target_language or None,
    )


def _tell(settings: Sequence[Setting], say: Callable[[str], None]) -> None:
    """Say what was chosen and why."""
    for one in settings:
        if one.key.split(".")[0] != "data" and one.reason != "likewise":
            say(f"  {one.key}: {one.value}  ({one.reason})")


def _profile(given: GivenFiles, data: list[Setting]) -> list[Setting]:
    """The rest of the section `data`, and how BLEU cuts the targets."""
    stated = "as given" if given.source_language or given.target_language else "not said"
    settings = [
        Setting("data.task", given.task or "translate", "or summarize; see --task"),
        Setting("data.source_language", given.source_language or "", stated),
        Setting("data.target_language", given.target_language or "", stated),
        Setting("data.license", "not stated", "of the data; shown on the model's card"),
    ]
    config = parse_config(
        commented_config([], [*data, *settings, Setting("run.max_minutes", 1, "")]) + "model: {}\n"
    )
    references = read_pairs(config.data.dev, config.data).targets
    resolved = config.validation.resolved(config.data.target_language, references)
    return [
        *settings,
        Setting("validation.tokenize", resolved.tokenize, "how BLEU cuts the target language"),
    ]


def _machine(speed: Speed) -> list[Setting]:
    told = f"{speed.pieces_per_s:,.0f} pieces/s here"
    return [
        Setting("run.eval_every", "auto", "eight validations, fewer if they are slow"),
        Setting("run.threads", speed.threads, f"measured: {told}, more threads are no faster"),
        Setting("run.precision", speed.precision, "measured: the faster one here"),
    ]


def measure_lengths(pairs: int, sample: TextPairs, tokenizer: Tokenizer) -> Statistics:
    """Count the pieces of a sample of the pairs."""
    sides = [
        np.array([len(tokenizer.encode(line)) for line in side])
        for side in (sample.sources, sample.targets)
    ]
    return Statistics(
        pairs=pairs,
        source_pieces=max(float(sides[0].mean()), 1.0),
        target_pieces=max(float(sides[1].mean()), 1.0),
        longest=int(np.quantile(np.maximum(*sides), KEPT, method="higher")),
    )


def _tokenizer(pairs: int, sample: TextPairs) -> tuple[Setting, Tokenizer]:
    """Choose the vocabulary, and learn one of that size from the sample, to count pieces with.

    Raises:
        ConfigError: no size suits the text.
    """
    lines = list(all_lines(sample))
    counts = Counter(character for line in lines for character in line)
    total, seen, characters = counts.total(), 0, 0
    for _, count in counts.most_common():
        if seen >= COVERAGE * total:
            break
        seen, characters = seen + count, characters + 1
    setting = choose_vocabulary(pairs, characters)
    while True:
        assert isinstance(setting.value, int)
        try:
            learned = learn_tokenizer(lines, kind="bpe", vocab_size=setting.value)
        except ConfigError:
            smaller = setting.value * 9 // 10
            if smaller < LEAST + characters:
                raise
            setting = setting._replace(
                value=smaller, reason="the text repeats itself: it has no more pieces"
            )
            continue
        return setting, Tokenizer(learned)
