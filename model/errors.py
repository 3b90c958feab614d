"""The errors that a user can cause, one class for each thing that can be at fault.

A message says what was given, what is allowed and what to do, in one line: commands print it as it
is and exit with status 2. Failures of ours are ordinary Python exceptions and keep their traceback.
"""


class DragomanError(Exception):
    """Any mistake that a user can correct."""


class ConfigError(DragomanError):
    """A configuration, a flag or a combination of options is wrong."""


class CheckpointError(DragomanError):
    """A checkpoint or a run directory is missing, damaged, too new or in use."""


class DataError(DragomanError):
    """A text file is missing, empty, not UTF-8 or does not fit its counterpart."""


class RequestError(DragomanError):
    """A request to the engine cannot be served as it is."""


class InputTooLong(RequestError):
    """A text that is read whole is longer than the model reads."""
