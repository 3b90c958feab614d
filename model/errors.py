"""The errors that a user can cause, one class for each kind of cause.

A message says what was given, what is allowed and what to do, in one line: commands print it as it
is, each of several on its own line, and exit with status 2. Internal errors are ordinary Python
exceptions and keep their traceback.
"""

from collections.abc import Sequence


class DragomanError(Exception):
    """Any mistake that a user can correct."""

    def __init__(self, message: str, *, field: str = "", quoted: tuple[str, ...] = ()) -> None:
        """
        Args:
            message: what is wrong and what to do; with `quoted`, `{}` stands for each of them.
            field: what the message is about, such as "avoid" or "text.3". A caller that knows it
                more precisely than the code that raised may set it.
            quoted: the parts of the user's input that the message repeats.
        """
        super().__init__(message)
        self.field, self.quoted = field, quoted

    def __str__(self) -> str:
        return self._format(tuple(map(repr, self.quoted)))

    @property
    def unquoted(self) -> str:
        """The message without the user's input, where that must not be repeated."""
        return self._format(("one",) * len(self.quoted))

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, or one for each mistake if there are several."""
        return (str(self),)

    def _format(self, quoted: tuple[str, ...]) -> str:
        message = str(self.args[0])
        if quoted:
            message = message.format(*quoted)
        return f"{self.field}: {message}" if self.field else message


class ConfigError(DragomanError):
    """A configuration, a flag or a combination of options is wrong."""


class ConfigErrors(ConfigError):
    """Several mistakes in one configuration."""

    def __init__(self, lines: Sequence[str]) -> None:
        """
        Args:
            lines: a message for each mistake.
        """
        super().__init__("\n".join(lines))
        self._lines = tuple(lines)

    def __reduce__(self) -> tuple[type["ConfigErrors"], tuple[tuple[str, ...]]]:
        return type(self), (self._lines,)  # to another process

    @property
    def lines(self) -> tuple[str, ...]:
        """A message for each mistake."""
        return self._lines


class CheckpointError(DragomanError):
    """A checkpoint or a run directory is missing, damaged, too new or in use."""


class DataError(DragomanError):
    """A text file is missing, empty, not UTF-8 or does not fit its counterpart."""


class RequestError(DragomanError):
    """A request to the engine cannot be served as it is."""


class InputTooLong(RequestError):
    """A text that is read whole is longer than the model reads."""


def first_line(error: BaseException) -> str:
    """What an exception of another library says, in one line that a message can go on after."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
