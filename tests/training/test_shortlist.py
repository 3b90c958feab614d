"""`dragoman-shortlist`: a trained model gets a shortlist, and nothing else of it changes."""

import gzip
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint, load_training_state, save_checkpoint
from model.checkpoint.run_directory import lock_run, point
from model.translator import Translator
from training.average import main as average
from training.shortlist import main
from training.train import main as train

WORDS = {"ein": "a", "Haus": "house", "Hund": "dog", "rot": "red", "läuft": "runs"}


@pytest.fixture
def run(tiny_checkpoint: Path, tiny_config: Path, tmp_path: Path) -> Path:
    """A run saved without a shortlist, its best checkpoint not its last; beside it, a corpus."""
    model = load_checkpoint(tiny_checkpoint)
    run = tmp_path / "run"
    for link, step in (("best", 4), ("last", 8)):
        weights = {name: p + step for name, p in model.network.named_parameters()}
        directory = save_checkpoint(
            run,
            step,
            config=model.config,
            weights=weights,
            tokenizer=model.tokenizer,
            search=model.search,
            card="# A card\n\n## Metrics\n\n- none\n",
            training_state={"momentum": torch.arange(step)},
            training_meta={"steps": step},
        )
        point(run, link, directory)  # type: ignore[arg-type]
    shutil.copy(tiny_config, run / "config.yaml")
    rng = random.Random(1)
    lines = [rng.choices(list(WORDS), k=rng.randint(1, 6)) for _ in range(60)]
    source = "".join(" ".join(line) + "\n" for line in lines)
    target = "".join(" ".join(WORDS[word] for word in line) + "\n" for line in lines)
    (tmp_path / "train.de").write_text(source, encoding="utf-8")
    (tmp_path / "train.en").write_text(target, encoding="utf-8")
    return run


def make(run: Path, *more: str) -> int:
    files = ["--source", str(run.parent / "train.de"), "--target", str(run.parent / "train.en")]
    return main([str(run), *files, *more])


def test_both_checkpoints_get_it_and_keep_the_rest(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {link: load_checkpoint((run / link).resolve()) for link in ("best", "last")}
    tensors, meta = load_training_state(run)

    assert make(run, "--candidates", "5") == 0

    assert "shortlist: " in capsys.readouterr().out
    for link, old in before.items():
        new = load_checkpoint(run / link)
        assert new.shortlist is not None
        assert new.shortlist.candidates.shape == (new.tokenizer.vocab_size, 5)
        assert (new.step, new.config, new.search) == (old.step, old.config, old.search)
        assert new.tokenizer.model == old.tokenizer.model
        assert new.digest != old.digest
        assert new.card.startswith(old.card.rstrip())
        assert "## Shortlist" in new.card
        pairs = zip(new.network.parameters(), old.network.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
        assert not old.path.exists()
    again, meta_again = load_training_state(run)
    assert meta_again == meta
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


def test_the_right_words_are_in_it(run: Path) -> None:
    assert make(run, "--candidates", "40", "--frequent", "1") == 0

    model = load_checkpoint(run)
    assert model.shortlist is not None
    allowed = set(model.shortlist.of(model.tokenizer.encode("ein Haus rot")).tolist())
    assert set(model.tokenizer.encode("a house red")) <= allowed
    assert len(allowed) < model.tokenizer.vocab_size


def test_a_second_one_replaces_the_first(run: Path) -> None:
    assert make(run, "--candidates", "5") == 0
    assert make(run, "--candidates", "6") == 0

    model = load_checkpoint(run)
    assert model.shortlist is not None
    assert model.shortlist.candidates.shape[1] == 6
    assert model.card.count("## Shortlist") == 1
    assert len(list((run / "checkpoints").iterdir())) == 2


def test_one_checkpoint_under_both_links_stays_one(run: Path) -> None:
    (run / "best").unlink()
    (run / "best").symlink_to((run / "last").readlink())

    assert make(run) == 0

    assert (run / "best").resolve() == (run / "last").resolve()
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == ["step-000004", "step-000008-2"]  # what was not replaced is kept


def test_a_run_without_training_state_gets_one_too(run: Path) -> None:
    for link in ("best", "last"):
        shutil.rmtree(run / link / "training_state")

    assert make(run) == 0

    assert load_checkpoint(run).shortlist is not None
    manifest = json.loads((run / "best" / "manifest.json").read_text())
    assert not any(name.startswith("training_state") for name in manifest["files"])


def test_training_goes_on_after_it(tiny_config: Path, tmp_path: Path) -> None:
    run = tmp_path / "trained"
    command = [str(tiny_config), "--output", str(run)]
    assert train([*command, "run.max_steps=4", "shortlist.candidates=0"]) == 0
    assert load_checkpoint(run).shortlist is None

    assert make(run) == 0
    assert train([*command, "--resume", "run.max_steps=6", "shortlist.candidates=7"]) == 0

    last = load_checkpoint(run / "last")
    assert last.step == 6
    assert last.shortlist is not None
    assert last.shortlist.candidates.shape[1] == 7


def test_mistakes_are_one_line_and_change_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = load_checkpoint(run).digest
    target = tmp_path / "train.en"
    lines = target.read_text()
    capsys.readouterr()

    def refused(message: str, place: Path = run, *more: str) -> None:
        files = ["--source", str(tmp_path / "train.de"), "--target", str(target)]
        assert main([str(place), *files, *more]) == 2
        errors = capsys.readouterr().err
        assert errors.startswith("dragoman-shortlist: error: ")
        assert message in errors
        assert errors.count("\n") == 1
        assert load_checkpoint(run).digest == digest

    refused("does not exist", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    refused("neither a run", tmp_path)
    refused("--candidates", run, "--candidates", "0")
    refused("tokenizer.sampling: 1.5 is not in", run, "--sampling", "1.5")
    refused("--files: it has both sides.", run, "--files", "a.tsv")
    refused("--source-column, --target-column: they are for --files", run, "--source-column", "2")
    refused("exists. Choose another --output", run, "--output", str(run))
    with lock_run(run):
        refused("in use by another process")
        refused("in use by another process", run / "best")
    target.write_text(lines + "one more\n")
    refused("align the files")
    target.unlink()
    refused("train.en")


def test_without_text_the_config_must_name_it(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal(*flags: str | Path) -> str:
        assert main([str(flag) for flag in flags]) == 2
        (message,) = capsys.readouterr().err.splitlines()
        return message.removeprefix("dragoman-shortlist: error: ")

    assert refusal(run, "--source", tmp_path / "train.de").startswith("--target is missing: ")
    (tmp_path / "dev.en").unlink()
    assert refusal(run) == (
        f"{tmp_path / 'dev.en'}: no such file. Check the path. Or give parallel text with --source "
        "and --target."
    )
    (run / "config.yaml").unlink()
    for place in (run, run / "best"):
        assert "no config.yaml beside it says what it was trained on. Give" in refusal(place)
    assert make(run) == 0  # with text it needs none


def test_any_checkpoint_gets_it_in_place(run: Path, tmp_path: Path) -> None:
    """One of the run by its name and by its link, one in no run, one in the place of a link."""
    (run / "checkpoints" / "step-000004").rename(run / "checkpoints" / "step-000003")
    (run / "best").unlink()
    (run / "best").symlink_to("checkpoints/step-000003")
    alone = tmp_path / "alone"
    copy = tmp_path / "copy"
    shutil.copytree(run / "best", alone)
    shutil.copytree(run, copy)  # follows the links
    for given, found in (
        (run / "best", run / "checkpoints" / "step-000003"),
        (run / "checkpoints" / "step-000008", run / "last"),
        (alone, alone),
        (copy, copy / "last"),
    ):
        old = load_checkpoint(found)
        assert old.shortlist is None
        beside = sorted(found.resolve().parent.iterdir())
        files = ["--source", str(tmp_path / "train.de"), "--target", str(tmp_path / "train.en")]
        assert main([str(given), *files, "--candidates", "5"]) == 0
        new = load_checkpoint(found)
        assert new.shortlist is not None
        assert new.shortlist.candidates.shape == (new.tokenizer.vocab_size, 5)
        assert new.card.startswith(old.card.rstrip())
        pairs = zip(new.network.parameters(), old.network.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
        after = [path for path in found.resolve().parent.iterdir() if path.name != ".lock"]
        assert sorted(after) == beside
        assert (found / "training_state").is_dir()
    assert load_checkpoint(copy / "best").shortlist is not None


def test_a_copy_leaves_all_as_it_is(run: Path, tmp_path: Path) -> None:
    digest = load_checkpoint(run).digest
    assert make(run, "--output", str(tmp_path / "new" / "copy")) == 0
    assert load_checkpoint(run).digest == digest
    new = load_checkpoint(tmp_path / "new" / "copy")
    assert new.shortlist is not None
    assert new.step == load_checkpoint(run).step


@pytest.mark.parametrize("task", ["translate", "summarize"])
def test_by_default_it_is_the_one_of_the_training(
    tiny_config: Path, tmp_path: Path, task: str
) -> None:
    """Averaged checkpoints and those of a run that was trained without one get it too."""
    command = [str(tiny_config), "run.max_steps=4", "run.eval_every=2", "run.keep=2"]
    command += [f"data.task={task}", "--output"]
    with_one, without = tmp_path / "with", tmp_path / "without"
    assert train([*command, str(with_one)]) == 0
    assert train([*command, str(without), "shortlist.candidates=0"]) == 0
    assert load_checkpoint(without).shortlist is None
    assert average([str(without), "--output", str(tmp_path / "mean"), "--no-compare"]) == 0
    text = ["--source", str(tmp_path / "train.de"), "--target", str(tmp_path / "train.en")]
    assert main([str(without)]) == 0
    assert main([str(tmp_path / "mean"), *text, "--sampling", "0.1"]) == 0
    expected = load_checkpoint(with_one).shortlist
    found = load_checkpoint(without).shortlist
    assert expected is not None
    assert found is not None
    assert found.to_bytes() == expected.to_bytes()
    assert len(Translator.load(tmp_path / "mean", shortlist=True).translate(["ein Haus"])) == 1


def test_every_format_gives_the_same(run: Path, tmp_path: Path) -> None:
    sides = [(tmp_path / name).read_text(encoding="utf-8") for name in ("train.de", "train.en")]
    pairs = list(zip(*(side.splitlines() for side in sides), strict=True))
    rows = [{"n": 1, "de": de, "en": en} for de, en in pairs]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "t[1].jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tsv = "".join(f"{de}\t{en}\n" for de, en in pairs)
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(tsv.encode()))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    columns = ["--source-column", "de", "--target-column", "en"]
    assert make(run, "--output", str(tmp_path / "text")) == 0
    expected = load_checkpoint(tmp_path / "text").shortlist
    assert expected is not None
    for name, more in (("t[1].jsonl", columns), ("t.parquet", columns), ("t.tsv.gz", [])):
        output = tmp_path / f"out-{name}"
        command = [str(run), "--files", str(tmp_path / name), *more, "--output", str(output)]
        assert main(command) == 0
        found = load_checkpoint(output).shortlist
        assert found is not None
        assert found.to_bytes() == expected.to_bytes()


def test_held_out_lines_are_not_learned_from(run: Path, tmp_path: Path) -> None:
    """The one line of sixty that is kept out is the first: its words occur nowhere else."""
    for name in ("train.de", "train.en"):
        lines = (tmp_path / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / name).write_text("☃\n" + "".join(lines[1:]), encoding="utf-8")

    assert make(run) == 0

    model = load_checkpoint(run)
    assert model.shortlist is not None
    snowman = model.tokenizer.encode("☃")[-3:]
    assert np.all(model.shortlist.candidates[snowman] == 3)
