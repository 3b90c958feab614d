"""Parsing: how long the body of a request can hold up the event loop.

    python -m benchmarks.parsing

For each body, the worst that are known within the limits, the longest time of the processor in
which nothing else can run, in milliseconds, the least of five tries; before (parsed at once) and
now.
"""

import asyncio
import json
import time
from collections.abc import Coroutine

from pydantic import ValidationError

from model.errors import RequestError
from service.api.error_responses import mistake_in
from service.api.json_values import check_values
from service.api.request_bodies import MAX_VALUES, TranslateRequest

LIMIT = 4 * 1024**2


def filled(part: str) -> str:
    """A text of 800,000 characters, or as many as fit into a body."""
    return part * min(800_000 // len(part), (LIMIT - 1000) // len(json.dumps(part)))


def listed(text: str) -> bytes:
    """As many of a text as fit into a body."""
    one = json.dumps(text, ensure_ascii=False).encode()
    count = max(min((LIMIT - 100) // (len(one) + 2), 256), 1)
    return b'{"text": [' + b", ".join([one] * count) + b"]}"


BODIES = [
    json.dumps({f"{n:x}": 1 for n in range(390_000)}, separators=(",", ":")).encode(),
    b'{"text": [' + b"1," * 2_000_000 + b"1]}",
    b'{"text": [' + b"[]," * 1_000_000 + b"1]}",
    b'{"text": ' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}",
    b'{"text": ' + b'{"a":' * 600_000,
    b'{"text": [' + b'"",' * 1_000_000 + b'""]}',
    b'{"text": ' + b'"" ' * 1_000_000 + b"}",
    b'{"text": "a", "options": {' + b'"beam_size": 1,' * 250_000 + b'"n_best": 1}}',
    b'{"text": ' + b"1" * 4_000_000 + b"}",
    b" " * 4_000_000,
    b'{"text": "' + b'\\"' * 2_000_000 + b'"}',
    b'{"text": "' + b"\\u00e4" * 600_000 + b'"}',
    json.dumps({"text": "\\" * 700_000}).encode(),
    listed(filled("hallo ")),
    listed(filled("a ")),
    listed(filled("a\n")),
    listed(filled("\n")),
    listed("a" * 5_001 + " a" * 10_000),
    listed(filled("äöü ")),
    listed(filled("中文字\u3000")),
    listed(filled("a" * 9_999 + "\t")),
    listed(filled("a" * 5_001 + "\t")),
    listed("hallo " * 2_600),
    b'{"text": "' + "🙂".encode() * 100 + b"\\",
]


def longest_stall(work: Coroutine[object, object, None]) -> float:
    """Processor time that the work holds the event loop for at a time, in seconds, at most."""
    longest = 0.0

    async def run() -> None:
        nonlocal longest
        task = asyncio.ensure_future(work)
        while not task.done():
            begin = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - begin)

    asyncio.run(run())
    return longest


async def parse(body: bytes, *, checked: bool) -> None:
    """Parse a body as a request's is."""
    try:
        if checked:
            await check_values(body, MAX_VALUES)
        TranslateRequest.model_validate_json(body)
    except ValidationError as error:
        mistake_in(error, TranslateRequest, body)
    except RequestError:
        pass


def main() -> None:
    """Print a row for each body."""
    print(f"{'at once':>9} {'sliced':>9}   begins with")
    for body in BODIES:
        stalls = [
            min(longest_stall(parse(body, checked=checked)) for _ in range(5)) * 1000
            for checked in (False, True)
        ]
        print(f"{stalls[0]:9.1f} {stalls[1]:9.1f}   {body[:40]!r}, {len(body):,} bytes", flush=True)


if __name__ == "__main__":
    main()
