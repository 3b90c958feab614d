"""What holds the repository together: dependencies, console scripts, the container."""

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
with (ROOT / "pyproject.toml").open("rb") as file:
    PROJECT: dict[str, Any] = tomllib.load(file)["project"]
SCRIPTS: dict[str, str] = PROJECT["scripts"]
REQUIREMENTS: list[str] = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]


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
    module, _, function = SCRIPTS[script].partition(":")
    assert function == "main"
    assert callable(importlib.import_module(module).main)


def test_compose_serves_a_run_from_a_read_only_volume() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    service = compose["services"]["dragoman"]
    assert service["command"][:2] == ["dragoman-serve", "/models/run"]
    assert any(volume.endswith(":/models/run:ro") for volume in service["volumes"])


def test_image_checks_its_health_and_has_no_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER (?!root|0)\w+", dockerfile, flags=re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*\n?.*/livez", dockerfile, flags=re.MULTILINE)
