"""Commented config: settings as YAML, each with the reason why it was chosen."""

import json
from collections.abc import Sequence
from itertools import groupby

from training.from_files.choose_settings import Setting

COLUMN = 40
"""Where comments begin, as in the shipped configs."""


def commented_config(head: Sequence[str], settings: Sequence[Setting]) -> str:
    """Write `settings` as YAML, those of a section together; `head` are comments above them."""
    lines = [f"# {line}" for line in head]
    ordered = sorted(settings, key=lambda setting: _section(setting, settings))
    for section, members in groupby(ordered, key=lambda setting: setting.key.split(".")[0]):
        lines += ["", f"{section}:"]
        for setting in members:
            written = f"  {setting.key.partition('.')[2]}: {_value(setting.value)}"
            lines.append(f"{written:{COLUMN - 2}}  # {setting.reason}")
    return "\n".join(lines) + "\n"


def _section(setting: Setting, settings: Sequence[Setting]) -> int:
    """Rank a section by its first setting."""
    sections = list(dict.fromkeys(one.key.split(".")[0] for one in settings))
    return sections.index(setting.key.split(".")[0])


def _value(value: object) -> str:
    """Write a value as YAML; what JSON writes, YAML reads."""
    return json.dumps(value, ensure_ascii=False)
