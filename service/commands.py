"""Commands: the script of this package as a function that imports it only when it is called."""

import signal
from typing import NoReturn

from model.cli.start import start


def serve() -> NoReturn:
    """Run dragoman-serve. A SIGHUP before the models are loaded asks for what happens anyway."""
    start("service.serve", ignored=(signal.SIGHUP,))
