"""The installed package: what the wheel brings, and its commands beside other modules `model`."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from model.checkpoint.checkpoint import load_checkpoint, packed
from model.translator import Translator
from tests.installed import ROOT, build_wheel, environment_with
from tests.patience import PATIENCE_S
from tests.training.conftest import write_tiny_corpus

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("dragoman", "model", "training", "service")
FOLDERS = (*PACKAGES, "pretrained")
HIDING = ("model.py", "service.py", "training/__init__.py")
TEXT = "ein Haus und zwei Hunde"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with the wheel."""
    return environment_with(tmp_path_factory.mktemp("installed"), str(wheel))


@pytest.fixture(scope="module")
def editable_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with the checkout."""
    return environment_with(
        tmp_path_factory.mktemp("editable"), "--no-build-isolation", "-e", str(ROOT)
    )


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no checkout, but with modules of the names of ours, which end Python."""
    folder = tmp_path / "elsewhere"
    for name in HIDING:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("raise SystemExit('a module of the user was run')\n")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return folder


def run(program: Path, *arguments: str, standard_input: str = "") -> str:
    """What it prints. It has to succeed."""
    done = subprocess.run(
        [program, *arguments], input=standard_input, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
    assert names == expected | {"dragoman_commands.py"}
    assert {"dragoman/py.typed", "service/static/index.html", "service/static/app.js"} <= names


def test_the_metadata_says_what_the_project_says(programs: Path) -> None:
    script = "import importlib.metadata as m; print(m.version('dragoman'), *m.requires('dragoman'))"
    version, *_ = said = run(programs / "python", "-c", script).split()
    assert version == PROJECT["version"]
    assert any(word.startswith("torch") for word in said)


def imports() -> Iterator[tuple[Path, str]]:
    """Every file of the packages with the top of each module that it imports."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.split(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield path, str(node.module).split(".")[0]


def names_of(requirements: list[str]) -> set[str]:
    """The names of what is required, without extras of it."""
    return {
        re.split(r"[^\w.-]", each)[0].lower().replace("_", "-")
        for each in requirements
        if "extra ==" not in each
    }


def test_every_import_is_of_a_declared_package() -> None:
    """Another environment has no more than what is declared, and what that cannot do without."""
    extras = PROJECT["optional-dependencies"]
    names = names_of(PROJECT["dependencies"]) | names_of(extras["data"])
    for name in list(names):
        names |= names_of(importlib.metadata.requires(name) or [])
    for extra in ("tracing", "ray", "spark"):  # not installed here
        names |= names_of(extras[extra])
    names.add("py4j")  # pyspark requires it
    names.add("datasets")  # a message asks for it where a config needs it
    distributions = importlib.metadata.packages_distributions()
    known = {*PACKAGES, *sys.stdlib_module_names, "_typeshed"}
    for path, top in imports():
        if top not in known:
            # Of what is not installed, the package has the name of the distribution.
            found = {each.lower().replace("_", "-") for each in distributions.get(top, [top])}
            assert found & names, f"{path} imports {top}"


@pytest.mark.parametrize("path", [None, "."])
def test_a_command_works_beside_modules_of_the_same_names(
    path: str | None,
    programs: Path,
    elsewhere: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    arguments = [str(tiny_checkpoint), "--precision", "fp32"]
    found = run(programs / "dragoman-translate", *arguments, standard_input=TEXT + "\n")
    expected = Translator.load(tiny_checkpoint, precision="fp32").translate(TEXT)
    assert found == f"{expected}\n"


def test_the_library_works_elsewhere(
    programs: Path, tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    script = (
        "import sys, dragoman\n"
        "translator = dragoman.Translator.load(sys.argv[1], precision='fp32')\n"
        "print(dragoman.__file__, dragoman.__version__)\n"
        "print(translator.translate(sys.argv[2]))\n"
    )
    place, found = run(programs / "python", "-c", script, str(tiny_checkpoint), TEXT).splitlines()
    assert place.startswith(str(programs.parent)) and place.endswith(f" {PROJECT['version']}")
    assert found == Translator.load(tiny_checkpoint, precision="fp32").translate(TEXT)


def test_a_model_in_the_box_is_found_by_its_name(
    programs: Path, elsewhere: Path, tiny_checkpoint: Path
) -> None:
    (box,) = programs.parent.glob("lib/python*/site-packages/pretrained")
    (box / "some-name.dragoman").write_bytes(packed(load_checkpoint(tiny_checkpoint), "fp32"))
    arguments = ["some-name", "--precision", "fp32"]
    found = run(programs / "dragoman-translate", *arguments, standard_input=TEXT + "\n")
    expected = Translator.load(tiny_checkpoint, precision="fp32").translate(TEXT)
    assert found == f"{expected}\n"
    help_text = run(programs / "dragoman-translate", "--help")
    assert "a model in the box: " in " ".join(help_text.split())


@pytest.mark.slow
def test_an_editable_installation_works_beside_them_too(
    editable_programs: Path,
    elsewhere: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", ".")
    assert "parameters" in run(editable_programs / "dragoman-inspect", str(tiny_checkpoint))


@pytest.mark.slow
@pytest.mark.parametrize("script", PROJECT["scripts"])
def test_every_command_has_help(
    script: str, programs: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ".")
    assert run(programs / script, "--help").startswith(f"usage: {script} ")


@pytest.mark.slow
def test_processes_that_a_command_starts_work_too(
    programs: Path, elsewhere: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dragoman-bench measures a cold start in a process of its own."""
    monkeypatch.setenv("PYTHONPATH", ".")
    (elsewhere / "in.txt").write_text(f"{TEXT}\n" * 4)
    arguments = [str(tiny_checkpoint), "--input", "in.txt", "--precision", "fp32"]
    arguments += ["--in-flight", "1", "--sentences", "4", "--repeats", "1"]
    assert "sentences/s" in run(programs / "dragoman-bench", *arguments)


@pytest.mark.slow
def test_torchrun_trains_beside_them(
    programs: Path, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --no-python, as docs/training-at-scale.md has it."""
    monkeypatch.setenv("PYTHONPATH", ".")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    config = write_tiny_corpus(tmp_path)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--no-python", "dragoman-train", str(config), "--output", "run", "--resume"]
    run(programs / "python", *command)
    assert (elsewhere / "run" / "best" / "manifest.json").exists()


@contextmanager
def served(programs: Path, checkpoint: Path) -> Iterator[str]:
    """The address of a server of the installed command."""
    command = [
        str(programs / "dragoman-serve"),
        str(checkpoint),
        "--port",
        "0",
        "--precision",
        "fp32",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            said = iter(server.stderr.readline, "")
            yield next(found[0] for line in said if (found := re.search(r"http://[\d.:]+", line)))
        finally:
            server.terminate()
            server.communicate()


@pytest.mark.slow
def test_the_server_has_its_page_and_answers(
    programs: Path, elsewhere: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ".")
    with served(programs, tiny_checkpoint) as url:
        page = httpx.get(f"{url}/", timeout=PATIENCE_S).text
        for name in re.findall(r'(?:src|href)="([\w./]+\.(?:js|css|svg))"', page):
            answer = httpx.get(f"{url}/{name.removeprefix('/')}", timeout=PATIENCE_S)
            assert answer.status_code == 200, name
        body = {"text": [TEXT]}
        answer = httpx.post(f"{url}/v1/translate", json=body, timeout=PATIENCE_S)
    (translation,) = answer.json()["translations"]
    expected = Translator.load(tiny_checkpoint, precision="fp32").translate(TEXT)
    assert translation["translation"] == expected
