"""The baseline: CTranslate2 behind the smallest HTTP server that serves it well.

    PYTHON peer_ctranslate2_server.py MODEL TOKENIZER --port P --mode each|batch

Run by a Python that has ctranslate2 and sentencepiece; nothing else is imported. MODEL is a
converted folder, TOKENIZER its SentencePiece model. int8, one thread, beam 5 unless told otherwise.
Two ways to put CTranslate2 behind HTTP:

    each    one translate_batch(asynchronous=True) a request
    batch   requests are collected for up to 5 ms, or until there are 32 sentences, and translated
            in one translate_batch; the next are collected meanwhile

POST /translate {"text": ["...", ...]} -> {"translations": ["...", ...]}. Texts are not split.
"""

import argparse
import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import ctranslate2  # type: ignore[import-not-found]  # the peer's environment has them
import sentencepiece

WAIT_S = 0.005
BATCH = 32
WAITING = 256
"""Threads that wait for results; they sleep in CTranslate2."""
MAX_LENGTH = 100

Pieces = list[str]


class Baseline:
    """Texts in, translations out, in one of the two modes."""

    def __init__(self, model: str, tokenizer: str, beam_size: int, mode: str) -> None:
        self._translator = ctranslate2.Translator(
            model, device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
        )
        self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=tokenizer)
        self._options = {"beam_size": beam_size, "max_decoding_length": MAX_LENGTH}
        self._each = mode == "each"
        self._pool = ThreadPoolExecutor(WAITING if self._each else 1)
        self._queue: asyncio.Queue[tuple[Pieces, asyncio.Future[Pieces]]] = asyncio.Queue()

    async def translate(self, texts: list[str]) -> list[str]:
        """The translations, in order."""
        sources: list[Pieces] = self._tokenizer.encode(texts, out_type=str)
        found = await (self._alone(sources) if self._each else self._together(sources))
        return [self._tokenizer.decode(pieces) for pieces in found]

    async def _alone(self, sources: list[Pieces]) -> list[Pieces]:
        results = self._translator.translate_batch(sources, asynchronous=True, **self._options)

        def wait() -> list[Pieces]:
            return [result.result().hypotheses[0] for result in results]

        return await asyncio.get_running_loop().run_in_executor(self._pool, wait)

    async def _together(self, sources: list[Pieces]) -> list[Pieces]:
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[Pieces]] = [loop.create_future() for _ in sources]
        for pair in zip(sources, answers, strict=True):
            self._queue.put_nowait(pair)
        return await asyncio.gather(*answers)

    async def collect(self) -> None:
        """Translate what `_together` queues, batch after batch, for ever."""
        loop = asyncio.get_running_loop()

        def search(sources: list[Pieces]) -> list[Pieces]:
            results = self._translator.translate_batch(sources, **self._options)
            return [result.hypotheses[0] for result in results]

        while True:
            batch = [await self._queue.get()]
            end = loop.time() + WAIT_S
            while len(batch) < BATCH:
                try:
                    async with asyncio.timeout_at(end):
                        batch.append(await self._queue.get())
                except TimeoutError:
                    break
            found = await loop.run_in_executor(self._pool, search, [pair[0] for pair in batch])
            for (_, answer), pieces in zip(batch, found, strict=True):
                if not answer.done():  # its client may have left
                    answer.set_result(pieces)


class Conversation(asyncio.Protocol):
    """One connection, kept alive, without pipelining."""

    def __init__(self, baseline: Baseline) -> None:
        self._baseline = baseline
        self._buffer = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        _, _, length = head.lower().partition(b"\r\ncontent-length:")
        if len(body) >= int(length.split(b"\r", 1)[0]):
            self._buffer = b""
            task = asyncio.get_running_loop().create_task(self._answer(body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, body: bytes) -> None:
        status, answer = "200 OK", cast(dict[str, Any], {})
        try:
            answer = {"translations": await self._baseline.translate(json.loads(body)["text"])}
        except Exception as error:  # whatever it is, the server goes on
            status, answer = "500 Internal Server Error", {"error": repr(error)}
        content = json.dumps(answer, ensure_ascii=False).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        self._transport.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)


async def serve(arguments: argparse.Namespace) -> None:
    """Until the process is ended."""
    baseline = Baseline(
        arguments.model, arguments.tokenizer, arguments.beam_size, mode=arguments.mode
    )
    server = await asyncio.get_running_loop().create_server(
        lambda: Conversation(baseline), "127.0.0.1", arguments.port, backlog=1024
    )
    async with server:
        await baseline.collect()


def main() -> int:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("tokenizer", metavar="TOKENIZER")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mode", choices=("each", "batch"), required=True)
    parser.add_argument("--beam-size", type=int, default=5)
    asyncio.run(serve(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
