"""What a resumed run may change, and what it refuses."""

import dataclasses
from pathlib import Path

import pytest

from model.errors import ConfigError, DataError
from training.config.train_config import load_config
from training.loop.resume import check_same_config, check_same_data


def test_the_links_of_a_guided_alignment_are_fixed(tiny_config: Path) -> None:
    config = load_config(tiny_config)
    fewer = dataclasses.replace(config.shortlist, max_links=9)
    check_same_config(dataclasses.replace(config, shortlist=fewer), config)
    guided = load_config(tiny_config, ["objective.guided_alignment=0.5"])
    with pytest.raises(ConfigError, match=r"shortlist\.max_links was 50000000 and is 9\. "):
        check_same_config(dataclasses.replace(guided, shortlist=fewer), guided)
    other = dataclasses.replace(config.shortlist, candidates=9)
    check_same_config(dataclasses.replace(guided, shortlist=other), guided)


@pytest.mark.parametrize("key", ["data.data_dir", "data.cache_dir"])
def test_folders_may_move(tiny_config: Path, key: str) -> None:
    check_same_config(load_config(tiny_config, [f"{key}=/elsewhere"]), load_config(tiny_config))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.train", "[{source: dev.de, target: dev.en}]"),
        ("data.dev", "{source: train.de, target: train.en}"),
        ("data.temperature", "2"),
        ("data.filters", "{identical: true}"),
        ("data.license", "unknown"),
        ("tokenizer.sampling", "0.2"),
        ("tokenizer.model", "other.model"),
    ],
)
def test_what_the_folders_hold_and_how_it_is_read_may_not(
    tiny_config: Path, key: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=rf"another config: {key}"):
        check_same_config(load_config(tiny_config, [f"{key}={value}"]), load_config(tiny_config))


def test_another_teacher_is_refused_and_an_older_checkpoint_knows_none() -> None:
    before = {"data_digest": "a", "dev_digest": "b", "old_dev_digest": "", "teacher_digest": "c"}
    check_same_data(before, {"data_digest": "a"})
    with pytest.raises(DataError, match=r"--resume: the models of objective\.teacher are not"):
        check_same_data(before | {"teacher_digest": "d"}, before)


def test_the_tokenization_of_bleu_stays(tiny_config: Path) -> None:
    """What auto comes to follows from the data; the configs of older runs have none."""
    given = load_config(tiny_config)
    found = load_config(tiny_config, ["validation.tokenize=13a"])
    check_same_config(given, found)
    check_same_config(found, given)
    other = load_config(tiny_config, ["validation.tokenize=intl"])
    with pytest.raises(ConfigError, match=r"validation\.tokenize was '13a' and is 'intl'"):
        check_same_config(other, found)
