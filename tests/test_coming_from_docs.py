"""docs/coming-from.md: every name of ours in its tables exists, and its commands are taken."""

import dataclasses
import importlib
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from model.cli.translate_parser import translate_parser
from model.config import to_dict
from service.settings import Settings
from training.config.data_config import CorpusConfig
from training.config.train_config import TrainConfig, parse_config

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CONFIG = (ROOT / "configs" / "demo.yaml").read_text(encoding="utf-8")
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
SECTIONS = tuple(f"{field.name}." for field in dataclasses.fields(TrainConfig))
OTHERS = {"torchrun", '{"text": ["..."]}', '"return": ["attention"]'}
"""Spans that are no names of ours; what surrounds the last two says where they stand."""


def rows() -> Iterator[list[str]]:
    """The cells of each row of a table that is no head of one."""
    for line in PAGE.splitlines():
        if line.startswith("|") and not line.startswith(("|---", "| task |")):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def spans() -> list[str]:
    """What is set as code in the second column."""
    return [span for row in rows() for span in re.findall(r"`([^`]+)`", row[1])]


def named(start: str | tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(span for span in spans() if span.startswith(start)))


COMMANDS = named("dragoman-")
FLAGS = named("--")
KEYS = named(SECTIONS)


def test_every_row_has_a_cell_for_each_toolkit() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table[:60]
    assert all(cell for row in rows() for cell in row)


def test_every_name_is_checked_by_one_of_the_tests_below() -> None:
    corpus = {field.name for field in dataclasses.fields(CorpusConfig)}
    settings = {f"DRAGOMAN_{name.upper()}" for name in Settings.model_fields}
    known = {*COMMANDS, *FLAGS, *KEYS, *corpus, *settings, *OTHERS, *routes(), *files()}
    values = {"dot", "additive", "cosine"}
    assert not set(spans()) - known - values


def routes() -> list[str]:
    """tests/test_api_docs.py compares the headings of that page with the server."""
    return re.findall(r"^## ((?:GET|POST) /\S+)", API, re.MULTILINE)


def files() -> set[str]:
    """What the README says a run contains."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return {f"RUN/{name}" for name in re.findall(r"`(tensorboard/|report\.html)`", text)}


def flags_of(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    entry = SCRIPTS[command].partition(":")[2].replace(".commands.", ".")
    main: Callable[[Sequence[str]], int] = importlib.import_module(entry).main
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    return set(re.findall(r"(?<![\w-])--[\w-]+", capsys.readouterr().out))


@pytest.mark.parametrize("shown", COMMANDS)
def test_a_command_has_the_flags(shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, *words = shown.split()
    assert {word for word in words if word.startswith("--")} <= flags_of(command, capsys)


def test_every_command_is_named() -> None:
    assert {shown.split()[0] for shown in COMMANDS} == SCRIPTS.keys()


@pytest.mark.parametrize("shown", FLAGS)
def test_dragoman_translate_takes_the_flag(shown: str) -> None:
    flag, *values = shown.split()
    if values:
        translate_parser().parse_args(["RUN", flag, *values])
    else:
        assert flag in translate_parser().format_help()


@pytest.mark.parametrize("shown", KEYS)
def test_a_config_takes_the_key(shown: str) -> None:
    key, _, value = shown.partition(": ")
    assert isinstance(parse_config(CONFIG, [f"{key}={value}"] if value else []), TrainConfig)
    found: object = to_dict(parse_config(CONFIG))
    for part in key.split("."):
        assert isinstance(found, dict) and part in found, part
        found = found[part]


def test_values_after_or_are_taken_too() -> None:
    for value in ("dot", "additive"):
        assert parse_config(CONFIG, [f"model.attention={value}"]).model.attention == value
    assert parse_config(CONFIG, ["optimizer.schedule=cosine"]).optimizer.schedule == "cosine"
