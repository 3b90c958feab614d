"""The errors of the service: what it refuses a request for, and its own failures."""

from model.errors import RequestError

RETRY_AFTER_S = 1


class UnreadableBody(RequestError):
    """The body is not JSON, or did not arrive."""


class Unauthenticated(RequestError):
    """No API key was sent, or one that nobody has."""


class Forbidden(RequestError):
    """The API key is good, but not for this."""


class WrongHost(RequestError):
    """The request calls the server by a name that it does not have."""

    def __init__(self) -> None:
        super().__init__(
            "The header Host has none of the names of this server. Its operator can add one to "
            "DRAGOMAN_ALLOWED_HOSTS."
        )


class NoSuchModel(RequestError):
    """No model of this name, task or pair of languages is served."""


class AmbiguousModel(RequestError):
    """Several models could answer, in different languages."""


class BodyTooLarge(RequestError):
    """A body over the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes. Send fewer or shorter texts.", field="body")


class WrongContentType(RequestError):
    """The body is something else than plain JSON."""


class Overloaded(RequestError):
    """As many requests as the server takes are waiting for their answers."""

    def __init__(self, message: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRequests(RequestError):
    """This API key has used up its rate."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("This API key sends more requests than it may. Send them more slowly.")
        self.retry_after_s = retry_after_s


class ShuttingDown(RequestError):
    """The server is about to exit."""

    def __init__(self) -> None:
        super().__init__("The server is shutting down. Try again later.")


class DeadlinePassed(RequestError):
    """The time that the request allowed was over before the answer was ready."""

    def __init__(self) -> None:
        super().__init__(
            "it passed before the answer was ready. Allow more time.", field="deadline_ms"
        )


class ClientGone(Exception):
    """The client left before its answer was ready. It gets none; the log shows the status."""


class EngineFailed(Exception):
    """A step of the engine raised, and this request was in it. A failure of ours."""
