"""A load of people for Locust (locust.io), which has a page, ramps and several machines.

    pip install locust
    locust -f benchmarks/locustfile.py --host http://127.0.0.1:8000 --texts FILE
    locust -f benchmarks/locustfile.py --headless --users 50 --spawn-rate 5 --run-time 1m \\
        --host http://127.0.0.1:8000

FILE has a sentence a line, in the language that the model translates from; without it everyday.de
beside this file is read. With DRAGOMAN_LOCUST_KEY in the environment, that API key is sent. A
person asks for one sentence mostly and for a text of several now and then, and reads the answer
before the next. A refusal (429, 503) is shown as a failure, and the person waits as long as the
server says. Locust needs a core of its own; benchmarks/service.py is what measures.
"""

import os
import random
import time
from pathlib import Path

# Locust brings an environment of its own, or is installed by whoever wants it.
from locust import FastHttpUser, between, events, task  # type: ignore[import-not-found]

EVERYDAY = Path(__file__).with_name("everyday.de")
SEVERAL = 8
TRANSLATE = "/v1/translate"


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_flags(parser: object) -> None:
    """The flags of this file."""
    parser.add_argument(  # type: ignore[attr-defined]
        "--texts", default=str(EVERYDAY), help="a sentence a line"
    )


class Reader(FastHttpUser):  # type: ignore[misc]
    """One person."""

    wait_time = between(0.5, 3)

    def on_start(self) -> None:
        """Read the sentences."""
        path = Path(self.environment.parsed_options.texts)
        self.lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
        key = os.environ.get("DRAGOMAN_LOCUST_KEY")
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    @task(9)  # type: ignore[untyped-decorator]
    def sentence(self) -> None:
        """One sentence."""
        self._ask(random.choice(self.lines), "a sentence")

    @task(1)  # type: ignore[untyped-decorator]
    def text(self) -> None:
        """Several, in one request."""
        self._ask(random.choices(self.lines, k=SEVERAL), f"{SEVERAL} sentences")

    def _ask(self, text: str | list[str], name: str) -> None:
        count = 1 if isinstance(text, str) else len(text)
        wait = 0.0
        with self.client.post(
            TRANSLATE, json={"text": text}, headers=self.headers, name=name, catch_response=True
        ) as response:
            if response.status_code in (429, 503):
                wait = float(response.headers.get("Retry-After", 1))
                response.failure(f"refused with {response.status_code}")
            elif response.status_code != 200:
                response.failure(f"status {response.status_code}")
            elif len(response.json()["translations"]) != count:
                response.failure("not as many translations as texts")
        if wait:
            time.sleep(wait)  # gevent's: only this person waits
