"""Generation: from the texts of a request to what a model makes of them, whole or as it comes."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from model.decoding.options import SearchOptions
from model.errors import ConfigError, RequestError
from model.text.segmentation import split_long
from model.translation import Translation
from service.admission import Admitted
from service.documents import Document, cut, has_words, is_long, whole
from service.schemas import Options
from service.terms import Terms
from service.worker import Worker

DOCUMENT = 16
"""Sentences of a request above which it is a document, which may not hold up short requests."""


@contextmanager
def without_echo(phrases: Collection[str]) -> Iterator[None]:
    """Take these phrases of the client out of the message of whatever is refused."""
    try:
        yield
    except (ConfigError, RequestError) as error:
        if type(error) not in (ConfigError, RequestError):
            raise
        message = str(error)
        for phrase in (*phrases, *set("".join(phrases))):
            message = message.replace(repr(phrase), "one")
        raise RequestError(message) from None


def options_of(options: Options, worker: Worker) -> SearchOptions:
    """The options of a request, over the defaults of the model."""
    with without_echo(options.phrases):
        return options.over(worker.options)


async def documents_of(texts: Sequence[str], language: str | None) -> list[Document]:
    """The texts, cut into sentences where they are long."""
    if any(map(is_long, texts)):
        return await asyncio.to_thread(lambda: [cut(text, language) for text in texts])
    return [whole(text) for text in texts]


async def generate(
    worker: Worker,
    documents: Sequence[Document],
    options: SearchOptions,
    terms: Terms,
    admitted: Admitted,
    *,
    aligned: bool,
) -> list[Translation]:
    """What `worker` makes of each document; all their sentences are in flight together.

    `aligned` asks for their alignments.

    Raises:
        RequestError: constraints for a document of several sentences; and as `Worker.translate`.
    """
    _check(documents, options)
    sentences = [sentence for document in documents for sentence in document.sentences]
    terms = dataclasses.replace(terms, document=len(sentences) > DOCUMENT)
    translate = partial(worker.translate, terms=terms, admitted=admitted, aligned=aligned)
    if options.prefix and any(len(document.sentences) > 1 for document in documents):
        # Each document begins with the prefix, and not each of its sentences.
        firsts = [sentence for each in documents for sentence in each.sentences[:1]]
        others = [sentence for each in documents for sentence in each.sentences[1:]]
        plain = dataclasses.replace(options, prefix="")
        first = iter(await translate(firsts, options))
        other = iter(await translate(others, plain))
        found = [
            next(other) if number else next(first)
            for document in documents
            for number in range(len(document.sentences))
        ]
    else:
        found = await translate(sentences, options) if sentences else []
    if any(len(document.sentences) > 1 for document in documents):
        return await asyncio.to_thread(_joined, documents, found, options.n_best)
    return _joined(documents, found, options.n_best)


async def generate_stream(
    worker: Worker,
    document: Document,
    options: SearchOptions,
    terms: Terms,
    admitted: Admitted,
    *,
    aligned: bool,
) -> AsyncGenerator[str | Translation, None]:
    """Prefixes of what `worker` makes of the document, and then all of it.

    A document of several sentences grows by sentences, twice as many each time.
    """
    _check([document], options)
    sentences = document.sentences
    terms = dataclasses.replace(terms, document=len(sentences) > DOCUMENT)
    if len(document.parts) == len(sentences) == 1:
        stream = worker.stream(sentences[0], options, terms, admitted, aligned=aligned)
        try:
            async for item in stream:
                yield item
        finally:  # at once, and not when its memory is collected
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        return
    found: list[Translation] = []
    count = 1
    while len(found) < len(sentences):
        chunk = sentences[len(found) : len(found) + count]
        asked = dataclasses.replace(options, prefix="") if found else options
        found += await worker.translate(chunk, asked, terms, admitted, aligned=aligned)
        count *= 2
        yield document.beginning(found)
    yield await asyncio.to_thread(document.join, found, options.n_best)


async def readable(
    worker: Worker, texts: Sequence[str], cut_long: bool
) -> tuple[list[Document], list[int | None]]:
    """The texts for a model that reads each of them whole, and not sentence by sentence.

    Returns:
        The documents, and for each how many pieces of its text are read if it was cut.

    Raises:
        RequestError: a text is longer than the model reads, and `cut_long` is false.
    """
    return await asyncio.to_thread(_readable, worker, texts, cut_long)


def _readable(
    worker: Worker, texts: Sequence[str], cut_long: bool
) -> tuple[list[Document], list[int | None]]:
    documents: list[Document] = []
    read: list[int | None] = []
    for number, text in enumerate(texts):
        if not has_words(text):
            documents.append(whole(text))
            read.append(None)
            continue
        # Models have seen lines: of a text of several they read the words.
        lines = map(str.strip, text.splitlines())
        core, pieces = " ".join(filter(None, lines)), None
        count = len(worker.tokenizer.encode(core))
        if count > worker.limit:
            if not cut_long:
                where = f"text.{number}" if len(texts) > 1 else "text"
                raise RequestError(
                    f"{where}: {count} pieces, but the model reads {worker.limit}. Shorten it, "
                    'or set on_long to "cut" to have its beginning read.'
                )
            core = split_long(core, worker.tokenizer, worker.limit)[0].text
            pieces = len(worker.tokenizer.encode(core))
        documents.append(whole(core))
        read.append(pieces)
    return documents, read


def _check(documents: Sequence[Document], options: SearchOptions) -> None:
    most = max((len(document.sentences) for document in documents), default=0)
    if options.constraints and most > 1:
        raise RequestError(
            f"constraints: the text is translated in {most} sentences, and none of them is known "
            "to hold them. Split the text yourself, or leave them out."
        )


def _joined(
    documents: Sequence[Document], found: Sequence[Translation], n_best: int
) -> list[Translation]:
    joined, start = [], 0
    for document in documents:
        end = start + len(document.sentences)
        joined.append(document.join(found[start:end], n_best))
        start = end
    return joined
