"""Entry points: where every command starts, whatever else is called `model` on Python's path.

With PYTHONPATH=. a `model.py`, `training/` or `service.py` in the current folder comes before
installed packages. Once ours are imported, their modules are looked for in them alone. A process
that a command spawns runs the command's script first, and so this file.
"""

import os
import sys

# For these three alone: what else is installed here must not come before the standard library.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import model
import service
import training

sys.path.pop(0)

# An entry point is an attribute of this module: `dragoman_commands:model.commands.translate`.
import model.commands
import service.commands
import training.commands

__all__ = ["model", "service", "training"]
