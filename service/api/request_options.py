"""The options of a request, over the defaults of the model, and what its messages may repeat."""

import dataclasses
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from model.decoding.options import SearchOptions
from model.errors import ConfigError, RequestError
from service.api.requests import FIELDS_OF_THE_BODY, GenerateRequest
from service.engine.worker import Worker


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


def options_of(body: GenerateRequest, worker: Worker) -> SearchOptions:
    """The options of a request, over the defaults of the model.

    Raises:
        RequestError: they contradict one another.
    """
    with without_echo(body.options.phrases):
        options = body.options.over(worker.options)
        told = {
            option: value
            for option, field in FIELDS_OF_THE_BODY.items()
            if field in type(body).model_fields and (value := getattr(body, field))
        }
        return dataclasses.replace(options, **told)
