"""Settings of the data: where the pairs are, their languages, and how BLEU cuts the targets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.config.data_config import CorpusConfig
from training.config.train_config import parse_config
from training.data.text_corpus import TextPairs, read_pairs
from training.from_files.choose_settings import Setting
from training.from_files.commented_config import commented_config
from training.from_files.dev_split import FILES, choose_dev, overlap, write_split
from training.from_files.given_files import GivenFiles
from training.from_files.survey import Survey


@dataclass(frozen=True, kw_only=True, slots=True)
class DividedData:
    """The pairs of a training, apart from its dev set."""

    settings: list[Setting]
    """Where both are."""
    pairs: int
    """Number of pairs to train on."""
    sample: TextPairs
    """Some of them."""


def divide(
    given: GivenFiles,
    survey: Survey,
    dev_survey: Survey | None,
    folder: Path,
    say: Callable[[str], None],
) -> DividedData:
    """Take the dev set that was given, or write a split of the pairs to `folder`.

    Args:
        survey: of the pairs.
        dev_survey: of the dev set that was given, if one was.

    Raises:
        DataError: the pairs cannot be split, or the file system refused.
    """
    dev = given.dev()
    if dev is None or dev_survey is None:
        return _split(given, survey, folder, say)
    say(f"{survey.pairs:,} pairs for the training; the dev set was given")
    if shared := overlap(survey, dev_survey):
        say(
            f"warning: {shared:,} of them share a side with the dev set, so its scores are "
            "better than those on new text will be"
        )
    settings = [
        Setting("data.train", [_files(given.corpus())], "as given"),
        Setting("data.dev", _files(dev), "as given"),
    ]
    return DividedData(settings=settings, pairs=survey.pairs, sample=survey.sample)


def _split(
    given: GivenFiles, survey: Survey, folder: Path, say: Callable[[str], None]
) -> DividedData:
    split = choose_dev(survey)
    folder.mkdir(exist_ok=True)
    write_split(folder, given.corpus(), given.section(), split)
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
    return DividedData(settings=settings, pairs=kept, sample=survey.sampled(split.train))


def _files(corpus: CorpusConfig) -> dict[str, str]:
    """The files of a corpus, as in a config."""
    found = {name: getattr(corpus, name) for name in ("source", "target", "files")}
    return {name: str(path) for name, path in found.items() if path}


def profile_settings(given: GivenFiles, data: list[Setting]) -> list[Setting]:
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
