"""docs/deploying.md and the examples in deploy/: they hold, as far as one machine can tell."""

import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.observability.metrics import Metrics
from service.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "deploying.md").read_text("utf-8")
UNIT = (DEPLOY / "dragoman.service").read_text("utf-8")
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
MONITORING_TEXT = (ROOT / "docker-compose.monitoring.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
MANIFESTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"))
)


def pod() -> dict[str, Any]:
    (deployment,) = [each for each in MANIFESTS if each["kind"] == "Deployment"]
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    assert isinstance(found, dict)
    return found


# The page


def test_links_and_files_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for name in re.findall(r"\b(?:deploy|tests)/[\w./-]*\w", PAGE):
        assert (ROOT / name).exists(), name


def test_profiles_targets_and_variables_are_those_of_the_files() -> None:
    profiles = {name for each in COMPOSE["services"].values() for name in each["profiles"]}
    assert set(re.findall(r"--profile (\w+)", PAGE)) == profiles
    targets = re.findall(r"^FROM base AS (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.M)
    assert set(re.findall(r"--target (\w+)", PAGE)) == set(targets) - {"package"}
    used = set(re.findall(r"\$\{(\w+):", COMPOSE_TEXT + MONITORING_TEXT))
    told = re.search(r"^Variables: (.*?)\n\n", PAGE, re.M | re.S)
    assert told and set(re.findall(r"`([A-Z_]+)`", told[1])) == used


@pytest.mark.parametrize(
    "text",
    [PAGE, UNIT, *(path.read_text("utf-8") for path in sorted(DEPLOY.glob("*.*ml")))],
)
def test_every_setting_that_is_named_exists(text: str) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", text)) <= known


@pytest.mark.docker
def test_the_overrides_shown_fit_the_file(tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("there is no docker-compose")
    shown = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    assert len(shown) == 2
    for text in shown:
        override = tmp_path / "override.yml"
        override.write_text(text, "utf-8")
        files = ["-f", str(ROOT / "docker-compose.yml"), "-f", str(override)]
        done = subprocess.run(
            [program, *files, "--profile", "cpu", "config", "-q"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")


# systemd


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze")
    (command,) = re.findall(r"^ExecStart=(\S+)", UNIT, re.M)
    here = tmp_path / "dragoman.service"
    here.write_text(UNIT.replace(command, str(shutil.which("true"))), "utf-8")
    done = subprocess.run([program, "verify", str(here)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_waits_longer_than_the_server_drains() -> None:
    (wait,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.M)
    assert float(wait) > Settings().drain_s


def test_systemd_forbids_no_compiled_kernels() -> None:
    assert not re.search(r"^MemoryDenyWriteExecute", UNIT, re.M)


# Kubernetes


def test_the_grace_covers_the_hook_and_the_drain() -> None:
    word, hook = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert word == "sleep"
    assert pod()["terminationGracePeriodSeconds"] > float(hook) + Settings().drain_s


def test_probes_ask_what_they_should() -> None:
    asked = {name: container()[name]["httpGet"]["path"] for name in container() if "Probe" in name}
    assert asked == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/livez",
    }


def test_a_pod_has_no_rights_and_the_user_of_the_image() -> None:
    user = re.findall(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text("utf-8"), re.M)[-1]
    assert pod()["securityContext"]["runAsUser"] == int(user)
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_labels_and_names_agree() -> None:
    deployment, service, budget = MANIFESTS
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"] == labels
    scaled = yaml.safe_load((DEPLOY / "keda.yaml").read_text("utf-8"))
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_scaling_asks_for_a_metric_that_the_service_has() -> None:
    names = set(re.findall(r"\bdragoman_\w+", (DEPLOY / "keda.yaml").read_text("utf-8") + PAGE))
    assert names <= {metric.name for metric in Metrics().registry.collect()}
    assert names


# nginx


class Streaming(threading.Thread):
    """A server of one answer, whose second event waits until the first has arrived."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.arrived = threading.Event()
        self.in_time = False
        self.head = b""

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with self.listener, connection:
            self.head = connection.recv(65536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
                b"event: partial\n\n"
            )
            self.in_time = self.arrived.wait(20)
            connection.sendall(b"event: done\n\n")


def test_nginx_passes_events_on_as_they_come(tmp_path: Path) -> None:
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("there is no nginx")
    behind = Streaming()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    assert "listen 80;" in text and "127.0.0.1:8000" in text
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{behind.port}")
    whole = tmp_path / "nginx.conf"
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr;"
        f"events {{}} http {{ access_log off; {folders} {text} }}",
        "utf-8",
    )
    subprocess.run([program, "-t", "-q", "-c", str(whole)], check=True)
    behind.start()
    with subprocess.Popen([program, "-c", str(whole)]) as nginx:
        try:
            transport = httpx.HTTPTransport(retries=8)  # until it listens
            url = f"http://127.0.0.1:{port}"
            with (
                httpx.Client(transport=transport, timeout=30) as client,
                client.stream("POST", f"{url}/v1/translate", json={"text": "a"}) as answer,
            ):
                events = answer.iter_text()
                assert "partial" in next(events)
                behind.arrived.set()
                assert "done" in "".join(events)
            assert httpx.get(f"{url}/metrics").status_code == 404
        finally:
            nginx.terminate()
    assert behind.in_time
    # A server on this machine takes no other name: DRAGOMAN_ALLOWED_HOSTS.
    assert b"\r\nHost: localhost\r\n" in behind.head
