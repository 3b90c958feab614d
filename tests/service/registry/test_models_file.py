"""Models file: what it may hold, and what is said of what it may not."""

from pathlib import Path

import pytest

from model.errors import ConfigError
from service.registry.models_file import ModelEntry, entries_of_runs, read_models_file

FULL = """\
models:
  - name: de-en
    path: runs/de-en
    source: de
    target: en
    options: {beam_size: 4, alpha: 0.8}
    shortlist: true
    precision: int8
  - {name: short, path: /models/short, task: summarize}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "models.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_lists_models(tmp_path: Path) -> None:
    assert read_models_file(write(tmp_path, FULL)) == [
        ModelEntry(
            name="de-en",
            path=tmp_path / "runs/de-en",
            source="de",
            target="en",
            options={"beam_size": 4, "alpha": 0.8},
            shortlist=True,
            precision="int8",
        ),
        ModelEntry(name="short", path=Path("/models/short"), task="summarize"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no list `models` at the top"),
        ("- a", "no list `models` at the top"),
        ("models: {a: 1}", "no list `models` at the top"),
        ("models: []", "models: an empty list"),
        ("models: [x]", "models[0]: 'x' is not a mapping"),
        ("model: 1\nmodels: [{name: a, path: b}]", "model: unknown key"),
        ("models: [{name: a, pth: b}]", "models[0].pth: unknown key. Did you mean 'path'?"),
        ("models: [{name: a, path: b, option: {}}]", "Did you mean 'options'?"),
        ("models: [{name: a, path: b}, {path: c}]", "models[1].name: missing"),
        ("models: [{name: a}]", "models[0].path: missing"),
        ("models: [{name: 3, path: b}]", "models[0].name: 3 is not allowed, it must be text"),
        ("models: [{name: a b, path: c}]", "models[0].name: 'a b' is not allowed"),
        ("models: [{name: a, path: b, task: sing}]", "models[0].task: 'sing' is not known"),
        ("models: [{name: a, path: b, source: 'd e'}]", "models[0].source: 'd e' is not a lang"),
        # YAML 1.1 reads the Norwegian no as false.
        ("models: [{name: a, path: b, source: no}]", "models[0].source: False is not allowed"),
        ("models: [{name: a, path: b, options: [1]}]", "models[0].options: [1] is not a mapping"),
        ("models: [{name: a, path: b}, {name: a, path: c}]", "two models have the name 'a'"),
        ("models: [", "not valid YAML: "),
        ("models: !!python/object:os.system {}", "not valid YAML: "),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read_models_file(path)
    assert str(error.value).startswith(f"--models {path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: No such file"):
        read_models_file(tmp_path / "none.yaml")
    (tmp_path / "latin1.yaml").write_bytes(b"models: [{name: \xff}]")
    with pytest.raises(ConfigError, match=r"--models .*latin1.yaml, line 1: not valid UTF-8"):
        read_models_file(tmp_path / "latin1.yaml")
    (tmp_path / "wide.yaml").write_text("models: [{name: a, path: b}]", encoding="utf-16")
    with pytest.raises(ConfigError, match=r"--models .*wide.yaml: looks like UTF-16.* iconv"):
        read_models_file(tmp_path / "wide.yaml")
    (tmp_path / "marked.yaml").write_text("models: [{name: a, path: b}]", encoding="utf-8-sig")
    assert [entry.name for entry in read_models_file(tmp_path / "marked.yaml")] == ["a"]


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("runs/demo", "demo"),
        ("runs/demo/", "demo"),
        ("runs/demo/best", "demo"),
        ("runs/demo/checkpoints/step-000500", "demo"),
        ("runs/checkpoints/demo.dragoman", "demo"),
        ("runs/demo/best.dragoman", "best"),
        ("runs/mein Modell", "mein-Modell"),
        ("/", "model"),
    ],
)
def test_a_run_gives_its_name(run: str, name: str) -> None:
    assert entries_of_runs([Path(run)]) == [ModelEntry(name=name, path=Path(run))]


def test_two_runs_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'demo': a/demo and b/demo. Give each a name"):
        entries_of_runs([Path("a/demo"), Path("c"), Path("b/demo")])
