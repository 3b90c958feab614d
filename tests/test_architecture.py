"""The import rules: which package may import which, read from the source."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import dragoman
import model
import service
import training

ROOT = Path(__file__).resolve().parent.parent
ALLOWED: dict[str, set[str]] = {
    "dragoman": {"model"},  # what others import: nothing of ours does
    "model": set(),
    "training": {"model"},
    "service": {"model"},
}


def imported_modules(source: str) -> Iterator[str]:
    """Every module that the source imports, wherever the import stands; `from a import b` gives
    both "a" and "a.b".
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}: write it out"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_under(folder: Path) -> Iterator[tuple[Path, str]]:
    paths = sorted(folder.rglob("*.py"))
    assert paths, f"no source under {folder}"
    for path in paths:
        for name in imported_modules(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT), name


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def violations(folder: Path, forbidden: set[str]) -> list[str]:
    return [
        f"{path} imports {name}"
        for path, name in imports_under(folder)
        if any(is_within(name, package) for package in forbidden)
    ]


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import a.b\ndef f():\n    from c import d\n    if x:\n        import e as g\n"
    assert set(imported_modules(source)) == {"a.b", "c", "c.d", "e"}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_run_one_way(package: str) -> None:
    forbidden = ALLOWED.keys() - ALLOWED[package] - {package}
    assert not violations(ROOT / package, forbidden | {"dragoman_commands", "tests", "benchmarks"})


def test_the_network_knows_nothing_of_decoding() -> None:
    assert not violations(ROOT / "model" / "network", {"model.decoding"})


def test_the_library_needs_no_server_and_no_configuration_language() -> None:
    assert not violations(ROOT / "model", {"asyncio", "fastapi"})
    for path, name in imports_under(ROOT / "model"):
        assert name != "yaml" or path.as_posix() == "model/cli/yaml_text.py", path


@pytest.mark.parametrize("package", [dragoman, model, training, service])
def test_our_packages_are_the_ones_imported(package: object) -> None:
    """Names as general as these could be shadowed by another distribution, or by tests/."""
    file = getattr(package, "__file__", None)
    assert file is not None
    assert Path(file).resolve().is_relative_to(ROOT)


def module_of(script: str) -> str:
    """The module of a command, from its entry point."""
    return script.partition(":")[2].replace(".commands.", ".")


def commands() -> set[str]:
    """The modules that are run: those of the scripts, and the demo."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {module_of(value) for value in project["scripts"].values()} | {"training.demo.__main__"}


def test_only_commands_import_commands() -> None:
    """Code of a command that something else needs belongs in the library below it."""
    all_commands = commands()
    for package in ALLOWED:
        for path, name in imports_under(ROOT / package):
            if path.as_posix().removesuffix(".py").replace("/", ".") not in all_commands:
                assert not any(is_within(name, one) for one in all_commands), f"{path}: {name}"


ORDER: dict[str, tuple[str, ...]] = {
    "model": (
        "bench inspect pack score translate",
        "commands",
        "cli",
        "drawing",
        "jobs",
        "transducer vector_transducer",
        "translator",
        "translation",
        "checkpoint",
        "vectors",
        "decoding",
        "io",
        "network",
        "config",
        "text",
        "errors",
    ),
    "model/decoding": (
        "precompile selftest shared_engine",
        "long_engine",
        "engine",
        "lane precision",
        "torch native",
        "queue out_of_memory lexical_shortlist confidence state available_memory long_memory",
        "rules",
        "sentence",
        "request",
        "beam_search cuda source_names symbol_options",
        "automaton options freed_memory",
    ),
    "training": (
        "demo",
        "train average evaluate distill shortlist public_data",
        "commands",
        "from_files scoring",
        "vectors",
        "loop",
        "tracking",
        "validation",
        "losses",
        "lexical",
        "data corpora",
        "system",
        "config",
        "metrics",
    ),
    "service": (
        "ray_serve",
        "serve healthcheck",
        "commands",
        "server app",
        "api",
        "registry",
        "engine",
        "limits",
        "settings observability",
        "errors",
    ),
    "service/api": (
        "routes",
        "fast_path host_check http_protocol intake middleware openapi sse",
        "json_values",
        "error_responses",
        "request_bodies responses",
    ),
}
"""Top first. What stands in a line imports only what stands in lines below it."""


@pytest.mark.parametrize("package", ORDER)
def test_imports_between_folders_run_one_way(package: str) -> None:
    rank = {name: i for i, line in enumerate(ORDER[package]) for name in line.split()}
    prefix = package.replace("/", ".") + "."
    for path, name in imports_under(ROOT / package):
        if path.name == "__init__.py" or not name.startswith(prefix):
            continue
        own = path.relative_to(package).parts[0].removesuffix(".py")
        other = name.removeprefix(prefix).split(".")[0]
        assert own == other or rank[own] < rank[other], f"{path} imports {name}"
