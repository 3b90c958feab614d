"""Ray Serve: a replica answers as dragoman-serve does, batches by our scheduler, and is drained."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.errors import ConfigError
from service.settings import Settings
from tests.patience import PATIENCE_S
from tests.service.conftest import Serve

pytest.importorskip("ray")
pytest.importorskip("ray.serve", reason="the extra ray", exc_type=ImportError)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray and what it imports
]

# Serves, says so, and with a line of standard input ends the application.
PROGRAM = """
import sys
import ray
from ray import serve
from service.ray_serve import app

run, port = sys.argv[1:]
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"port": int(port)})
serve.run(app({"run": run, "device": "cpu", "precision": "fp32", "threads": "1"}))
print("ready", flush=True)
sys.stdin.readline()
serve.delete("default")
print("deleted", flush=True)
serve.shutdown()
ray.shutdown()
"""
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/translate", {"text": "der Hund läuft"}),
    ("/v1/translate", {"text": ["ein Haus", "", "10 Mann"], "options": {"beam_size": 2}}),
    ("/v1/translate", {"text": 3}),
    ("/v1/translate", {"text": "rot", "options": {"beam_size": 0}}),
    ("/v1/score", {"source": "der Hund", "target": "the dog"}),
    ("/v1/nothing", {}),
]


class Deployed:
    """A program that serves by Ray, and where."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process, self.url = process, url

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def await_line(self, line: str) -> None:
        assert self.process.stdout is not None
        seen = []
        for one in self.process.stdout:
            seen.append(one)
            if one.strip() == line:
                return
        raise AssertionError(f"{line!r} not in {seen}")


@pytest.fixture
def deployed(tiny_checkpoint: Path) -> Iterator[Deployed]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "300",  # of a busy machine
    }
    environment.pop("RAY_ADDRESS", None)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tiny_checkpoint), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            found = Deployed(process, f"http://127.0.0.1:{port}")
            found.await_line("ready")
            yield found
            if process.poll() is None:
                found.say("\n")
                process.wait(PATIENCE_S)
        finally:
            process.kill()


def post(url: str, body: object) -> tuple[int, Any]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def figure(url: str, name: str) -> float:
    """The metric of this name, summed over its labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE_S) as response:
        text = response.read().decode()
    found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    assert found, text
    return sum(map(float, found))


def test_a_replica_answers_as_the_server_batches_and_is_drained(
    deployed: Deployed, serve: Serve, tiny_checkpoint: Path
) -> None:
    """One start of Ray for all three: it takes a minute on a busy machine."""
    with serve(tiny_checkpoint) as server:
        for path, body in REQUESTS:
            assert post(deployed.url + path, body) == post(server.url + path, body), (path, body)

    def rows_a_step() -> tuple[float, float]:
        rows = figure(deployed.url, "dragoman_step_rows_total")
        return rows, figure(deployed.url, "dragoman_step_seconds_count")

    before = rows_a_step()
    texts = [f"der Hund {number} läuft" for number in range(64)]
    with ThreadPoolExecutor(32) as threads:
        greedy = [{"text": text, "options": {"beam_size": 1}} for text in texts]
        url = f"{deployed.url}/v1/translate"
        answers = list(threads.map(lambda body: post(url, body), greedy))
        assert {status for status, _ in answers} == {200}
        after = rows_a_step()
        assert (after[0] - before[0]) / (after[1] - before[1]) > 2, "requests share steps"

        long = {"text": texts * 4, "options": {"beam_size": 5}}
        late = [threads.submit(post, url, long) for _ in range(8)]
        deadline = time.monotonic() + PATIENCE_S
        while figure(deployed.url, "dragoman_queue_requests") < len(late):
            assert time.monotonic() < deadline and not any(one.done() for one in late)
        deployed.say("\n")
        for one in late:
            status, found = one.result(PATIENCE_S)
            assert status == 200, found
            assert len(found["translations"]) == len(long["text"])
    deployed.await_line("deleted")


def test_the_config_file_of_the_documentation_is_one_of_serve() -> None:
    from ray.serve.schema import ServeDeploySchema

    from service import ray_serve

    page = (Path(__file__).parents[2] / "docs" / "scale-out.md").read_text(encoding="utf-8")
    (text,) = [
        block for block in re.findall(r"```yaml\n(.*?)```", page, re.S) if "import_path" in block
    ]
    (application,) = ServeDeploySchema.model_validate(yaml.safe_load(text)).applications
    assert application.import_path == f"{ray_serve.__name__}:{ray_serve.app.__name__}"
    assert application.args.keys() - {ray_serve.RUN} <= Settings.model_fields.keys()
    (deployment,) = application.deployments
    assert (deployment.name, deployment.num_replicas) == (ray_serve.NAME, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run": "de-en", "devcie": "cpu"}, "devcie: no such setting"),
        ({"device": "cpu"}, "no model"),
        ({"run": "de-en", "threads": "0"}, "threads: '0'"),
        ({"run": "de-en, nothing"}, "run=.*nothing: no such run"),
        ({"run": ["de-en"]}, r"run: \['de-en'\] is no text. Write it in quotes"),
        ({"run": "de-en", "threads": 4}, "threads: 4 is no text"),
        ({"run": "de-en", "port": "9000"}, "port: Serve listens"),
        ({"run": "de-en", "models": "m.yaml"}, "run and models: both"),
    ],
)
def test_mistakes_are_told_before_anything_is_deployed(
    arguments: dict[str, Any], message: str
) -> None:
    from service.ray_serve import app

    with pytest.raises(ConfigError, match=message):
        app(arguments)
