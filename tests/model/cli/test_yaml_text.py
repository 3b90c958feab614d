"""YAML: as PyYAML reads it, but for what hides a mistake or would never end."""

import pytest
import yaml

from model.cli.yaml_text import DEEPEST, MOST, parse_yaml
from model.errors import ConfigError

PLAIN = """
data: {train: [{files: a.tsv, weight: 1.5}], license: ~}
base: &base {beam_size: 4, alpha: 0.5}
models:
- <<: *base
  beam_size: 5
- *base
? [a, b]
: text
"""


def test_what_is_fine_is_read_as_before() -> None:
    text = PLAIN.replace("? [a, b]\n: text\n", "")
    assert parse_yaml(text) == yaml.safe_load(text)
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run: 1\ndata: 2\n\nrun: 3\n", "line 4: the key 'run' stands in line 1 already."),
        ("run:\n  a: 1\n  'a': 2\n", "line 3: the key 'a' stands in line 2 already."),
        ("1: a\n0x1: b\n", "line 2: the key '1' stands in line 1 already."),
        ("x: [{a: 1, b: 2, a: 3}]", "line 1: the key 'a' stands in line 1 already."),
        ("x: &a {b: 1}\ny: {c: *a, c: *a}", "line 2: the key 'c' stands in line 2 already."),
        ("a: &a [*a]", f"line 1: nested more than {DEEPEST} deep."),
        ("[" * (DEEPEST + 1), f"line 1: nested more than {DEEPEST} deep."),
        ("[\n" * 10**6, f"line {DEEPEST + 1}: nested more than {DEEPEST} deep."),
        ("run: [", "not valid YAML: "),
        ("? [a, b]\n: text\n", "not valid YAML: "),
        ("run: 2024-99-99", "not valid YAML: "),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse_yaml(text)
    assert str(found.value).startswith(message)
    assert "\n" not in str(found.value)


def test_the_deepest_that_is_read() -> None:
    text = "[" * DEEPEST + "]" * DEEPEST
    assert parse_yaml(text) == yaml.safe_load(text)


def test_aliases_count_as_often_as_they_repeat() -> None:
    """Ten lists of ten, five levels: a line of each, and 10^5 values."""
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 6)]
    text = "a0: &a0 x\n" + "".join(levels)
    assert len(text) < 500 < MOST
    with pytest.raises(ConfigError, match="more than 100,000 values"):
        parse_yaml(text)
    few = "a0: &a0 x\n" + "".join(levels[:3])
    assert parse_yaml(few) == yaml.safe_load(few)
