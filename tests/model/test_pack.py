"""dragoman-pack: one file with what translation needs, from which the same translations come."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from model.bench import main as bench
from model.checkpoint.archive import archive_bytes
from model.checkpoint.checkpoint import derive_checkpoint, load_checkpoint
from model.checkpoint.manifest import PACKED_FORMAT, signed
from model.errors import CheckpointError
from model.inspect import main as inspect
from model.pack import main
from model.score import main as score
from model.translator import Translator
from tests.hostile_checkpoints import ATTACKS, attacked, copy_of_the_valid_one

TEXTS = ["ein Hund läuft", "die Frau sieht das Haus.", "10 Männer"]


@pytest.fixture(scope="module")
def packs(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A pack of the tiny checkpoint for each number format."""
    found = {}
    for weights in ("int8", "bf16", "fp32"):
        path = tmp_path_factory.mktemp("packs") / "tiny.dragoman"
        assert main([str(tiny_checkpoint), "--output", str(path), "--weights", weights]) == 0
        found[weights] = path
    return found


def test_a_pack_of_fp32_is_the_checkpoint_without_its_training(
    tiny_checkpoint: Path, packs: dict[str, Path]
) -> None:
    one, other = load_checkpoint(tiny_checkpoint), load_checkpoint(packs["fp32"])
    for name in ("config", "search", "profile", "card", "shortlist", "origin", "step"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.tokenizer.model == other.tokenizer.model
    for name, weight in one.network.named_parameters():
        assert torch.equal(weight, other.network.get_parameter(name))
    assert (one.stored, other.stored) == ("fp32", "fp32")


def test_a_pack_has_the_files_that_only_some_checkpoints_have(tmp_path: Path) -> None:
    directory = copy_of_the_valid_one(tmp_path / "checkpoint")
    assert main([str(directory), "--output", str(tmp_path / "some.dragoman")]) == 0

    one, other = load_checkpoint(directory), load_checkpoint(tmp_path / "some.dragoman")

    assert one.calibration is not None
    assert one.calibration.quality == (0, 0.5, 1)
    assert other.calibration == one.calibration
    assert other.origin == one.origin == "abc"
    assert other.shortlist is not None


@pytest.mark.parametrize("weights", ["int8", "bf16", "fp32"])
@pytest.mark.parametrize("precision", ["int8", "bf16", "fp32"])
def test_every_engine_reads_every_pack_as_a_directory_of_its_weights(
    tiny_checkpoint: Path, packs: dict[str, Path], tmp_path: Path, weights: str, precision: Any
) -> None:
    packed = load_checkpoint(packs[weights])
    directory = tmp_path / "dequantized"
    derive_checkpoint(
        load_checkpoint(tiny_checkpoint).path,
        directory,
        weights=dict(packed.network.named_parameters()),
        card="",
    )

    found, expected = (
        Translator.load(path, device="cpu", precision=precision).search(TEXTS)
        for path in (packs[weights], directory)
    )

    assert [one.hypotheses for one in found] == [one.hypotheses for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(_weights(one), _weights(other))


def _weights(translation: Any) -> torch.Tensor:
    weights = translation.hypotheses[0].weights
    assert isinstance(weights, torch.Tensor)
    return weights


def test_the_same_checkpoint_gives_the_same_bytes(
    tiny_checkpoint: Path, packs: dict[str, Path], tmp_path: Path
) -> None:
    for weights, path in packs.items():
        again = tmp_path / f"{weights}.dragoman"
        assert main([str(tiny_checkpoint), "--output", str(again), "--weights", weights]) == 0
        assert again.read_bytes() == path.read_bytes()
    sizes = {weights: path.stat().st_size for weights, path in packs.items()}
    assert sizes["int8"] < sizes["bf16"] < sizes["fp32"]


def test_a_pack_of_a_pack_in_int8_is_the_same_translator(
    packs: dict[str, Path], tmp_path: Path
) -> None:
    again = tmp_path / "again.dragoman"
    assert main([str(packs["int8"]), "--output", str(again)]) == 0

    one, other = (
        Translator.load(path, device="cpu", precision="fp32") for path in (packs["int8"], again)
    )

    assert one.translate(TEXTS) == other.translate(TEXTS)


DOORS: dict[str, Callable[[str], int]] = {
    "inspect": lambda pack: inspect([pack, "--json", "-"]),
    "score": lambda pack: score([pack, "--device", "cpu", "--source", "in", "--target", "in"]),
    "bench": lambda pack: bench([pack, "--input", "in", "--repeats", "1", "--device", "cpu"]),
}


@pytest.mark.parametrize("door", DOORS)
def test_commands_take_a_pack(
    packs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    door: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")

    status = DOORS[door](str(packs["int8"]))

    printed = capsys.readouterr()
    assert status == 0, printed.err
    if door == "inspect":
        shown = json.loads(printed.out)
        assert (shown["format"], shown["weights"]) == (3, "int8")
        with zipfile.ZipFile(packs["int8"]) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        assert shown["file_bytes"] == sizes


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output", "x.zip"], "must end in .dragoman"),
        (["--output", "no/such/x.dragoman"], "cannot be written"),
        (["--output", "PACK"], "would be lost"),
        ([], "required: --output"),
    ],
)
def test_mistakes(
    packs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    pack = shutil.copy(packs["int8"], "own.dragoman")
    before = Path(pack).read_bytes()

    assert main([pack, *(pack if flag == "PACK" else flag for flag in flags)]) == 2

    assert message in capsys.readouterr().err
    assert Path(pack).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["own.dragoman"]


def packed_as_it_is(directory: Path, output: Path) -> None:
    """Put all regular files of a checkpoint into an archive, whatever they hold."""
    files = {
        path.name: path.read_bytes()
        for path in directory.iterdir()
        if path.is_file() and path.stat().st_size < 2**30
    }
    output.write_bytes(archive_bytes(files))


# What is wrong with a file in a folder cannot be wrong in an archive; a FIFO, for instance. The
# training state is no part of it.
IN_ARCHIVES = [name for name in ATTACKS if "training_state" not in name]


@pytest.mark.parametrize("name", IN_ARCHIVES)
def test_an_attack_is_refused_in_a_pack_too(tmp_path: Path, name: str) -> None:
    pack = tmp_path / "hostile.dragoman"
    packed_as_it_is(attacked(tmp_path / "checkpoint", ATTACKS[name]), pack)

    with pytest.raises(CheckpointError) as refusal:
        load_checkpoint(pack)

    assert str(refusal.value).startswith(str(pack))


def test_weights_of_strangers_are_checked(packs: dict[str, Path], tmp_path: Path) -> None:
    """In the form of packs: scales that are not numbers, and matrices that are too large."""
    with zipfile.ZipFile(packs["int8"]) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    del files["manifest.json"]
    weights = safetensors.torch.load(files["weights.safetensors"])
    for value in (float("nan"), float("inf"), 1e30):
        changed = dict(weights)
        name = "decoder.combine.weight.scales"
        changed[name] = torch.full_like(changed[name], value)
        content = safetensors.torch.save(changed)
        pack = tmp_path / "hostile.dragoman"
        signed_files = signed({**files, "weights.safetensors": content}, 1, PACKED_FORMAT)
        pack.write_bytes(archive_bytes(signed_files))
        with pytest.raises(CheckpointError, match=r"decoder\.combine\.weight has values"):
            load_checkpoint(pack)
