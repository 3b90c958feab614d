"""The defaults that configs and documentation state are those of the code."""

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from model.config import to_dict
from model.errors import ConfigErrors
from training.config.data_config import CorpusConfig
from training.config.train_config import TrainConfig, parse_config

ROOT = Path(__file__).parents[3]
CONFIG = (ROOT / "configs" / "multi30k_en_de.yaml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
BARE = """
data: {train: [{source: a.de, target: a.en}], dev: {files: b.tsv}}
run: {max_steps: 100000}
"""
COMPUTED = {
    "optimizer.warmup_steps": "a tenth of max_steps, at most 300",
    "data.data_dir": "the variable DRAGOMAN_DATA",
    "data.cache_dir": "~/.cache/dragoman/corpora",
    "data.train.source_column": "source, in tsv the first",
    "data.train.target_column": "target, in tsv the second",
    "data.train.weight_column": "each weighs 1",
    "tokenizer.model": "learned from the training text",
    "finetune.init_from": "random weights",
}
"""What is not a value, and tested elsewhere."""


FOLLOWING = {"model.vocab_size", "model.source_width", "model.target_width"}
"""What is not written: it follows other keys."""


def defaults() -> dict[str, object]:
    """By its dotted path, what each key of a bare config is."""
    config = to_dict(parse_config(BARE))
    found = {
        f"{section}.{key}": value
        for section, keys in config.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    }
    filters = found.pop("data.filters")
    assert isinstance(filters, dict)
    found |= {f"data.filters.{key}": value for key, value in filters.items()}
    found |= {f"data.train.{f.name}": f.default for f in fields(CorpusConfig)}
    return found


def lines_of_keys() -> Iterator[tuple[str, object, str]]:
    """For each key in the config: its path, its value (None if commented out) and its comment."""
    path: list[tuple[int, str]] = []
    for line in CONFIG.splitlines():
        found = re.fullmatch(r"( *(?:- )?)(# )?(\w+):(?: (.*?))? *?(?: # *(.*))?", line)
        if not found or (found[2] and not found[5]):
            continue
        path = [(width, key) for width, key in path if width < len(found[1])]
        path.append((len(found[1]), found[3]))
        value = None if found[2] else yaml.safe_load(found[4] or "null")
        name = ".".join(key for _, key in path)
        if not found[2] and not (found[4] or "").strip():
            continue  # a section
        yield name, value, found[5] or ""


LINES = {name: (value, comment) for name, value, comment in lines_of_keys()}


def stated(comment: str) -> str | None:
    found = re.search(r"default: (.*)$", comment)
    return found[1] if found else None


def test_each_key_of_the_config_has_its_default_or_states_it() -> None:
    known = defaults()
    required = {"data.train", "data.dev", "run.max_steps", "data.train.source", "data.train.target"}
    shown = LINES.keys() - {"data.dev"} | {"data.train"}
    assert known.keys() - {*FOLLOWING, "data.dev"} <= shown
    for name, (value, comment) in LINES.items():
        text = stated(comment)
        if name in COMPUTED:
            assert text == COMPUTED[name], name
        elif name in required:
            assert text is None, name
        elif text is not None:
            value_stated = known[name]
            assert yaml.safe_load(text.partition(",")[0]) == value_stated or text == value_stated, (
                name
            )
            assert value != value_stated, f"{name}: stated, but it is the default"
        elif value is not None:
            assert value == known[name], f"{name}: {known[name]!r} by default, which is not stated"


def test_the_page_states_defaults_of_keys_as_they_are() -> None:
    told = re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", PAGE, flags=re.MULTILINE)
    assert len(told) >= 8
    known = defaults()
    for name, text in told:
        if name in COMPUTED:
            assert text == COMPUTED[name]
        else:
            assert yaml.safe_load(text) == known[name] or text == known[name], name


def test_only_the_corpora_and_the_length_are_required() -> None:
    required = {
        f"{section}.{field.name}"
        for section, cls in get_type_hints(TrainConfig).items()
        for field in fields(cls)
        if field.default is MISSING and field.default_factory is MISSING
    }
    assert required == {"data.train", "data.dev", "model.vocab_size"}  # the last is not written
    with pytest.raises(ConfigErrors, match=r"run\.max_steps: missing, and so is run\.max_minutes"):
        parse_config(BARE.partition("run:")[0])


@pytest.mark.parametrize(("steps", "warmup"), [(5, 0), (100, 10), (3000, 300), (100_000, 300)])
def test_the_warm_up_follows_the_length(steps: int, warmup: int) -> None:
    asked = [f"run.max_steps={steps}"]
    assert parse_config(BARE, asked).optimizer.warmup_steps == warmup
    assert parse_config(BARE, [*asked, "optimizer.warmup_steps=2"]).optimizer.warmup_steps == 2


def test_the_least_config_of_the_page_is_one() -> None:
    snippet = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)[0]
    assert parse_config(snippet).run.max_steps == 20_000
