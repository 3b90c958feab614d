"""A commit beside its checkout: whose code runs, and that nothing is left behind."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.trees import PACKAGES, Tree, TreeError, commit_of, is_changed, trees

SAY = ("-c", "import model; print(model.SAYS)")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits of three packages that say which commit it is, and a change on top."""
    root = tmp_path / "repository"
    for name in PACKAGES:
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").touch()
    git(tmp_path, "init", "--quiet", str(root))
    for number in (1, 2):
        (root / "model" / "__init__.py").write_text(f"SAYS = 'commit {number}'\n")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", f"commit {number}")
    (root / "model" / "__init__.py").write_text("SAYS = 'not committed'\n")
    return root


def test_each_side_runs_its_own_code(repository: Path) -> None:
    with trees(repository, commit_of(repository, "HEAD~1"), core=None, threads=3) as both:
        assert [tree.run(*SAY) for tree in both] == ["commit 1\n", "not committed\n"]
        assert both.base.run("-c", "import os; print(os.environ['OMP_NUM_THREADS'])") == "3\n"


def test_a_process_is_pinned(repository: Path) -> None:
    say = ("-c", "import os; print(*os.sched_getaffinity(0))")
    with trees(repository, "HEAD", core=0, threads=1) as both:
        assert [tree.run(*say) for tree in both] == ["0\n", "0\n"]


def test_nothing_is_left_behind_by_a_person_who_interrupts(repository: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        trees(repository, "HEAD", core=None, threads=1) as both,
    ):
        assert both.base.folder.exists()
        assert len(git(repository, "worktree", "list").splitlines()) == 2
        raise KeyboardInterrupt
    assert not both.base.folder.parent.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_commit_has_many_names_and_a_changed_checkout_is_told(repository: Path) -> None:
    assert commit_of(repository, "HEAD") == git(repository, "rev-parse", "HEAD").strip()
    with pytest.raises(TreeError, match=r"'nothing' is no commit .* Give a hash"):
        commit_of(repository, "nothing")
    assert is_changed(repository)
    git(repository, "checkout", "--quiet", ".")
    assert not is_changed(repository)


def test_code_from_elsewhere_is_told_apart(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    # As an installed copy would be: it comes after the tree, in which there is nothing.
    monkeypatch.setenv("PYTHONPATH", str(repository))
    environment = {"PYTHONPATH": f"{empty}:{repository}"}
    tree = Tree(name="base", folder=empty, environment=environment, core=None)
    with pytest.raises(TreeError, match=r"base: Python imports .*repository/model/__init__.py"):
        tree.check()


def test_a_command_that_fails_is_quoted(repository: Path) -> None:
    tree = Tree(name="here", folder=repository, environment={}, core=None)
    with pytest.raises(TreeError, match=r"here: .* status 3 and said: it was me"):
        tree.run("-c", "import sys; print('first\\nit was me', file=sys.stderr); sys.exit(3)")
