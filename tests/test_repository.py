"""What holds the repository together: dependencies and console scripts."""

import importlib
import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
with (ROOT / "pyproject.toml").open("rb") as file:
    PROJECT: dict[str, Any] = tomllib.load(file)["project"]
SCRIPTS: dict[str, str] = PROJECT["scripts"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
REQUIREMENTS = PROJECT["dependencies"] + EXTRAS["dev"] + EXTRAS["ray"] + EXTRAS["spark"]


def normalized(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normalized(name): version for name, version in pairs}


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_constraints_pin_every_direct_dependency(requirement: str) -> None:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name
    assert re.fullmatch(r"\d+(\.\w+)+", pins()[normalized(name[0])])


def test_torch_is_pinned_without_a_build_tag() -> None:
    """ "+cpu" or "+cu130" in the pin would forbid every other build of the same version."""
    assert pins()["torch"] == "2.13.0"


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_every_command_has_a_main(script: str) -> None:
    entry = EntryPoint(script, SCRIPTS[script], "console_scripts")
    assert callable(entry.load())
    module = importlib.import_module(entry.attr.replace(".commands.", "."))
    assert callable(module.main)
