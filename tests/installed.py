"""Dragoman as others have it: built, and installed into environments of its own."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def pip(*arguments: str, python: Path = Path(sys.executable)) -> None:
    """Run this environment's pip, for another one if need be; it downloads nothing."""
    options = ["--isolated", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([sys.executable, "-m", "pip", *options, *arguments], check=True)


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into `folder`, which is empty."""
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(folder), str(ROOT))
    (file,) = folder.iterdir()
    return file


def environment_with(folder: Path, *what: str) -> Path:
    """Make an environment in `folder`, install `what` into it and return its folder of programs.

    What Dragoman needs is found where it lies already.
    """
    venv.create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip("install", "--no-deps", "--no-index", *what, python=folder / "bin" / "python")
    return folder / "bin"
