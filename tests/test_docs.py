"""The documentation says what is there: commands, flags and files that it names exist."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
SHOWN = re.findall(r"^(?:echo .*\| )?(dragoman-\w+.*)$", README, flags=re.MULTILINE)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_command_is_shown_and_every_flag_shown_exists(script: str) -> None:
    lines = [line for line in SHOWN if line.split()[0] == script]
    assert lines, f"the README shows no use of {script}"
    module = SCRIPTS[script].partition(":")[2].replace(".commands.", ".")
    help_text = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for line in lines:
        for flag in re.findall(r" (--[\w-]+)", line.split("#")[0]):
            assert flag in help_text, f"{flag} of: {line}"


def test_no_other_command_is_shown() -> None:
    assert {line.split()[0] for line in SHOWN} <= SCRIPTS.keys()


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(page.relative_to(ROOT)) for page in sorted(ROOT.glob("[!.]*/*.md"))),
]


def links_of(page: str) -> list[tuple[str, str]]:
    """The path from the root, and the heading or "", of each link within the repository."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text("utf-8"), flags=re.M | re.S)
    found = re.findall(r"\]\((?!http)([^)#\s]*)(?:#([^)\s]*))?\)", text)
    folder = (ROOT / page).parent
    return [
        (os.path.relpath(folder / path, ROOT) if path else page, heading) for path, heading in found
    ]


def headings_of(page: str) -> set[str]:
    """As GitHub makes anchors of them: small letters, hyphens for spaces, no other marks."""
    titles = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_and_configs_lead_somewhere(page: str) -> None:
    for path, heading in links_of(page):
        assert (ROOT / path).exists(), path
        assert not heading or heading in headings_of(path), f"{path}#{heading}"
    for config in re.findall(r"configs/\w+\.yaml", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / config).exists(), config


def test_every_page_is_reached_from_the_readme_by_links() -> None:
    reached, waiting = set[str](), ["README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.endswith(".md"):
            reached.add(page)
            waiting += [path for path, _ in links_of(page)]
    assert not set(PAGES) - reached


def test_the_gpu_page_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:model|training|service|tests)/[\w/.]*)`", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", ["model/README.md", "training/README.md", "service/README.md"])
def test_readmes_of_packages_name_files_that_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    names = re.findall(r"`((?:\w+/)*\w+\.(?:py|html)|(?:\w+/)+)`", text)
    assert names
    for name in names:
        assert ((ROOT / page).parent / name).exists(), name


def test_the_page_on_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = re.findall(r"`((?:model|training|service|tests)/[\w/.]*)`", text)
    assert len(names) > 30
    for name in names:
        assert (ROOT / name).exists(), name
