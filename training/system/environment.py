"""Environment of a run: versions, machine, and the state of the code in git."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("dragoman", "torch", "numpy", "sentencepiece", "safetensors", "sacrebleu")


def environment(device: torch.device) -> dict[str, str]:
    """Collect what results depend on besides config and data, for people."""
    facts = {"Python": platform.python_version()}
    facts |= {name: version(name) for name in PACKAGES}
    facts |= {
        "system": platform.platform(),
        "processor": processor(Path("/proc/cpuinfo")),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "device": str(device),
    }
    if device.type == "cuda":
        facts["device"] += f", {torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return facts


def processor(cpuinfo: Path) -> str:
    """Name the processor, or its architecture where the system knows no more."""
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.machine()


def git_state(file: Path) -> dict[str, str]:
    """Find commit and changed files of the repository that holds `file`; empty without one.

    So a package that was installed into a folder of another repository does not count. A
    repository without a commit counts as none, and so does one that git will not read.
    """
    folder = file.parent
    kept = _git(folder, "ls-files", "--error-unmatch", str(file))
    commit = _git(folder, "rev-parse", "HEAD")
    if kept is None or commit is None:
        return {}
    changed = (_git(folder, "status", "--porcelain") or "").splitlines()
    return {"git commit": commit, "files changed since": str(len(changed))}


def _git(folder: Path, *arguments: str) -> str | None:
    if shutil.which("git") is None:
        return None
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
