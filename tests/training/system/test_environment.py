"""Where a run took place: the processor's name, versions, the commit and what changed since."""

import platform
import subprocess
from pathlib import Path

import torch

from training.system.environment import environment, git_state, processor

CPUINFO = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Xeon(R) 6975P: 2 GHz
model name\t: another
"""


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=e@x")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_facts_name_what_a_figure_depends_on() -> None:
    facts = environment(torch.device("cpu"))

    assert facts["Python"] == platform.python_version()
    assert facts["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert facts["threads"] == str(torch.get_num_threads())
    assert facts["device"] == "cpu"
    assert all(facts.values())


def test_the_processor_has_the_name_that_linux_tells(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO, encoding="utf-8")

    assert processor(tmp_path / "cpuinfo") == "Xeon(R) 6975P: 2 GHz"


def test_without_a_name_there_is_the_architecture(tmp_path: Path) -> None:
    assert processor(tmp_path / "absent") == platform.machine()
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n", encoding="utf-8")
    assert processor(tmp_path / "cpuinfo") == platform.machine()


def test_git_tells_the_commit_and_how_many_files_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    file = tmp_path / "a.py"
    file.write_text("1", encoding="utf-8")
    assert git_state(file) == {}  # no commit yet

    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_state(file) == {"git commit": commit, "files changed since": "0"}

    file.write_text("2", encoding="utf-8")
    (tmp_path / "new.py").write_text("3", encoding="utf-8")
    assert git_state(file) == {"git commit": commit, "files changed since": "2"}


def test_an_installed_package_is_none_of_the_repository_around_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "first", "--allow-empty")
    installed = tmp_path / "venv" / "a.py"
    installed.parent.mkdir()
    installed.write_text("1", encoding="utf-8")

    assert git_state(installed) == {}


def test_no_repository_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1", encoding="utf-8")

    assert git_state(tmp_path / "a.py") == {}
