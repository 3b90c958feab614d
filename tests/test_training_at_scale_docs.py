"""docs/training-at-scale.md: its commands and files are well formed and name what exists."""

import re
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest
import torch.distributed.run
import yaml

from training.train import parser

TEXT = (Path(__file__).parents[1] / "docs" / "training-at-scale.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", TEXT, re.MULTILINE)]
COMMANDS = [block for block in BLOCKS if "torchrun" in block and "name:" not in block]


def check(words: list[str]) -> None:
    """torchrun and dragoman-train take these words as they stand."""
    given = torch.distributed.run.get_args_parser().parse_args(words[1:])
    assert given.no_python and given.training_script == "dragoman-train"
    assert parser().parse_intermixed_args(given.training_script_args).resume


def test_there_are_as_many_commands_as_ways() -> None:
    assert len(COMMANDS) == 3  # one machine, several, Slurm


@pytest.mark.parametrize("block", COMMANDS)
def test_torchrun_and_ours_take_every_word(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)
    command = block.replace("\\\n", " ").splitlines()[-1].removeprefix("srun ")
    check(shlex.split(command))


def test_the_job_of_kubernetes_runs_the_same_command_by_the_names_of_its_service() -> None:
    (manifest,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    service, job = yaml.safe_load_all(manifest)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    check(container["command"])
    name = service["metadata"]["name"]
    assert pod["subdomain"] == name
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert f"{job['metadata']['name']}-0.{name}:29500" in container["command"]
    assert str(job["spec"]["parallelism"]) in container["command"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
