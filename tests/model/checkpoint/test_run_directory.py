"""Run directories: any kill leaves complete checkpoints behind both links; one writer only."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.checkpoint.run_directory import (
    Link,
    checkpoints_of,
    is_begun,
    lock_run,
    point,
    prune,
    publish,
    publish_as,
    resolve,
)
from model.errors import CheckpointError

ROOT = Path(__file__).parents[3]

OLD = {"manifest.json": b"old", "training_state/state.json": b"old state"}
NEW = {"manifest.json": b"new", "training_state/state.json": b"new state"}
BEST: Link = "best"
LAST: Link = "last"

# What a training does at each checkpoint, in copies of one run: copy n is killed before its n-th
# operation on the file system, the last copy is not killed.
KILLED_SAVES = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from model.checkpoint.run_directory import point, prune, publish

NEW = {"manifest.json": b"new", "training_state/state.json": b"new state"}
original, copies = Path(sys.argv[1]), Path(sys.argv[2])
operations = 0

def kill_at(limit):
    def hook(event, arguments):
        global operations
        if event == "open" or event.startswith(("os.", "shutil.")) and event != "os.kill":
            operations += 1
            if operations > limit:
                os.kill(os.getpid(), signal.SIGKILL)
    return hook

for limit in itertools.count():
    child = os.fork()
    if child == 0:
        run = copies / f"killed-{limit}"
        shutil.copytree(original, run, symlinks=True)
        sys.addaudithook(kill_at(limit))
        directory = publish(run, 2, NEW)
        point(run, "last", directory)
        point(run, "best", directory)
        prune(run)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        break
    assert status == -signal.SIGKILL, status
"""

HOLD_LOCK = """
import sys, time
from pathlib import Path
from model.checkpoint.run_directory import lock_run

with lock_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def run_with(path: Path, *, step: int, files: dict[str, bytes], links: tuple[Link, ...]) -> Path:
    directory = publish(path, step, files)
    for link in links:
        point(path, link, directory)
    return directory


def names(run: Path) -> set[str]:
    return {path.name for path in (run / "checkpoints").iterdir()}


def test_published_checkpoint_has_all_files_and_a_name_with_its_step(tmp_path: Path) -> None:
    directory = publish(tmp_path / "new" / "run", 123, OLD)

    assert directory == tmp_path / "new" / "run" / "checkpoints" / "step-000123"
    assert contents(directory) == OLD


def test_saving_a_step_again_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    first = run_with(tmp_path, step=7, files=OLD, links=("last",))
    second = run_with(tmp_path, step=7, files=NEW, links=("best",))
    third = publish(tmp_path, 7, NEW)

    assert [first.name, second.name, third.name] == [
        "step-000007",
        "step-000007-2",
        "step-000007-3",
    ]
    assert contents(first) == OLD
    assert contents(resolve(tmp_path)) == NEW


def test_a_kill_at_any_operation_leaves_links_to_complete_checkpoints(tmp_path: Path) -> None:
    run, copies = tmp_path / "run", tmp_path / "copies"
    run_with(run, step=1, files=OLD, links=(BEST, LAST))
    copies.mkdir()
    arguments = [sys.executable, "-c", KILLED_SAVES, str(run), str(copies)]
    subprocess.run(arguments, cwd=ROOT, check=True)

    outcomes = set()
    for run in copies.iterdir():
        for directory in (run / "checkpoints").glob("step-*"):
            assert contents(directory) in (OLD, NEW), run.name
        best, last = (contents(resolve(run, links=(link,))) for link in (BEST, LAST))
        assert best in (OLD, NEW) and last in (OLD, NEW), run.name
        outcomes.add((best == NEW, last == NEW))

        directory = run_with(run, step=3, files=NEW, links=(BEST, LAST))
        prune(run)
        assert names(run) == {directory.name}
        assert {path.name for path in run.iterdir()} == {"checkpoints", "best", "last"}

    assert outcomes == {(False, False), (False, True), (True, True)}


def test_a_kill_leaves_nothing_that_the_next_save_does_not_remove(tmp_path: Path) -> None:
    run_with(tmp_path, step=1, files=OLD, links=("best", "last"))
    for name in (".step-000002.tmp", ".step-000003.tmp"):
        (tmp_path / "checkpoints" / name).mkdir()
        (tmp_path / "checkpoints" / name / "weights.safetensors").write_bytes(b"half")

    directory = publish(tmp_path, 2, NEW)

    assert contents(directory) == NEW
    assert names(tmp_path) == {"step-000001", "step-000002"}


def test_prune_keeps_what_links_point_to_and_what_is_not_a_checkpoint(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        directory = publish(tmp_path, step, OLD)
        if step < 4:
            point(tmp_path, "last", directory)
        if step < 3:
            point(tmp_path, "best", directory)
    (tmp_path / "checkpoints" / "my own copy").mkdir()

    prune(tmp_path)

    assert names(tmp_path) == {"step-000002", "step-000003", "my own copy"}


def test_prune_keeps_what_else_is_named(tmp_path: Path) -> None:
    one, _, three = (publish(tmp_path, step, OLD) for step in (1, 2, 3))
    point(tmp_path, "last", three)
    prune(tmp_path, also=[one])
    assert names(tmp_path) == {"step-000001", "step-000003"}


def test_prune_keeps_the_latest_too_if_asked(tmp_path: Path) -> None:
    for step in (1, 2, 3, 999_999, 1_000_000):
        directory = publish(tmp_path, step, OLD)
        point(tmp_path, "last", directory)
        if step == 1:
            point(tmp_path, "best", directory)
    prune(tmp_path, keep=3)
    assert names(tmp_path) == {"step-000001", "step-000003", "step-999999", "step-1000000"}
    assert [path.name for path in checkpoints_of(tmp_path)][-1] == "step-1000000"


def test_a_directory_of_its_own_appears_once_and_whole(tmp_path: Path) -> None:
    (tmp_path / ".averaged.tmp").mkdir()  # what a kill has left
    (tmp_path / ".averaged.tmp" / "half").write_bytes(b"half")
    publish_as(tmp_path / "averaged", NEW)
    assert contents(tmp_path / "averaged") == NEW
    with pytest.raises(CheckpointError, match="exists"):
        publish_as(tmp_path / "averaged", OLD)
    assert contents(tmp_path / "averaged") == NEW
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot be written"):
        publish_as(tmp_path / "file" / "averaged", NEW)


def test_links_survive_moving_the_run(tmp_path: Path) -> None:
    run_with(tmp_path / "before", step=1, files=OLD, links=("best", "last"))
    (tmp_path / "before").rename(tmp_path / "after")

    assert contents(resolve(tmp_path / "after")) == OLD
    assert contents(tmp_path / "after" / "last") == OLD


def test_a_run_means_its_best_else_its_last_and_a_checkpoint_itself(tmp_path: Path) -> None:
    last = run_with(tmp_path, step=2, files=OLD, links=("last",))
    assert resolve(tmp_path) == last

    best = run_with(tmp_path, step=1, files=OLD, links=("best",))
    assert resolve(tmp_path) == best
    assert resolve(tmp_path, links=("last",)) == last
    assert resolve(last) == last
    assert resolve(tmp_path / "last") == tmp_path / "last"


def test_what_is_not_a_checkpoint_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("not a directory")

    with pytest.raises(CheckpointError, match=r"gone: does not exist\. Give a run"):
        resolve(tmp_path / "gone")
    with pytest.raises(CheckpointError, match=r"empty: neither a run \(no best or last\)"):
        resolve(tmp_path / "empty")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "metrics.jsonl").touch()
    with pytest.raises(CheckpointError, match="begun: a run without a checkpoint so far"):
        resolve(tmp_path / "begun")
    with pytest.raises(CheckpointError, match="file: neither a run nor a pack"):
        load_checkpoint(resolve(tmp_path / "file"))
    with pytest.raises(CheckpointError, match="/x: does not exist"):
        resolve(tmp_path / "file" / "x")


@pytest.mark.parametrize("text", ["Wo ist der Bahnhof? " * 13, "Wo ist\0"])
def test_a_text_in_the_place_of_a_run_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be opened \(.*\)\. Give a run"):
        resolve(Path(text))


def lost(path: Path, *links: Link) -> str:
    with pytest.raises(CheckpointError) as error:
        resolve(path, *([links] if links else []))
    return str(error.value)


def test_a_run_without_its_best_is_told_how_to_mend_it(tmp_path: Path) -> None:
    run = tmp_path / "my run"
    run_with(run, step=1, files=OLD, links=(BEST,))
    newest = run_with(run, step=2, files=NEW, links=(LAST,))
    (run / "best").unlink()
    message = lost(run)
    assert message.startswith(f"{run}/best: is missing. Copy the run again, with its links (cp -a)")
    assert f"give a checkpoint, the newest of 2 is {newest}," in message
    assert resolve(run, (LAST,)) == newest
    assert lost(run / "best") == message
    subprocess.run(message.partition("make the link: ")[2], shell=True, check=True)
    assert contents(resolve(run)) == NEW


def test_a_run_without_both_links_is_told_apart_from_no_run(tmp_path: Path) -> None:
    run_with(tmp_path, step=1, files=OLD, links=(BEST, LAST))
    for link in (BEST, LAST):
        (tmp_path / link).unlink()
    assert lost(tmp_path).startswith(f"{tmp_path}/best: is missing. ")
    assert "the only one is" in lost(tmp_path)
    assert lost(tmp_path, LAST).startswith(f"{tmp_path}/last: is missing. ")
    assert not is_begun(tmp_path)  # as after a kill at the first save


@pytest.mark.parametrize("link", [BEST, LAST])
def test_a_link_that_points_nowhere_is_named(tmp_path: Path, link: Link) -> None:
    run_with(tmp_path, step=1, files=OLD, links=(BEST, LAST))
    (tmp_path / link).unlink()
    (tmp_path / link).symlink_to("checkpoints/step-000009")
    said = f"{tmp_path / link}: points to {tmp_path}/checkpoints/step-000009, which is not there."
    assert lost(tmp_path, link).startswith(said)
    assert lost(tmp_path / link).startswith(said)
    (tmp_path / link).unlink()
    (tmp_path / link).write_text("checkpoints/step-000001")  # what some archives make of links
    assert lost(tmp_path, link).startswith(f"{tmp_path / link}: is a file, not a link.")
    if link == LAST:
        with pytest.raises(CheckpointError, match="is a file"):
            is_begun(tmp_path)


def test_a_run_without_its_checkpoints_is_told_to_be_copied(tmp_path: Path) -> None:
    (tmp_path / "best").symlink_to("checkpoints/step-000009")
    assert lost(tmp_path).endswith("Copy the run again, with its links (cp -a).")


def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", HOLD_LOCK, str(tmp_path / "run")]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            message = rf"run: in use by another process \(PID {holder.pid}\)"
            with pytest.raises(CheckpointError, match=message), lock_run(tmp_path / "run"):
                pass
        finally:
            holder.kill()

    with lock_run(tmp_path / "run"):
        pass
    with lock_run(tmp_path / "run"):
        pass


def test_a_run_in_which_nothing_is_written_is_not_left_behind(tmp_path: Path) -> None:
    for name, made, written in (
        ("new", False, False),
        ("made", True, False),
        ("full", False, True),
    ):
        run = tmp_path / name
        if made:
            run.mkdir()
        with pytest.raises(KeyError), lock_run(run):
            if written:
                (run / "data").mkdir()
            raise KeyError
        assert run.exists() == (made or written)


def test_a_lock_that_its_holder_removed_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder ends between our opening of the file and our lock; a third process has begun."""
    run, flock = tmp_path / "run", fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        (run / ".lock").unlink()
        (run / ".lock").touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(CheckpointError, match="in use by another process"), lock_run(run):
        pass
    monkeypatch.undo()
    with lock_run(run):
        pass


def test_a_place_where_no_run_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    with (
        pytest.raises(CheckpointError, match=r"file: cannot be written"),
        lock_run(tmp_path / "file"),
    ):
        pass
    with pytest.raises(CheckpointError, match="file: cannot save step 1"):
        publish(tmp_path / "file", 1, OLD)
    (tmp_path / "best").mkdir()
    with pytest.raises(CheckpointError, match=r"best: cannot be pointed to step-000001"):
        point(tmp_path, "best", publish(tmp_path, 1, OLD))
