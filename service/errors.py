"""The errors of the service: the reasons to refuse a request, and internal failures."""

from model.errors import RequestError

RETRY_AFTER_S = 1


class UnreadableBody(RequestError):
    """The body is not JSON, or did not arrive in time."""


class Unauthenticated(RequestError):
    """The API key is missing or unknown."""


class Forbidden(RequestError):
    """The API key is valid but does not permit this operation."""


class WrongHost(RequestError):
    """The request calls the server by a name that it does not have."""

    def __init__(self) -> None:
        super().__init__(
            "The header Host has none of the names of this server. Its operator can add one to "
            "DRAGOMAN_ALLOWED_HOSTS."
        )


class NoSuchModel(RequestError):
    """No served model has this name, task or language pair."""


class AmbiguousModel(RequestError):
    """Several models could answer, in different languages."""


class BodyTooLarge(RequestError):
    """The body exceeds the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes. Send fewer or shorter texts.", field="body")


class BodyTooSlow(RequestError):
    """The body arrives too slowly."""

    def __init__(self, grace_s: float, bytes_per_s: int) -> None:
        super().__init__(
            f"it arrived too slowly. After {grace_s:g} seconds, send at least {bytes_per_s} bytes "
            "a second on average.",
            field="body",
        )


class WrongContentType(RequestError):
    """The body is not uncompressed JSON."""


class Overloaded(RequestError):
    """The server has as much outstanding work as it accepts."""

    def __init__(self, message: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRequests(RequestError):
    """This API key has exceeded its rate limit."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("This client sends more requests than it may. Send them more slowly.")
        self.retry_after_s = retry_after_s


class ShuttingDown(RequestError):
    """The server is draining or has stopped."""

    def __init__(self) -> None:
        super().__init__("The server is shutting down. Try again later.")


class DeadlinePassed(RequestError):
    """The deadline of the request passed before its answer was ready."""

    def __init__(self) -> None:
        super().__init__(
            "it passed before the answer was ready. Allow more time.", field="deadline_ms"
        )


class ClientGone(Exception):
    """The client disconnected before its answer was ready; only the log shows the status."""


class EngineFailed(Exception):
    """A step of the engine raised while it held this request: an internal error."""
