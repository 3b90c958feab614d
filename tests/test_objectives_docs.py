"""docs/objectives.md names every objective with its default, and its snippets are configs."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from training.config.objective_config import ObjectiveConfig
from training.config.train_config import parse_config

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
BASE = """
data:
  train: {source: a.de, target: a.en}
  dev: {tsv: b.tsv}
  source_language: de
  target_language: en
  license: CC0
run: {max_steps: 1000}
model: {encoder_size: 64, decoder_size: 64}
"""


def test_the_table_is_that_of_the_keys() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \|(?: ([\w.]+))? \|", PAGE, flags=re.MULTILINE))
    fields = dataclasses.fields(ObjectiveConfig)
    shown = {f.name: "" if f.default == () else str(f.default).lower() for f in fields}
    assert told == shown
    assert list(told) == [f.name for f in fields]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_snippet_is_a_config(snippet: str) -> None:
    values = yaml.safe_load(BASE)
    for section, keys in yaml.safe_load(snippet).items():
        values[section] = {**values.get(section, {}), **keys}
    assert parse_config(yaml.safe_dump(values))


def test_every_section_has_one() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert len(sections) == 10
    for section in sections:
        assert "```yaml" in section, section.partition("\n")[0]


def test_files_exist() -> None:
    for name in re.findall(r"`((?:model|training)/[\w/.]*\.py)`", PAGE):
        assert (ROOT / name).exists(), name
