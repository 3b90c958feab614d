"""Hidden model: whether Python finds another `model` than the package that Dragoman consists of.

The name is a common one: a `model.py` beside the user's script comes before installed packages.
"""

import importlib.util
from pathlib import Path


def what_hides_model() -> str | None:
    """Say which `model` hides Dragoman's, and what to do about it; None if none does.

    Nothing is imported to find out.
    """
    ours = Path(__file__).resolve().parents[1] / "model" / "__init__.py"
    # If a `model` is imported already, this is its own.
    found = importlib.util.find_spec("model")
    if found is None or found.origin is None or Path(found.origin).resolve() == ours:
        return None
    return (
        f"dragoman needs its own package `model` ({ours.parent}), but `import model` gives "
        f"{found.origin}, which hides it. Rename that one, or move it out of the folder of the "
        "script, the current folder and PYTHONPATH."
    )
