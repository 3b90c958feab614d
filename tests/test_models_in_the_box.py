"""Every door that takes a run takes the name of a model in the box, and refuses a wrong name."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.bench import main as bench
from model.checkpoint import pretrained
from model.checkpoint.checkpoint import load_checkpoint
from model.cli.command import run_command
from model.inspect import main as inspect
from model.pack import main as pack
from model.score import main as score
from model.translate import main as translate
from model.translator import Translator
from service.observability.metrics import Metrics
from service.registry.model_loader import ModelLoader
from service.registry.models_file import ModelEntry, entries_of_runs, read_models_file
from service.serve import main as serve
from tests.training.conftest import WORDS, write_tiny_corpus
from training.average import main as average
from training.distill import main as distill
from training.evaluate import main as evaluate
from training.shortlist import main as shortlist
from training.train import main as train

CPU = ["--device", "cpu"]
SHORT = ["--precision", "fp32", "--in-flight", "1", "--sentences", "4", "--repeats", "1"]
PAIRS = ["--source", "dev.de", "--reference", "dev.en"]
MANY = ["--source", "many.de", "--target", "many.en"]
"""A training without a config wants a hundred pairs."""
SIDES = ["--source", "train.de", "--target", "train.en"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with its config, a tokenizer, and a box with the trained model `some-name`."""
    place = tmp_path_factory.mktemp("box")
    config = write_tiny_corpus(place)
    for language, words in (("de", WORDS.keys()), ("en", WORDS.values())):
        lines = (f"{' '.join(line)}\n" for line in itertools.product(words, repeat=3))
        (place / f"many.{language}").write_text("".join(lines), encoding="utf-8")
    run = place / "run"
    assert train([str(config), "--output", str(run), "run.max_steps=4"]) == 0
    (place / "some.model").write_bytes(load_checkpoint(run).tokenizer.model)
    (place / "pretrained").mkdir()
    output = place / "pretrained" / "some-name.dragoman"
    assert pack([str(run), "--output", str(output)]) == 0
    return place


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pretrained, "FOLDER", folder / "pretrained")
    monkeypatch.chdir(folder)
    return folder


def served(entries: list[ModelEntry]) -> int:
    loader = ModelLoader(
        device=torch.device("cpu"), precision="fp32", shortlist=False, stuck_s=30.0
    )
    for entry in entries:
        loader.load(entry, Metrics())
    return 0


def from_models_file(name: str, out: Path) -> int:
    file = out / "models.yaml"
    file.write_text(json.dumps({"models": [{"name": "own", "path": name}]}))
    return run_command("serve", lambda: served(read_models_file(file)))


def from_python(name: str) -> int:
    translator = Translator.load(name, device="cpu", precision="fp32")
    assert len(translator.translate(["ein Haus"])) == 1
    return 0


def trained(out: Path, *changes: str) -> int:
    return train(["tiny.yaml", "--output", str(out / "run"), "run.max_steps=2", *changes])


DOORS: dict[str, Callable[[str, Path], int]] = {
    "translate": lambda name, out: translate([name, *CPU, "--input", "dev.de"]),
    "ensemble": lambda name, out: translate(
        ["run", *CPU, "--precision", "fp32", "--input", "dev.de", "--ensemble", name]
    ),
    "score": lambda name, out: score([name, *CPU, "--source", "dev.de", "--target", "dev.en"]),
    "bench": lambda name, out: bench([name, *CPU, "--input", "dev.de", *SHORT]),
    "inspect": lambda name, out: inspect([name]),
    "pack": lambda name, out: pack([name, "--output", str(out / "again.dragoman")]),
    "evaluate": lambda name, out: evaluate([name, *CPU, *PAIRS]),
    "average": lambda name, out: average([name, name, "--output", str(out / "mean")]),
    "distill": lambda name, out: distill(
        [name, *CPU, "--input", "dev.de", "--output", str(out / "taught.tsv")]
    ),
    "shortlist": lambda name, out: shortlist([name, *SIDES, "--output", str(out / "listed")]),
    "init_from": lambda name, out: trained(
        out, f"finetune.init_from={name}", "tokenizer.vocab_size=auto"
    ),
    "teacher": lambda name, out: trained(
        out,
        f"objective.teacher=[{name}]",
        "objective.distillation=0.5",
        "tokenizer.model=some.model",
    ),
    "from": lambda name, out: train(
        [*MANY, "--from", name, "--output", str(out / "run"), "--minutes", "60", "run.max_steps=2"]
    ),
    "python": lambda name, out: run_command("python", lambda: from_python(name)),
    "serve": lambda name, out: run_command(
        "serve", lambda: served(entries_of_runs([Path(name)]))
    ),
    "models file": from_models_file,
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_a_name_is_taken(
    here: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], door: str
) -> None:
    status = DOORS[door]("some-name", tmp_path)
    assert status == 0, capfd.readouterr().err
    assert not Path("some-name").exists()
    assert sorted(path.name for path in (here / "pretrained").iterdir()) == ["some-name.dragoman"]


@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_name_is_refused_in_one_line(
    here: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], door: str
) -> None:
    assert DOORS[door]("somename", tmp_path) == 2
    *_, line = capfd.readouterr().err.splitlines()
    assert "somename: does not exist. Did you mean some-name? Give " in line
    assert line.endswith(", or a model in the box: some-name.")


def test_the_server_refuses_a_wrong_name(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert serve(["somename", "--port", "0", *CPU, "--precision", "fp32"]) == 2
    assert "Did you mean some-name?" in capfd.readouterr().err


def test_a_served_model_is_called_by_its_name(here: Path) -> None:
    entries = entries_of_runs([Path("some-name"), Path("run")])
    assert [entry.name for entry in entries] == ["some-name", "run"]


def test_a_model_is_what_another_is_compared_with(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for against in ("some-name", "pretrained/some-name.dragoman"):
        assert evaluate(["run", *CPU, *PAIRS, "--against", against, "--json", "-"]) == 0
        assert json.loads(capfd.readouterr().out)


def test_a_shortlist_is_not_added_to_it(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (here / "pretrained" / "some-name.dragoman").read_bytes()
    assert shortlist(["some-name", *SIDES]) == 2
    assert "some-name: a pack is not changed. Give --output" in capfd.readouterr().err
    assert (here / "pretrained" / "some-name.dragoman").read_bytes() == before
    assert not Path("some-name").exists()


def test_a_training_that_is_called_like_it_is_a_run_of_its_own(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(here / "tiny.yaml")
    monkeypatch.chdir(tmp_path)
    assert train([config, "--output", "some-name", "--resume", "run.max_steps=2"]) == 0
    assert load_checkpoint(Path("some-name")).path.is_relative_to("some-name")


def test_help_lists_the_names(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for main in (translate, evaluate, distill, serve):
        with pytest.raises(SystemExit):
            main(["--help"])
        assert "a model in the box: some-name" in " ".join(capfd.readouterr().out.split())
