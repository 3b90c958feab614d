"""The container: what its files promise, and its commands run by hand where no Docker engine is."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import venv
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
MONITORING: dict[str, Any] = yaml.safe_load(
    (ROOT / "docker-compose.monitoring.yml").read_text("utf-8")
)
SERVERS = ["dragoman", "dragoman-gpu"]
PROFILES = ["cpu", "gpu"]
LISTS = sorted((ROOT / "requirements").iterdir())
"""What the image installs."""


class Instruction(NamedTuple):
    """One of the Dockerfile."""

    stage: str
    word: str
    rest: str


def instructions() -> list[Instruction]:
    text = re.sub(r"^ *#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    found: list[Instruction] = []
    stage = ""
    for line in re.sub(r"\\\n", "", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stage = rest.split()[-1]
        if word:
            found.append(Instruction(stage, word, rest))
    return found


def of(stage: str, word: str) -> list[str]:
    """The rest of each instruction `word` in `stage`."""
    return [each.rest for each in instructions() if (each.stage, each.word) == (stage, word)]


def seconds(duration: str) -> float:
    assert duration.endswith("s"), duration
    return float(duration[:-1])


def test_there_is_a_target_for_cpus_and_one_for_cuda_and_the_first_is_the_default() -> None:
    stages = [each.rest for each in instructions() if each.word == "FROM"]
    assert stages[-1] == "base AS cpu" and "base AS cuda" in stages
    assert of("cpu", "RUN") == [each.replace("cuda", "cpu") for each in of("cuda", "RUN")]
    assert "whl/cpu" in of("cpu", "ARG")[0] and "pypi.org" in of("cuda", "ARG")[0]


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_a_target_runs_as_a_user_of_fixed_number(target: str) -> None:
    (user,) = of(target, "USER")
    number, _, group = user.partition(":")
    assert number == group and int(number) >= 10_000
    assert f"--uid {number} " in of("base", "RUN")[0]


def test_dependencies_come_before_the_source() -> None:
    before = [each for each in instructions() if each.stage == "base" and each.word == "COPY"]
    assert [each.rest for each in before] == ["requirements requirements"]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    kept = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for each in instructions():
        if each.word == "COPY" and "--from" not in each.rest:
            for name in each.rest.split()[:-1]:
                assert (ROOT / name).exists() and f"!{name}" in kept


@pytest.mark.docker
@pytest.mark.parametrize("profiles", [*([name] for name in PROFILES), PROFILES])
def test_compose_takes_the_file(profiles: list[str]) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("there is no docker-compose")
    flags = [part for name in profiles for part in ("--profile", name)]
    done = subprocess.run(
        [program, *flags, "config", "-q"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.docker
def test_grafana_does_not_start_without_a_password() -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("there is no docker-compose")
    files = ["-f", "docker-compose.yml", "-f", "docker-compose.monitoring.yml"]
    kept = {name: value for name, value in os.environ.items() if name != "GRAFANA_PASSWORD"}
    for given in ({}, {"GRAFANA_PASSWORD": ""}, {"GRAFANA_PASSWORD": "long and secret"}):
        done = subprocess.run(
            [program, *files, "config"], cwd=ROOT, capture_output=True, text=True, env=kept | given
        )
        if given.get("GRAFANA_PASSWORD"):
            grafana = yaml.safe_load(done.stdout)["services"]["grafana"]["environment"]
            assert grafana["GF_SECURITY_ADMIN_PASSWORD"] == "long and secret"
            assert grafana["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
        else:
            assert done.returncode and "set it to a password" in done.stderr


def test_without_a_profile_the_server_on_cpus_is_meant() -> None:
    assert "COMPOSE_PROFILES=cpu\n" in (ROOT / ".env").read_text("utf-8")
    services = COMPOSE["services"]
    assert {name: each["profiles"] for name, each in services.items()} == {
        "dragoman": ["cpu"],
        "dragoman-gpu": ["gpu"],
    }
    assert MONITORING["services"].keys() == {"prometheus", "grafana"}


@pytest.mark.parametrize("name", SERVERS)
def test_compose_gives_a_server_no_more_than_it_needs(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] and service["pids_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    (volume,) = service["volumes"]
    assert volume.endswith(":/models/run:ro") and service["command"][-1] == "/models/run"


@pytest.mark.parametrize("name", SERVERS)
def test_compose_builds_a_target_and_asks_its_health(name: str) -> None:
    service = COMPOSE["services"][name]
    target = service["build"]["target"]
    assert service["image"] == f"dragoman:{target}" and of(target, "USER")
    check = re.fullmatch(r".*CMD (\[.*\])", of("base", "HEALTHCHECK")[0])
    assert check and service["healthcheck"]["test"] == ["CMD", *json.loads(check[1])]
    assert service["command"] == json.loads(of("base", "CMD")[0])


@pytest.mark.parametrize("name", SERVERS)
def test_docker_waits_longer_than_the_server_drains(name: str) -> None:
    assert seconds(COMPOSE["services"][name]["stop_grace_period"]) > Settings().drain_s


def test_the_files_of_the_monitors_exist() -> None:
    for name in ("prometheus", "grafana"):
        for volume in MONITORING["services"][name]["volumes"]:
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source[0] == "." else source in MONITORING["volumes"]


def test_prometheus_asks_the_server_and_grafana_finds_its_dashboard() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text("utf-8"))
    (job,) = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["dragoman:8000"]}]
    for name in SERVERS:
        assert COMPOSE["services"][name]["networks"]["default"]["aliases"] == ["dragoman"]
    (file,) = (ROOT / "deploy/grafana/provisioning/dashboards").iterdir()
    (provider,) = yaml.safe_load(file.read_text("utf-8"))["providers"]
    places = [volume.split(":")[1] for volume in MONITORING["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in places


# Nothing comes into an image but what is pinned


def test_every_image_is_pinned_by_digest() -> None:
    pinned = r"[\w./-]+:v?\d[\w.-]*@sha256:[0-9a-f]{64}"
    own = {f"dragoman:{stage}" for stage in ("cpu", "cuda")}
    services = {**COMPOSE["services"], **MONITORING["services"]}
    images = {each["image"] for each in services.values()} - own
    stages = {each.stage for each in instructions()}
    images |= {each.rest.split()[0] for each in instructions() if each.word == "FROM"} - stages
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(pinned, image), image


def pins(text: str) -> dict[str, str]:
    """Package and version of each entry."""
    found = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_every_package_of_the_image_has_hashes_and_the_tested_version(path: Path) -> None:
    text = path.read_text("utf-8")
    entry = r"[\w.-]+==\S+(?: ; [^\n\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    assert re.fullmatch(rf"(?:{entry})+", text)
    tested = pins((ROOT / "constraints.txt").read_text("utf-8"))
    for name, version in pins(text).items():
        if name in tested:
            assert version == tested[name], name
        else:  # what only an NVIDIA GPU needs is not on our machines
            assert path.name == "torch-cuda.txt", name
            assert re.fullmatch("triton|(cuda|nvidia)-.*", name), name


def test_the_image_gets_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[^\w-]", each)[0].replace("_", "-") for each in project["dependencies"]}
    everywhere = pins((ROOT / "requirements/image.txt").read_text("utf-8")).keys()
    for target in ("cpu", "cuda"):
        torch = pins((ROOT / f"requirements/torch-{target}.txt").read_text("utf-8")).keys()
        assert names <= everywhere | torch and not everywhere & torch


@pytest.mark.parametrize("each", [each for each in instructions() if " install " in each.rest])
def test_pip_installs_nothing_without_a_hash_but_our_own_wheel(each: Instruction) -> None:
    for command in re.findall(r"pip install [^&]*", each.rest):
        assert "--require-hashes" in command or command.strip().endswith("--no-deps wheels/*.whl")


# The commands of the image, in a clean folder in place of /app


class Image(NamedTuple):
    """What the commands of the target `cpu` have left behind."""

    app: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Minutes: everything is installed. TORCH_INDEX names another index of torch, as in `make`."""
    app = tmp_path_factory.mktemp("image") / "app"
    venv.create(app / "python", with_pip=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN")}
    environment = kept | {"PATH": f"{app}/python/bin:{os.environ['PATH']}", "HOME": "/nonexistent"}
    environment.pop("PYTHONPATH", None)
    for each in instructions():
        if each.stage in ("base", "package", "cpu"):
            _follow(each, app, environment)
    return Image(app, environment)


def _follow(each: Instruction, app: Path, environment: dict[str, str]) -> None:
    """Do what an instruction says; but no user is made, and stages share one folder."""
    rest = each.rest.replace("/app", str(app))
    if each.word in ("ENV", "ARG"):
        for name, value in (pair.split("=", 1) for pair in rest.split()):
            environment[name] = environment.get(name, value) if each.word == "ARG" else value
    elif each.word == "COPY" and "--from" not in rest:
        *names, _ = rest.split()
        for name in names:
            if (ROOT / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, app / name, ignore=ignore)
            else:
                shutil.copy(ROOT / name, app)
    elif each.word == "RUN" and not rest.startswith("useradd"):
        subprocess.run(rest, shell=True, check=True, cwd=app, env=environment)
        if each.stage == "package":  # its folder is not that of the image
            for name in ("dragoman", "model", "training", "service", "pretrained"):
                shutil.rmtree(app / name)
            (app / "dragoman_commands.py").unlink()


LOCKED = 'mount -o remount,ro,bind / && exec "$@"'
"""As in the container, nothing can be written but for temporary files. Only root may mount."""


def locked() -> list[str]:
    """What is put before a command, where this user may."""
    lock = ["unshare", "--mount", "sh", "-c", LOCKED, "sh"]
    if (
        shutil.which("unshare")
        and not subprocess.run([*lock, "true"], capture_output=True).returncode
    ):
        return lock
    return []


@pytest.mark.slow
def test_the_commands_of_the_image_make_a_server_that_gets_ready(
    image: Image, tiny_checkpoint: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    own = {"DRAGOMAN_PORT": port, "DRAGOMAN_HOST": "127.0.0.1", "TMPDIR": "/dev/shm"}
    own |= {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    environment = image.environment | own
    name, _ = json.loads(of("base", "CMD")[0])
    check = re.sub(r".*CMD ", "", of("base", "HEALTHCHECK")[0])
    program = [str(image.app / "python/bin" / name), str(tiny_checkpoint), "--precision", "int8"]
    with subprocess.Popen([*locked(), *program], cwd=image.app, env=environment) as server:
        try:
            until = time.monotonic() + 120
            while subprocess.run(
                json.loads(check), cwd=image.app, env=environment, capture_output=True
            ).returncode:
                assert server.poll() is None and time.monotonic() < until
        finally:
            server.terminate()
        assert server.wait() == 0


@pytest.mark.slow
def test_the_image_brings_the_kernels_that_its_server_needs(image: Image) -> None:
    (folder,) = (image.app / "kernels").iterdir()
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    assert before
    subprocess.run(
        ["python", "-m", "model.decoding.precompile"],
        check=True,
        cwd=image.app,
        env=image.environment,
        stdout=sys.stderr,
    )
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before
